-- A row is a touch whose channel is not the one its session was given, or a table that says otherwise about
-- a touch.
{{ config(meta={"dagster": {"ref": {"name": "fct_attribution_credit"}}}) }}
with
    touches as (select touchpoint_id, session_id, channel from {{ ref("fct_touchpoints") }}),

    elsewhere as (
        select 'int_attribution__first_touch' as read_in, touchpoint_id, channel
        from {{ ref("int_attribution__first_touch") }}
        union all
        select 'int_attribution__last_touch' as read_in, touchpoint_id, channel
        from {{ ref("int_attribution__last_touch") }}
        union all
        select 'int_user__attribution_resolved' as read_in, touchpoint_id, channel
        from {{ ref("int_user__attribution_resolved") }}
        union all
        select 'fct_attribution_credit' as read_in, touchpoint_id, channel
        from {{ ref("fct_attribution_credit") }}
    )

select elsewhere.read_in, touches.touchpoint_id, touches.channel, elsewhere.channel as other_channel
from touches
inner join elsewhere on touches.touchpoint_id = elsewhere.touchpoint_id
where touches.channel <> elsewhere.channel

union all

select
    'int_sessions__channels' as read_in,
    touches.touchpoint_id,
    touches.channel,
    sessions.channel as other_channel
from touches
inner join {{ ref("int_sessions__channels") }} as sessions on touches.session_id = sessions.session_id
where touches.channel <> sessions.channel
