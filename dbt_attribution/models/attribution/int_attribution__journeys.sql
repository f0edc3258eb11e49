{{ config(schema="intermediate") }}
-- Converting journeys with what credit needs: one row a touch, positions precomputed, so that every rule
-- model and every change of
-- half-life reads this once and nothing else.
select
    journeys.journey_id,
    journeys.conversion_id,
    journeys.touchpoint_id,
    journeys.channel,
    journeys.campaign,
    journeys.position,
    journeys.journey_length,
    journeys.hours_before_conversion,
    min(journeys.hours_before_conversion) over (partition by journeys.journey_id) as last_touch_hours,
    {%- set kinds = {
        "non_direct": "journeys.channel <> 'Direct'",
        "paid": is_paid_channel("journeys.channel"),
    } %}
    {%- for kind, condition in kinds.items() %}
        {%- for end, aggregate in [("first", "min"), ("last", "max")] %}
            {{ aggregate }} (case when {{ condition }} then journeys.position end) over (
                partition by journeys.journey_id
            ) as {{ end }}_{{ kind }}_position,
        {%- endfor %}
    {%- endfor %}
    conversions.revenue
from {{ ref("fct_journey_touchpoints") }} as journeys
inner join {{ ref("fct_conversions") }} as conversions on journeys.conversion_id = conversions.conversion_id
