{#- Quotient as double; null, never an error or a zero, where the denominator is zero or absent. -#}
{% macro ratio(numerator, denominator) -%}
    case
        when {{ denominator }} <> 0 then cast({{ numerator }} as double) / cast({{ denominator }} as double)
    end
{%- endmacro %}

{#- The three figures every performance table ends with. A channel without spend has no cost per acquisition, rather than a
    free one; a channel without conversions has no finite one. -#}
{% macro performance_ratios(spend="spend", conversions="conversions", revenue="revenue") -%}
    case when {{ spend }} > 0 then {{ ratio(spend, conversions) }} end as cac,
    {{ ratio(revenue, spend) }} as roas,
    {{ ratio("(" ~ revenue ~ " - " ~ spend ~ ")", spend) }} as roi
{%- endmacro %}

{#- 95 % interval of credited conversions: they arrive independently, so the variance of a sum of shares is the sum of their
    squares (compound Poisson), a conversion's share being summed before it is squared. -#}
{% macro conversions_low(conversions="conversions", variance="conversions_variance") -%}
    greatest({{ conversions }} - 1.96 * sqrt({{ variance }}), 0.0)
{%- endmacro %}
{% macro conversions_high(conversions="conversions", variance="conversions_variance") -%}
    {{ conversions }} + 1.96 * sqrt({{ variance }})
{%- endmacro %}

{#- The ratios with the interval that their conversions imply. -#}
{% macro performance_figures() -%}
    {{ performance_ratios() }},
    {{ conversions_low() }} as ci_low,
    {{ conversions_high() }} as ci_high,
    case when spend > 0 then {{ ratio("spend", conversions_high()) }} end as cac_low,
    case when spend > 0 then {{ ratio("spend", conversions_low()) }} end as cac_high,
    {{ ratio("revenue", "spend") }} * {{ ratio(conversions_low(), "conversions") }} as roas_low,
    {{ ratio("revenue", "spend") }} * {{ ratio(conversions_high(), "conversions") }} as roas_high
{%- endmacro %}

{#- Columns every daily, weekly and monthly performance table adds up, in one place so that the tables agree. -#}
{% macro performance_measures() -%}
    {{
        return(
            {
                "spend": "money",
                "clicks": "bigint",
                "impressions": "bigint",
                "platform_conversions": "double",
                "touches": "bigint",
                "conversions": "double",
                "conversions_variance": "double",
                "credited_touches": "bigint",
                "revenue": "money",
                "conversions_by_touch_date": "double",
                "revenue_by_touch_date": "money",
            }
        )
    }}
{%- endmacro %}

{% macro sum_performance_measures() -%}
    {%- for name, kind in performance_measures().items() %}
        {% if kind == "double" %} {{ stable_sum(name) }}
        {% else %} cast(sum({{ name }}) as {{ type_of(kind) }})
        {% endif %} as {{ name }}
        {% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{#- Select list of measures in which only the given ones are not zero. -#}
{% macro only_measures(given) -%}
    {%- for name, kind in performance_measures().items() %}
        cast({{ given.get(name, "0") }} as {{ type_of(kind) }}) as {{ name }}
        {% if not loop.last %},{% endif %}
    {%- endfor %}
{%- endmacro %}

{#- Positions 1 to `count`, for `group by`. -#}
{% macro group_positions(count) -%}
    group by {% for _ in range(count) %} {{ loop.index }}{% if not loop.last %}, {% endif %} {% endfor %}
{%- endmacro %}

{#- Spend, touches and credit by day and the given dimensions, once for every model and conversion type.

    Spend and touches belong to no model: they are repeated for each pair, so that a day with spend and no touch is there under
    every model, and a reader filters to one model and one conversion type before adding up.

    Args:
        dimensions: list of {name, spend, touch}: the column's expression for spend, over its ad campaign (alias `ad`), and for
            touches and their credit (alias `touch`), where `ad` is null for a touch that no ad platform brought. -#}
{% macro daily_performance(dimensions) -%}
    with
        axes as (select model_type, conversion_type from {{ ref("int_attribution__reporting_axes") }}),

        spend_days as (
            select
                spend.date_on,
                {%- for dimension in dimensions %}
                    {{ dimension.spend }} as {{ dimension.name }},
                {%- endfor %}
                {{
                    only_measures(
                        {
                            "spend": "sum(spend.spend)",
                            "clicks": "sum(spend.clicks)",
                            "impressions": "sum(spend.impressions)",
                            "platform_conversions": "sum(spend.platform_conversions)",
                        }
                    )
                }}
            from {{ ref("int_paid_budget__ad_spend_by_platform") }} as spend
            inner join
                {{ ref("int_paid_budget__campaigns") }} as ad
                on spend.platform = ad.platform
                and spend.account_id = ad.account_id
                and spend.campaign_id = ad.campaign_id
                {{ group_positions(dimensions | length + 1) }}
        ),

        touch_days as (
            select
                touch.occurred_on as date_on,
                {%- for dimension in dimensions %}
                    {{ dimension.touch }} as {{ dimension.name }},
                {%- endfor %}
                {{ only_measures({"touches": "count(*)"}) }}
            from {{ ref("fct_touchpoints") }} as touch
            left join
                {{ ref("int_paid_budget__touch_campaigns") }} as ad on touch.touchpoint_id = ad.touchpoint_id
            where touch.origin <> 'none' {{ group_positions(dimensions | length + 1) }}
        ),

        credit as (
            select
                touch.model_type,
                touch.conversion_type,
                touch.converted_on,
                touch.touched_on,
                {%- for dimension in dimensions %}
                    {{ dimension.touch }} as {{ dimension.name }},
                {%- endfor %}
                touch.conversion_id,
                count(*) as touch_count,
                sum(touch.credit) as conversions,
                sum(touch.credited_revenue) as revenue
            from {{ ref("fct_attribution_credit") }} as touch
            left join
                {{ ref("int_paid_budget__touch_campaigns") }} as ad on touch.touchpoint_id = ad.touchpoint_id
                {{ group_positions(dimensions | length + 5) }}
        ),

        conversion_days as (
            select
                model_type,
                conversion_type,
                converted_on as date_on,
                {%- for dimension in dimensions %} {{ dimension.name }}, {%- endfor %}
                conversion_id,
                sum(touch_count) as touch_count,
                sum(conversions) as conversions,
                sum(revenue) as revenue
            from credit {{ group_positions(dimensions | length + 4) }}
        ),

        everything as (
            {%- for part in ["spend_days", "touch_days"] %}
                select axes.model_type, axes.conversion_type, {{ part }}.*
                from {{ part }}
                cross join axes
                union all
            {%- endfor %}
            select
                model_type,
                conversion_type,
                date_on,
                {%- for dimension in dimensions %} {{ dimension.name }}, {%- endfor %}
                {{
                    only_measures(
                        {
                            "conversions": "conversions",
                            "conversions_variance": "conversions * conversions",
                            "credited_touches": "touch_count",
                            "revenue": "revenue",
                        }
                    )
                }}
            from conversion_days
            union all
            select
                model_type,
                conversion_type,
                touched_on as date_on,
                {%- for dimension in dimensions %} {{ dimension.name }}, {%- endfor %}
                {{
                    only_measures(
                        {
                            "conversions_by_touch_date": "conversions",
                            "revenue_by_touch_date": "revenue",
                        }
                    )
                }}
            from credit
        ),

        summed as (
            select
                date_on,
                {%- for dimension in dimensions %} {{ dimension.name }}, {%- endfor %}
                model_type,
                conversion_type,
                {{ sum_performance_measures() }}
            from everything {{ group_positions(dimensions | length + 3) }}
        )

    select *, {{ performance_figures() }}
    from summed
{%- endmacro %}

{#- Weekly or monthly performance of the ad platforms' campaigns, from the daily mart so that the totals agree. -#}
{% macro period_performance(period) -%}
    with
        campaigns as (select * from {{ ref("mart_attribution__campaign_daily") }} where platform <> '(none)'),

        summed as (
            select
                cast(date_trunc('{{ period }}', date_on) as date) as {{ period }}_on,
                platform,
                account_id,
                campaign_id,
                max(campaign) as campaign,
                max(campaign_type) as campaign_type,
                max(product) as product,
                channel,
                model_type,
                conversion_type,
                {{ sum_performance_measures() }}
            from campaigns
            group by 1, 2, 3, 4, 8, 9, 10
        )

    select *, {{ performance_figures() }}
    from summed
{%- endmacro %}
