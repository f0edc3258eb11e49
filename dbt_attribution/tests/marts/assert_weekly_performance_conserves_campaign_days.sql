-- A row is a model and conversion type whose weekly totals over the ad platforms are not those of the
-- campaigns' days.
{{ config(meta={"dagster": {"ref": {"name": "paid_budget__weekly_performance"}}}) }}
with
    days as (
        select
            model_type,
            conversion_type,
            sum(spend) as spend,
            sum(conversions) as conversions,
            sum(revenue) as revenue
        from {{ ref("mart_attribution__campaign_daily") }}
        where platform <> '(none)'
        group by 1, 2
    ),

    periods as (
        select
            model_type,
            conversion_type,
            sum(spend) as spend,
            sum(conversions) as conversions,
            sum(revenue) as revenue
        from {{ ref("paid_budget__weekly_performance") }}
        group by 1, 2
    )

select days.*
from days
left join periods on days.model_type = periods.model_type and days.conversion_type = periods.conversion_type
where
    abs(days.spend - coalesce(periods.spend, 0)) > 0.0001
    or abs(days.conversions - coalesce(periods.conversions, 0)) > 0.0001
    or abs(days.revenue - coalesce(periods.revenue, 0)) > 0.0001
