with
    events as (
        select *
        from {{ ref("int_conversion_events__web") }}
        union all
        select *
        from {{ ref("int_conversion_events__crm") }}
        union all
        select *
        from {{ ref("int_conversion_events__subscription") }}
        union all
        select *
        from {{ ref("int_conversion_events__file") }}
    ),

    -- One row a conversion and kind of identifier it carries, most telling first.
    identifiers as (
        select
            conversion_type,
            source,
            source_id,
            converted_at,
            1 as trust,
            'user_id' as identifier_type,
            user_id as identifier
        from events
        where user_id is not null
        union all
        select conversion_type, source, source_id, converted_at, 2, 'contact_id', contact_id
        from events
        where contact_id is not null
        union all
        select conversion_type, source, source_id, converted_at, 3, 'email_hash', email_hash
        from events
        where email_hash is not null
        union all
        select conversion_type, source, source_id, converted_at, 4, 'device_id', device_id
        from events
        where device_id is not null
    ),

    persons as (
        select
            identifiers.conversion_type,
            identifiers.source,
            identifiers.source_id,
            resolution.canonical_user_id
        from identifiers
        inner join
            {{ ref("int_identity__resolution") }} as resolution
            on identifiers.identifier_type = resolution.identifier_type
            and identifiers.identifier = resolution.identifier
            and identifiers.converted_at >= resolution.valid_from
            and (resolution.valid_to is null or identifiers.converted_at < resolution.valid_to)
        where resolution.match_tier <> 'blocked'
        qualify
            row_number() over (
                partition by identifiers.conversion_type, identifiers.source, identifiers.source_id
                order by identifiers.trust, resolution.canonical_user_id
            )
            = 1
    )

select
    -- -------- ids
    {{ hash_id(["events.conversion_type", "events.source", "events.source_id"]) }} as conversion_id,
    events.source,
    events.source_id,
    coalesce(
        persons.canonical_user_id,
        'conversion:' || {{ hash_id(["events.conversion_type", "events.source", "events.source_id"]) }}
    ) as canonical_user_id,
    events.user_id,
    events.subscription_id,

    -- -------- text
    events.conversion_type,
    events.product,

    -- -------- numerics
    coalesce(events.revenue, 0) as original_revenue,
    coalesce(events.currency, '{{ var("reporting_currency") }}') as original_currency,
    {{ lookback_of("events.conversion_type") }} as lookback_days,

    -- -------- timestamps
    events.converted_at
from events
left join
    persons
    on events.conversion_type = persons.conversion_type
    and events.source = persons.source
    and events.source_id = persons.source_id
where
    events.converted_at is not null
    -- A CRM tells of deals won long before the first visit we have; with no touch behind them all their
    -- credit would fall to Direct.
    and {{ reporting_date("events.converted_at") }} >= cast('{{ var("history_start") }}' as date)
