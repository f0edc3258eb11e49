{%- set timeout_seconds = var("session_timeout_minutes") * 60 -%}
-- Who owns a shared device when: from a login to the next login or logout. A user's stretch also restarts
-- after a session
-- gap, so that the first owner seen inside a session can be found by its start alone.
with
    shared_devices as (
        select device_id, max(person_count) as person_count
        from {{ ref("int_identity__device_logins") }}
        where tier = 'cookie_interval' and not is_refused
        group by device_id
    ),

    owners as (
        select device_id, user_id, canonical_user_id
        from {{ ref("int_identity__device_logins") }}
        where tier = 'cookie_interval' and not is_refused
    ),

    moments as (
        select
            events.device_id,
            owners.canonical_user_id,
            events.occurred_at,
            events.event_id,
            case when events.event_name in ('logout', 'log_out', 'sign_out') then 1 else 0 end as logout,
            devices.person_count
        from {{ ref("int_events__unified") }} as events
        inner join shared_devices as devices on events.device_id = devices.device_id
        left join owners on events.device_id = owners.device_id and events.user_id = owners.user_id
        where
            not events.is_bot
            and (
                owners.canonical_user_id is not null or events.event_name in ('logout', 'log_out', 'sign_out')
            )
    ),

    ordered as (
        select
            *,
            row_number() over (
                partition by device_id order by occurred_at, logout, event_id
            ) as moment_number,
            lag(canonical_user_id) over (
                partition by device_id order by occurred_at, logout, event_id
            ) as previous_owner,
            lag(occurred_at) over (
                partition by device_id order by occurred_at, logout, event_id
            ) as previous_at,
            lag(logout) over (
                partition by device_id order by occurred_at, logout, event_id
            ) as previous_logout,
            max(occurred_at) over (partition by device_id) as last_at,
            count(*) over (partition by device_id) as moments
        from moments
    ),

    boundaries as (
        select *
        from ordered
        where
            logout = 1
            or previous_at is null
            or previous_logout = 1
            or canonical_user_id <> previous_owner
            or {{ seconds_between("previous_at", "occurred_at") }} > {{ timeout_seconds }}
    ),

    stretches as (
        select
            device_id,
            canonical_user_id,
            logout,
            person_count,
            occurred_at as valid_from,
            lead(occurred_at) over (partition by device_id order by moment_number) as next_at,
            coalesce(
                lead(previous_at) over (partition by device_id order by moment_number), last_at
            ) as last_active_at,
            coalesce(lead(moment_number) over (partition by device_id order by moment_number), moments + 1)
            - moment_number as evidence_count
        from boundaries
    ),

    closed as (
        select
            device_id,
            canonical_user_id,
            evidence_count,
            valid_from,
            case
                when person_count <= {{ household_persons() }}
                then next_at
                when next_at < {{ add_seconds("last_active_at", timeout_seconds) }}
                then next_at
                else {{ add_seconds("last_active_at", timeout_seconds) }}
            end as valid_to
        from stretches
        where logout = 0
    )

select device_id, canonical_user_id, cast(evidence_count as bigint) as evidence_count, valid_from, valid_to
from closed
where valid_to is null or valid_from < valid_to
