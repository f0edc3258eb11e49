{{ config(schema="intermediate") }}
-- What the conversion model sees of a journey at a moment, one row a term that is not zero. The same rows are
-- learned from
-- and scored, so the two cannot drift apart.
with
    states as (select * from {{ ref("int_scoring__states") }}),

    touches as (
        select
            states.state_id,
            touches.channel,
            {{ seconds_between("touches.occurred_at", "states.snapshot_at") }} / 86400.0 as days_ago,
            row_number() over (
                partition by states.state_id order by touches.occurred_at desc, touches.touchpoint_id desc
            ) as from_the_end
        from states
        inner join
            {{ ref("fct_touchpoints") }} as touches
            on states.canonical_user_id = touches.canonical_user_id
            and touches.occurred_at >= states.first_touch_at
            and touches.occurred_at <= states.last_touch_at
    ),

    channels as (
        select
            state_id,
            channel,
            sum(case when days_ago <= 7 then 1 else 0 end) as recent,
            sum(case when days_ago > 7 then 1 else 0 end) as earlier
        from touches
        group by state_id, channel
    ),

    features as (
        select state_id, 'last 7 days: ' || channel as term, ln(1 + recent) as value
        from channels
        where recent > 0
        union all
        select state_id, 'earlier: ' || channel as term, ln(1 + earlier) as value
        from channels
        where earlier > 0
        union all
        select state_id, 'last touch: ' || channel as term, 1.0 as value
        from touches
        where from_the_end = 1
        union all
        select
            state_id,
            'log days since last touch' as term,
            ln(1 + {{ seconds_between("last_touch_at", "snapshot_at") }} / 86400.0) as value
        from states
        union all
        select
            state_id,
            'log days since first touch' as term,
            ln(1 + {{ seconds_between("first_touch_at", "snapshot_at") }} / 86400.0) as value
        from states
        union all
        select state_id, 'converted before' as term, 1.0 as value
        from states
        where is_returning
    )

select state_id, term, cast(value as double) as value
from features
