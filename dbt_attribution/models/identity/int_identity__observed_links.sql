{#- Each: kind of link, left column, right column. -#}
{%- set event_links = [
    ("device_user", "device_id", "user_id"),
    ("device_email", "device_id", "email_hash"),
    ("user_email", "email_hash", "user_id"),
    ("device_fingerprint", "device_id", "fingerprint_id"),
] -%}
with
    observed as (
        {%- for kind, left_column, right_column in event_links %}
            select
                '{{ kind }}' as link_kind,
                'events' as source,
                {{ left_column }} as identifier,
                {{ right_column }} as target,
                false as is_verified,
                count(*) as evidence_count,
                min(occurred_at) as first_seen_at,
                max(occurred_at) as last_seen_at
            from {{ ref("int_events__unified") }}
            where not is_bot and {{ left_column }} is not null and {{ right_column }} is not null
            group by {{ left_column }}, {{ right_column }}
            union all
        {%- endfor %}

        select 'device_user', 'device_fingerprints', device_id, user_id, false, 1, first_seen_at, last_seen_at
        from {{ ref("stg_backend__device_fingerprints") }}
        union all
        select
            'device_fingerprint',
            'device_fingerprints',
            device_id,
            fingerprint_id,
            false,
            1,
            first_seen_at,
            last_seen_at
        from {{ ref("stg_backend__device_fingerprints") }}
        union all
        select
            'user_email',
            'users',
            email_hash,
            user_id,
            coalesce(is_email_verified, false),
            1,
            created_at,
            updated_at
        from {{ ref("stg_backend__users") }}
        union all
        select 'user_email', source, email_hash, user_id, false, 1, created_at, updated_at
        from {{ ref("int_crm__contacts") }}
        where not is_archived
        union all
        select 'contact_user', source, contact_id, user_id, false, 1, created_at, updated_at
        from {{ ref("int_crm__contacts") }}
        where not is_archived
        union all
        select 'contact_email', source, contact_id, email_hash, false, 1, created_at, updated_at
        from {{ ref("int_crm__contacts") }}
        where not is_archived
        union all
        select 'user_email', 'klaviyo', email_hash, user_id, false, 1, created_at, updated_at
        from {{ ref("stg_klaviyo__profiles") }}
        union all
        select 'user_email', source, email_hash, user_id, false, 1, created_at, created_at
        from {{ ref("int_identity__vendor_profiles") }}
        union all
        select 'user_email', 'files', email_hash, user_id, false, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'contact_user', 'files', contact_id, user_id, false, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'contact_email', 'files', contact_id, email_hash, false, 1, created_at, created_at
        from {{ ref("stg_files__contacts") }}
        union all
        select 'device_user', 'conversions', device_id, user_id, false, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        select 'device_email', 'conversions', device_id, email_hash, false, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        select 'user_email', 'conversions', email_hash, user_id, false, 1, converted_at, converted_at
        from {{ ref("stg_files__conversions") }}
        union all
        select 'vendor_merge', source, device_id, user_id, false, 1, merged_at, merged_at
        from {{ ref("int_identity__vendor_merges") }}
    ),

    typed as (
        select
            link_kind,
            source,
            case
                when link_kind in ('device_user', 'device_email', 'device_fingerprint', 'vendor_merge')
                then 'device_id'
                when link_kind = 'user_email'
                then 'email_hash'
                else 'contact_id'
            end as identifier_type,
            identifier,
            case
                when link_kind in ('device_email', 'contact_email')
                then 'email_hash'
                when link_kind = 'device_fingerprint'
                then 'fingerprint_id'
                else 'user_id'
            end as target_type,
            target,
            max(case when is_verified then 1 else 0 end) = 1 as is_verified,
            sum(evidence_count) as evidence_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from observed
        where identifier <> '' and target <> ''
        group by link_kind, source, identifier, target
    ),

    placeholders as (
        select distinct {{ bare_value("value") }} as bare_value from {{ ref("identity_blocklist") }}
    )

select
    typed.link_kind,
    typed.source,
    typed.identifier_type,
    typed.identifier,
    typed.target_type,
    typed.target,
    typed.is_verified,
    cast(typed.evidence_count as bigint) as evidence_count,
    typed.first_seen_at,
    typed.last_seen_at,
    (
        left_placeholders.bare_value is not null
        or right_placeholders.bare_value is not null
        or {{ is_malformed_identifier("typed.identifier") }}
        or {{ is_malformed_identifier("typed.target") }}
    ) as is_blocked,
    excluded.identifier is not null as is_excluded
from typed
left join
    placeholders as left_placeholders on {{ bare_value("typed.identifier") }} = left_placeholders.bare_value
left join
    placeholders as right_placeholders on {{ bare_value("typed.target") }} = right_placeholders.bare_value
left join
    {{ ref("int_identity__overrides") }} as excluded
    on excluded.action = 'exclude'
    and typed.identifier_type = excluded.identifier_type
    and typed.identifier = excluded.identifier
    and typed.target_type = excluded.target_type
    and typed.target = excluded.target
