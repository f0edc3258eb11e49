{{ config(schema="intermediate") }}
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
            revenue,
            1.0 / cast(journey_length as double) as linear,
            decay / sum(decay) over (
                partition by journey_id
                order by position
                rows between unbounded preceding and unbounded following
            ) as time_decay,
            case
                when journey_length = 1
                then 1.0
                when journey_length = 2
                then 0.5
                when position in (1, journey_length)
                then 0.4
                else 0.2 / cast(journey_length - 2 as double)
            end as position_based,
            -- With nothing but direct visits the last of them keeps the credit.
            case
                when position = coalesce(last_non_direct_position, journey_length) then 1.0 else 0.0
            end as last_non_direct
        from weighted
    ),

    long as (
        {% for model in ["linear", "time_decay", "position_based", "last_non_direct"] %}
            select
                conversion_id,
                touchpoint_id,
                '{{ model }}' as model_type,
                channel,
                campaign,
                position,
                cast({{ model }} as double) as raw_credit,
                revenue
            from raw_credit
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

    {{ conserve_credit("long") }}
