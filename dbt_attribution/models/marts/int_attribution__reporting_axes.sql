{{ config(schema="intermediate") }}
-- Models and conversion types that reports are cut by. With no conversion at all one empty pair is left, or
-- spend would vanish too.
with answered as (select distinct model_type, conversion_type from {{ ref("fct_attribution_credit") }})

select model_type, conversion_type
from answered
union all
select 'last_touch', '(none)'
where not exists (select 1 from answered)
