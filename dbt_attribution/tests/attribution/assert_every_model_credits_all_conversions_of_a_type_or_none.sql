-- A row is a model that credited some conversions of a type and forgot others.
{{ config(meta={"dagster": {"ref": {"name": "fct_attribution_credit"}}}) }}
with
    credited as (
        select model_type, conversion_type, count(distinct conversion_id) as credited
        from {{ ref("fct_attribution_credit") }}
        group by model_type, conversion_type
    ),

    happened as (
        select conversion_type, count(*) as happened
        from {{ ref("fct_conversions") }}
        group by conversion_type
    )

select credited.*, happened.happened
from credited
inner join happened on credited.conversion_type = happened.conversion_type
where credited.credited <> happened.happened
