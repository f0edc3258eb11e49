-- A row is a conversion whose credited revenue under a model is not its revenue, to the sixth decimal.
{{ config(meta={"dagster": {"ref": {"name": "fct_attribution_credit"}}}) }}
select
    credit.conversion_id,
    credit.model_type,
    sum(credit.credited_revenue) as credited,
    max(conversions.revenue) as revenue
from {{ ref("fct_attribution_credit") }} as credit
inner join {{ ref("fct_conversions") }} as conversions on credit.conversion_id = conversions.conversion_id
group by credit.conversion_id, credit.model_type
having abs(sum(credit.credited_revenue) - max(conversions.revenue)) > 0.0000001
