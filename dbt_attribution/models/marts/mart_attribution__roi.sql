with
    conversions as (
        select
            channel,
            model_type,
            conversion_type,
            conversion_id,
            count(*) as touches,
            sum(credit) as credit,
            sum(credited_revenue) as credited_revenue
        from {{ ref("fct_attribution_credit") }}
        group by channel, model_type, conversion_type, conversion_id
    ),

    credit as (
        select
            channel,
            model_type,
            conversion_type,
            {{ stable_sum("credit") }} as conversions,
            sum(credited_revenue) as revenue,
            {{ stable_sum("credit * credit") }} as variance,
            count(*) as n_conversions,
            sum(touches) as n_touches
        from conversions
        group by channel, model_type, conversion_type

        union all

        select
            channel,
            model_type,
            'all',
            {{ stable_sum("credit") }},
            sum(credited_revenue),
            {{ stable_sum("credit * credit") }},
            count(*),
            sum(touches)
        from conversions
        group by channel, model_type
    ),

    spend as (
        select channel, sum(spend) as spend
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        group by channel
    ),

    axes as (
        select model_type, conversion_type
        from {{ ref("int_attribution__reporting_axes") }}
        union
        select model_type, 'all'
        from {{ ref("int_attribution__reporting_axes") }}
    ),

    cells as (
        select channel, model_type, conversion_type
        from credit
        union
        select spend.channel, axes.model_type, axes.conversion_type
        from spend
        cross join axes
    ),

    weights as (
        {{
            optional_source_table(
                "credit",
                "credit_channel_weights",
                {
                    "model_type": "text",
                    "conversion_type": "text",
                    "channel": "text",
                    "ci_low": "double",
                    "ci_high": "double",
                    "status": "text",
                },
            )
        }}
    ),

    figures as (
        select
            cells.channel,
            cells.model_type,
            cells.conversion_type,
            cast(coalesce(spend.spend, 0) as {{ type_of("money") }}) as spend,
            coalesce(credit.conversions, 0) as conversions,
            coalesce(
                weights.ci_low, {{ conversions_low("credit.conversions", "credit.variance") }}, 0
            ) as ci_low,
            coalesce(
                weights.ci_high, {{ conversions_high("credit.conversions", "credit.variance") }}, 0
            ) as ci_high,
            case
                when weights.ci_low is not null then 'bootstrap' else 'compound Poisson'
            end as interval_method,
            cast(coalesce(credit.n_conversions, 0) as {{ type_of("bigint") }}) as n_conversions,
            cast(coalesce(credit.n_touches, 0) as {{ type_of("bigint") }}) as n_touches,
            cast(coalesce(credit.revenue, 0) as {{ type_of("money") }}) as revenue
        from cells
        left join
            credit
            on cells.channel = credit.channel
            and cells.model_type = credit.model_type
            and cells.conversion_type = credit.conversion_type
        left join spend on cells.channel = spend.channel
        left join
            weights
            on cells.channel = weights.channel
            and cells.model_type = weights.model_type
            and cells.conversion_type = weights.conversion_type
            and weights.status = 'ok'
    )

select
    channel,
    model_type,
    conversion_type,
    spend,
    conversions,
    ci_low,
    ci_high,
    interval_method,
    n_conversions,
    n_touches,
    revenue,
    {{ performance_ratios() }},
    case when spend > 0 then {{ ratio("spend", "ci_high") }} end as cac_low,
    case when spend > 0 then {{ ratio("spend", "ci_low") }} end as cac_high,
    {{ ratio("revenue", "spend") }} * {{ ratio("ci_low", "conversions") }} as roas_low,
    {{ ratio("revenue", "spend") }} * {{ ratio("ci_high", "conversions") }} as roas_high
from figures
