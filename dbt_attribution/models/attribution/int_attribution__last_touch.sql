{{ config(schema="intermediate", materialized="view") }}
-- Only the credited touch: one row a conversion.
select
    conversion_id,
    touchpoint_id,
    'last_touch' as model_type,
    channel,
    campaign,
    cast(1 as double) as credit,
    revenue as credited_revenue
from {{ ref("int_attribution__journeys") }}
where position = journey_length
