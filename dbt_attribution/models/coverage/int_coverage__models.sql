{{ config(schema="intermediate") }}
-- How far the models are apart, (max - min) / mean of a channel's credited conversions, channels weighted
-- by what they earned:
-- a channel with a hundredth of a conversion under one model alone would else count like the largest.
with
    credit as (
        select converted_on as date_on, conversion_type, channel, model_type, sum(credit) as conversions
        from {{ ref("fct_attribution_credit") }}
        group by 1, 2, 3, 4
    ),

    -- A model that answered for a conversion type and gave a channel nothing said zero.
    answered as (
        select conversion_type, count(distinct model_type) as models from credit group by conversion_type
    ),

    spreads as (
        select
            credit.date_on,
            credit.conversion_type,
            credit.channel,
            max(credit.conversions)
            - case when count(*) < max(answered.models) then 0 else min(credit.conversions) end as spread,
            sum(credit.conversions) / max(answered.models) as mean_conversions
        from credit
        inner join answered on credit.conversion_type = answered.conversion_type
        group by 1, 2, 3
    ),

    cut as (
        {% for kind, segment in [
            ("all", "'all'"),
            ("channel", "channel"),
            ("conversion_type", "conversion_type"),
        ] %}
            select
                date_on,
                '{{ kind }}' as segment_type,
                {{ segment }} as segment,
                {{ stable_sum("spread") }} as spread,
                {{ stable_sum("mean_conversions") }} as mean_conversions
            from spreads
            group by 1, 2, 3
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

    {{
        coverage_rows(
            "model_divergence",
            "ratio",
            "spread",
            "mean_conversions",
            "mean_conversions",
            "segment_type",
            "segment",
            "cut",
        )
    }}
where mean_conversions > 0
