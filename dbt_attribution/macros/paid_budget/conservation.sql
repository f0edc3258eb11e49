{#- Models and conversion types whose spend, conversions or revenue in a daily mart differ from the sources' totals. -#}
{% macro conservation(mart) -%}
    with
        totals as (
            select
                model_type,
                conversion_type,
                sum(spend) as spend,
                sum(conversions) as conversions,
                sum(revenue) as revenue,
                sum(revenue_by_touch_date) as revenue_by_touch_date
            from {{ ref(mart) }}
            group by model_type, conversion_type
        ),

        spent as (
            select coalesce(sum(spend), 0) as spend from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        ),

        credited as (
            select model_type, conversion_type, sum(credit) as conversions, sum(credited_revenue) as revenue
            from {{ ref("fct_attribution_credit") }}
            group by model_type, conversion_type
        )

    select
        totals.*, spent.spend as spent, credited.conversions as credited, credited.revenue as credited_revenue
    from totals
    cross join spent
    left join
        credited
        on totals.model_type = credited.model_type
        and totals.conversion_type = credited.conversion_type
    where
        abs(totals.spend - spent.spend) > 0.0001
        or abs(totals.conversions - coalesce(credited.conversions, 0)) > 0.000001
        or abs(totals.revenue - coalesce(credited.revenue, 0)) > 0.0001
        or abs(totals.revenue_by_touch_date - coalesce(credited.revenue, 0)) > 0.0001
{%- endmacro %}
