{#- Rows of a daily mart's totals that are not those of its sources: spend by model, conversion type and the given keys, then
    credited conversions and revenue by model and conversion type, dated either way. A total that is missing is a difference. -#}
{% macro conservation(mart, spend_keys) -%}
    {%- set spend_key_list = spend_keys | join(", ") -%}
    with
        spent as (
            select {{ spend_key_list }}, sum(spend) as spend
            from {{ ref("int_paid_budget__ad_spend_by_platform") }}
            group by {{ spend_key_list }}
        ),

        expected_spend as (
            select axes.model_type, axes.conversion_type, spent.*
            from spent
            cross join {{ ref("int_attribution__reporting_axes") }} as axes
        ),

        mart_spend as (
            select model_type, conversion_type, {{ spend_key_list }}, sum(spend) as spend
            from {{ ref(mart) }}
            where spend <> 0
            group by model_type, conversion_type, {{ spend_key_list }}
        ),

        credited as (
            select model_type, conversion_type, sum(credit) as conversions, sum(credited_revenue) as revenue
            from {{ ref("fct_attribution_credit") }}
            group by model_type, conversion_type
        ),

        mart_credit as (
            select
                model_type,
                conversion_type,
                sum(conversions) as conversions,
                sum(revenue) as revenue,
                sum(conversions_by_touch_date) as conversions_by_touch_date,
                sum(revenue_by_touch_date) as revenue_by_touch_date
            from {{ ref(mart) }}
            group by model_type, conversion_type
        ),

        spend_differences as (
            select
                coalesce(expected_spend.model_type, mart_spend.model_type) as model_type,
                coalesce(expected_spend.conversion_type, mart_spend.conversion_type) as conversion_type,
                'spend' as measure,
                coalesce(expected_spend.spend, 0) as expected,
                coalesce(mart_spend.spend, 0) as found
            from expected_spend
            full outer join
                mart_spend
                on expected_spend.model_type = mart_spend.model_type
                and expected_spend.conversion_type = mart_spend.conversion_type
                {% for key in spend_keys %} and expected_spend.{{ key }} = mart_spend.{{ key }} {% endfor %}
        ),

        credit_differences as (
            {% for measure, expected in [
                ("conversions", "conversions"),
                ("revenue", "revenue"),
                ("conversions_by_touch_date", "conversions"),
                ("revenue_by_touch_date", "revenue"),
            ] %}
                select
                    coalesce(credited.model_type, mart_credit.model_type) as model_type,
                    coalesce(credited.conversion_type, mart_credit.conversion_type) as conversion_type,
                    '{{ measure }}' as measure,
                    coalesce(credited.{{ expected }}, 0) as expected,
                    coalesce(mart_credit.{{ measure }}, 0) as found
                from credited
                full outer join
                    mart_credit
                    on credited.model_type = mart_credit.model_type
                    and credited.conversion_type = mart_credit.conversion_type
                {% if not loop.last %}
                    union all
                {% endif %}
            {% endfor %}
        ),

        differences as (
            select *
            from spend_differences
            union all
            select *
            from credit_differences
        )

    select *
    from differences
    -- Rows are rounded to nine decimals, money to six: a million of them may be this far off.
    where abs(expected - found) > 0.0001 + 0.00000001 * abs(expected)
{%- endmacro %}

{#- Model and conversion types whose totals over the ad platforms in `periods_model` are not those of the campaigns' days. -#}
{% macro periods_that_lose_campaign_days(periods_model) -%}
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
            from {{ periods_model }}
            group by 1, 2
        )

    select days.*
    from days
    left join
        periods on days.model_type = periods.model_type and days.conversion_type = periods.conversion_type
    where
        abs(days.spend - coalesce(periods.spend, 0)) > 0.0001
        or abs(days.conversions - coalesce(periods.conversions, 0)) > 0.0001
        or abs(days.revenue - coalesce(periods.revenue, 0)) > 0.0001
{%- endmacro %}
