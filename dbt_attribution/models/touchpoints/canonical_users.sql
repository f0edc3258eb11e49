with
    touches as (
        select
            canonical_user_id,
            channel,
            source,
            medium,
            campaign,
            occurred_at,
            row_number() over (
                partition by canonical_user_id order by occurred_at, touchpoint_id
            ) as from_first,
            row_number() over (
                partition by canonical_user_id order by occurred_at desc, touchpoint_id desc
            ) as from_last
        from {{ ref("fct_touchpoints") }}
    ),

    channels as (
        select
            canonical_user_id,
            max(case when from_first = 1 then channel end) as first_touch_channel,
            max(case when from_first = 1 then source end) as first_touch_source,
            max(case when from_first = 1 then medium end) as first_touch_medium,
            max(case when from_first = 1 then campaign end) as first_touch_campaign,
            min(occurred_at) as first_touch_at,
            max(case when from_last = 1 then channel end) as last_touch_channel,
            count(*) as touch_count
        from touches
        group by canonical_user_id
    )

select
    -- -------- ids
    persons.canonical_user_id,
    persons.user_id,
    persons.organisation_id,

    -- -------- text
    channels.first_touch_channel,
    channels.first_touch_source,
    channels.first_touch_medium,
    channels.first_touch_campaign,
    channels.last_touch_channel,
    persons.customer_source,
    persons.tier,

    -- -------- numerics
    coalesce(channels.touch_count, 0) as touch_count,

    -- -------- timestamps
    channels.first_touch_at,
    persons.first_seen_at,
    persons.last_seen_at
from {{ ref("int_identity__persons") }} as persons
left join channels on persons.canonical_user_id = channels.canonical_user_id
