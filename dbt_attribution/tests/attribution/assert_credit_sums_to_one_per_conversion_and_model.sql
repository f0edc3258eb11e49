-- A row is a conversion whose credit under a model is not whole.
{{ config(meta={"dagster": {"ref": {"name": "fct_attribution_credit"}}}) }}
select conversion_id, model_type, sum(credit) as credit
from {{ ref("fct_attribution_credit") }}
group by conversion_id, model_type
having abs(sum(credit) - 1) > 1e-9
