{{ config(schema="intermediate") }}
-- Every touch of every known person, numbered: who came back how, and how often.
select
    touches.canonical_user_id,
    persons.user_id,
    touches.touchpoint_id,
    touches.occurred_at,
    touches.channel,
    touches.source,
    touches.medium,
    touches.campaign,
    touches.origin,
    cast(
        row_number() over (
            partition by touches.canonical_user_id order by touches.occurred_at, touches.touchpoint_id
        ) as integer
    ) as touch_number,
    lag(touches.channel) over (
        partition by touches.canonical_user_id order by touches.occurred_at, touches.touchpoint_id
    ) as previous_channel
from {{ ref("fct_touchpoints") }} as touches
left join
    {{ ref("int_identity__persons") }} as persons on touches.canonical_user_id = persons.canonical_user_id
