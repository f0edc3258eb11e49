with
    sightings as (
        select
            'device_id' as identifier_type,
            device_id as identifier,
            max(case when source = 'backend' then 0 else 1 end) as analytics,
            count(*) as sightings,
            min(occurred_at) as first_seen_at,
            max(occurred_at) as last_seen_at
        from {{ ref("int_events__unified") }}
        where not is_bot and device_id is not null
        group by device_id

        union all

        select 'user_id', user_id, 1, count(*), min(occurred_at), max(occurred_at)
        from {{ ref("int_events__unified") }}
        where not is_bot and user_id is not null
        group by user_id

        union all

        select 'email_hash', email_hash, 1, count(*), min(occurred_at), max(occurred_at)
        from {{ ref("int_events__unified") }}
        where not is_bot and email_hash is not null
        group by email_hash

        union all

        select 'device_id', device_id, 0, 1, first_seen_at, last_seen_at
        from {{ ref("stg_backend__device_fingerprints") }}
        union all
        select 'user_id', user_id, 0, 1, first_seen_at, last_seen_at
        from {{ ref("stg_backend__device_fingerprints") }}
        union all
        select 'user_id', user_id, 0, 1, created_at, created_at
        from {{ ref("stg_backend__users") }}
        union all
        select 'email_hash', email_hash, 0, 1, created_at, created_at
        from {{ ref("stg_backend__users") }}
        union all
        select 'user_id', user_id, 0, 1, started_at, started_at
        from {{ ref("stg_backend__subscriptions") }}
        union all
        select 'contact_id', contact_id, 0, 1, created_at, created_at
        from {{ ref("int_crm__contacts") }}
        union all
        select 'user_id', user_id, 0, 1, created_at, created_at
        from {{ ref("int_crm__contacts") }}
        union all
        select 'email_hash', email_hash, 0, 1, created_at, created_at
        from {{ ref("int_crm__contacts") }}
        union all
        select 'email_hash', email_hash, 0, 1, occurred_at, occurred_at
        from {{ ref("stg_hubspot__email_events") }}
        union all
        select 'email_hash', email_hash, 0, 1, occurred_at, occurred_at
        from {{ ref("stg_mailchimp__email_activity") }}
        union all
        select 'email_hash', email_hash, 0, 1, occurred_at, occurred_at
        from {{ ref("stg_klaviyo__events") }}
        union all
        select 'email_hash', email_hash, 0, 1, created_at, created_at
        from {{ ref("stg_klaviyo__profiles") }}
        union all
        select 'user_id', user_id, 0, 1, created_at, created_at
        from {{ ref("stg_klaviyo__profiles") }}
        union all
        select 'user_id', user_id, 0, 1, created_at, created_at
        from {{ ref("int_identity__vendor_profiles") }}
        union all
        select 'email_hash', email_hash, 0, 1, created_at, created_at
        from {{ ref("int_identity__vendor_profiles") }}
        union all
        select 'contact_id', contact_id, 0, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'user_id', user_id, 0, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'email_hash', email_hash, 0, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'email_hash', email_hash, 0, 1, occurred_at, occurred_at
        from {{ ref("stg_files__email_events") }}
        union all
        select 'device_id', device_id, 0, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        select 'user_id', user_id, 0, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        select 'email_hash', email_hash, 0, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        -- A manual rule may speak of an identifier that no source has shown yet.
        select identifier_type, identifier, 0, 0, null, null
        from {{ ref("identity_overrides") }}
        union all
        select target_type, target, 0, 0, null, null
        from {{ ref("identity_overrides") }}
    ),

    collected as (
        select
            identifier_type,
            identifier,
            max(analytics) = 1 as is_in_analytics,
            sum(sightings) as sighting_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from sightings
        where identifier is not null and identifier <> ''
        group by identifier_type, identifier
    ),

    blocked as (select distinct {{ bare_value("value") }} as bare_value from {{ ref("identity_blocklist") }})

select
    collected.identifier_type,
    collected.identifier,
    collected.is_in_analytics,
    cast(collected.sighting_count as bigint) as sighting_count,
    collected.first_seen_at,
    collected.last_seen_at,
    blocked.bare_value is not null or {{ is_malformed_identifier("collected.identifier") }} as is_blocked
from collected
left join blocked on {{ bare_value("collected.identifier") }} = blocked.bare_value
