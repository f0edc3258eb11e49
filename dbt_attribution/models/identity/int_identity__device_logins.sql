-- Devices and the persons who authenticated on them (tiers vendor_merge, cookie_single_user,
-- cookie_interval) or were
-- attached by hand, with how many persons each device has seen.
with
    persons as (
        select identifier as user_id, canonical_user_id
        from {{ ref("int_identity__person_components") }}
        where identifier_type = 'user_id'
    ),

    links as (
        select
            links.link_kind,
            links.identifier as device_id,
            links.target as user_id,
            persons.canonical_user_id,
            links.evidence_count,
            links.first_seen_at,
            links.last_seen_at,
            links.is_blocked,
            excluded.device_id is not null as is_excluded
        from {{ ref("int_identity__observed_links") }} as links
        left join persons on links.target = persons.user_id
        left join
            {{ ref("int_identity__device_exclusions") }} as excluded
            on links.identifier = excluded.device_id
            and persons.canonical_user_id = excluded.canonical_user_id
        where links.link_kind in ('device_user', 'vendor_merge')
    ),

    grouped as (
        select
            link_kind,
            device_id,
            user_id,
            canonical_user_id,
            sum(evidence_count) as evidence_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at,
            max(case when is_blocked then 1 else 0 end) as blocked,
            max(case when is_excluded then 1 else 0 end) as excluded
        from links
        group by link_kind, device_id, user_id, canonical_user_id
    ),

    person_counts as (
        select link_kind, device_id, count(distinct canonical_user_id) as persons
        from grouped
        where blocked = 0 and excluded = 0
        group by link_kind, device_id
    ),

    by_hand as (
        select distinct
            overrides.identifier as device_id,
            components.canonical_user_id as user_id,
            components.canonical_user_id
        from {{ ref("int_identity__overrides") }} as overrides
        inner join
            {{ ref("int_identity__person_components") }} as components
            on overrides.target_type = components.identifier_type
            and overrides.target = components.identifier
        where overrides.action = 'include' and overrides.identifier_type = 'device_id'
    ),

    judged as (
        select
            device_id,
            user_id,
            canonical_user_id,
            'manual_override' as tier,
            1 as evidence_count,
            cast(null as {{ type_of("timestamp") }}) as first_seen_at,
            cast(null as {{ type_of("timestamp") }}) as last_seen_at,
            case
                when count(*) over (partition by device_id) > 1 then 'several_overrides'
            end as refusal_reason,
            1 as persons
        from by_hand

        union all

        select
            grouped.device_id,
            grouped.user_id,
            grouped.canonical_user_id,
            case
                when grouped.link_kind = 'vendor_merge'
                then 'vendor_merge'
                when coalesce(counts.persons, 1) > 1
                then 'cookie_interval'
                else 'cookie_single_user'
            end as tier,
            grouped.evidence_count,
            grouped.first_seen_at,
            grouped.last_seen_at,
            case
                when grouped.blocked = 1
                then 'blocked_value'
                when grouped.excluded = 1
                then 'excluded_by_override'
                when hands.device_id is not null
                then 'settled_by_override'
                when grouped.link_kind = 'vendor_merge' and counts.persons > 1
                then 'merged_into_several_users'
                -- Vendors give a shared device to whoever logged in on it first.
                when grouped.link_kind = 'vendor_merge' and logins.persons > 1
                then 'merged_device_has_several_users'
            end as refusal_reason,
            coalesce(counts.persons, 0) as persons
        from grouped
        left join
            person_counts as counts
            on grouped.link_kind = counts.link_kind
            and grouped.device_id = counts.device_id
        left join
            person_counts as logins
            on logins.link_kind = 'device_user'
            and grouped.device_id = logins.device_id
        left join (select distinct device_id from by_hand) as hands on grouped.device_id = hands.device_id
    )

select
    device_id,
    user_id,
    canonical_user_id,
    tier,
    cast(evidence_count as bigint) as evidence_count,
    first_seen_at,
    last_seen_at,
    cast(persons as bigint) as person_count,
    refusal_reason is not null as is_refused,
    refusal_reason
from judged
