{{ config(schema="intermediate") }}
{%- set models = var("rule_models") | reject("in", ["first_touch", "last_touch"]) | list %}
with
    weighted as (
        select
            *,
            -- Measured from the last touch, or a touch of last year would underflow to nothing.
            power(
                cast(0.5 as double),
                (hours_before_conversion - last_touch_hours) / (24.0 * {{ var("half_life_days") }})
            ) as decay
        from {{ ref("int_attribution__journeys") }}
    ),

    raw_credit as (
        select
            conversion_id,
            touchpoint_id,
            channel,
            campaign,
            position,
            revenue
            {%- for model in models %}, {{ rule_weight(model) }} as {{ model }} {%- endfor %}
        from weighted
    ),

    long as (
        {% for model in models or ["linear"] %}
            select
                conversion_id,
                touchpoint_id,
                '{{ model }}' as model_type,
                channel,
                campaign,
                position,
                cast({{ model if models else "null" }} as double) as raw_credit,
                revenue
            from raw_credit
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

    {{ conserve_credit("long") }}
