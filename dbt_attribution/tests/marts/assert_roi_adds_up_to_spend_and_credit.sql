-- A row is a model and conversion type whose spend, conversions or revenue over the channels are not the
-- totals.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__roi"}}}) }}
with
    totals as (
        select
            model_type,
            conversion_type,
            sum(spend) as spend,
            sum(conversions) as conversions,
            sum(revenue) as revenue
        from {{ ref("mart_attribution__roi") }}
        where conversion_type <> 'all'
        group by 1, 2
    ),

    spent as (
        select coalesce(sum(spend), 0) as spend from {{ ref("int_paid_budget__ad_spend_by_platform") }}
    ),

    credited as (
        select model_type, conversion_type, sum(credit) as conversions, sum(credited_revenue) as revenue
        from {{ ref("fct_attribution_credit") }}
        group by 1, 2
    )

select totals.*
from totals
cross join spent
left join
    credited on totals.model_type = credited.model_type and totals.conversion_type = credited.conversion_type
where
    abs(totals.spend - spent.spend) > 0.0001
    or abs(totals.conversions - coalesce(credited.conversions, 0)) > 0.0001
    or abs(totals.revenue - coalesce(credited.revenue, 0)) > 0.0001
