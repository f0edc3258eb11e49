{{ config(schema="intermediate", materialized="view") }}
{%- set models = var("rule_models") | reject("in", ["first_touch", "last_touch"]) | list %}
with
    aged as (
        select
            *,
            -- Measured from the last touch, or a touch of last year would underflow to nothing. As a
            -- decimal, sums come out equal
            -- in whatever order they are added.
            cast(
                power(
                    cast(0.5 as double),
                    (hours_before_conversion - last_touch_hours) / (24.0 * {{ var("half_life_days") }})
                ) as {{ type_of("weight") }}
            ) as decay
        from {{ ref("int_attribution__journeys") }}
    ),

    weighted as (
        select
            *,
            sum(decay) over (
                partition by journey_id order by position rows between unbounded preceding and current row
            ) as decay_through,
            sum(decay) over (
                partition by journey_id
                order by position
                rows between unbounded preceding and unbounded following
            ) as decay_total
        from aged
    ),

    credited as (
        {%- for model in models or ["linear"] %}
            select
                conversion_id,
                touchpoint_id,
                '{{ model }}' as model_type,
                channel,
                campaign,
                cast({{ rule_weight(model) }} as {{ type_of("double") }}) as credit,
                {%- if credited_position(model) %} revenue as credited_revenue
                {%- else %}
                    cast(
                        revenue * {{ rule_share_through(model, "position") }} as {{ type_of("money") }}
                    ) - cast(
                        revenue * {{ rule_share_through(model, "(position - 1)") }} as {{ type_of("money") }}
                    ) as credited_revenue
                {%- endif %}
            from weighted
            {%- if not loop.last %}
                union all
            {%- endif %}
        {%- endfor %}
    )

select
    conversion_id,
    touchpoint_id,
    model_type,
    channel,
    campaign,
    credit,
    cast(credited_revenue as {{ type_of("money") }}) as credited_revenue
from credited
-- What earned nothing has no row.
where credit > 0 {% if not models %} and 1 = 0 {% endif %}
