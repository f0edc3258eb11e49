-- Devices that a vendor has joined to a user. Told in three ways: an event that says so, an anonymous event
-- that
-- the vendor
-- has since put under a user's id or person, and PostHog's table of the ids of a person, which alone is up to
-- date where
-- events come from export files.
with
    {%- for vendor in ["posthog", "mixpanel", "amplitude"] %}
        {{ vendor }}_devices as (
            select device_id, min(occurred_at) as first_seen_at
            from {{ ref("stg_" ~ vendor ~ "__events") }}
            where device_id is not null
            group by device_id
        ),

        {{ vendor }}_pairs as (
            select
                events.merged_id as device_id, events.distinct_id as user_id, events.occurred_at as merged_at
            from {{ ref("stg_" ~ vendor ~ "__events") }} as events
            left join {{ vendor }}_devices as targets on events.distinct_id = targets.device_id
            where events.merged_id is not null and targets.device_id is null

            union all

            select events.device_id, events.distinct_id, events.occurred_at
            from {{ ref("stg_" ~ vendor ~ "__events") }} as events
            left join {{ vendor }}_devices as targets on events.distinct_id = targets.device_id
            where
                events.device_id is not null
                and events.user_id is null
                and events.distinct_id is not null
                and targets.device_id is null

            union all

            select anonymous.device_id, known.user_id, known.first_seen_at
            from
                (
                    select distinct device_id, person_id
                    from {{ ref("stg_" ~ vendor ~ "__events") }}
                    where device_id is not null and user_id is null and person_id is not null
                ) as anonymous
            inner join
                (
                    select person_id, user_id, min(occurred_at) as first_seen_at
                    from {{ ref("stg_" ~ vendor ~ "__events") }}
                    where user_id is not null and person_id is not null
                    group by person_id, user_id
                ) as known
                on anonymous.person_id = known.person_id
        ),
    {%- endfor %}

    posthog_ids as (
        select devices.device_id, users.distinct_id as user_id, devices.first_seen_at as merged_at
        from {{ ref("stg_posthog__person_distinct_ids") }} as ids
        inner join posthog_devices as devices on ids.distinct_id = devices.device_id
        inner join {{ ref("stg_posthog__person_distinct_ids") }} as users on ids.person_id = users.person_id
        left join posthog_devices as others on users.distinct_id = others.device_id
        where others.device_id is null
    ),

    collected as (
        {%- for vendor in ["posthog", "mixpanel", "amplitude"] %}
            select '{{ vendor }}' as source, device_id, user_id, merged_at
            from {{ vendor }}_pairs
            union all
        {%- endfor %}
        select 'posthog', device_id, user_id, merged_at
        from posthog_ids
    )

select source, device_id, user_id, min(merged_at) as merged_at
from collected
group by source, device_id, user_id
