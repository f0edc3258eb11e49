with
    resolution as (select * from {{ ref("int_identity__resolution") }}),

    identifiers as (
        select identifier_type, identifier, first_seen_at, last_seen_at
        from {{ ref("int_identity__identifiers") }}
    ),

    members as (
        select
            resolution.canonical_user_id,
            resolution.identifier_type,
            resolution.identifier,
            resolution.match_tier,
            resolution.match_tier_rank,
            -- On a shared device only the person's own stretch says when they were there.
            case
                when resolution.match_tier = 'cookie_interval'
                then resolution.valid_from
                else identifiers.first_seen_at
            end as first_seen_at,
            case
                when resolution.match_tier = 'cookie_interval'
                then resolution.valid_from
                else identifiers.last_seen_at
            end as last_seen_at
        from resolution
        inner join
            identifiers
            on resolution.identifier_type = identifiers.identifier_type
            and resolution.identifier = identifiers.identifier
    ),

    persons as (
        select
            canonical_user_id,
            min(
                case when identifier_type = 'user_id' and match_tier <> 'blocked' then identifier end
            ) as user_id,
            min(match_tier_rank) as tier_rank,
            count(distinct case when identifier_type = 'user_id' then identifier end) as user_count,
            count(distinct case when identifier_type = 'device_id' then identifier end) as device_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from members
        group by canonical_user_id
    ),

    emails as (
        select canonical_user_id, identifier as email_hash
        from members
        where identifier_type = 'email_hash' and match_tier <> 'blocked'
        qualify
            row_number() over (
                partition by canonical_user_id order by match_tier_rank, first_seen_at, identifier
            )
            = 1
    ),

    facts as (
        select
            'user_id' as identifier_type,
            user_id as identifier,
            organisation_id,
            customer_source,
            created_at,
            1 as trust
        from {{ ref("stg_backend__users") }}
        union all
        select 'user_id', user_id, organisation_id, null, started_at, 2
        from {{ ref("stg_backend__subscriptions") }}
        union all
        select
            'contact_id',
            contact_id,
            organisation_id,
            case when is_primary_crm then customer_source end,
            created_at,
            case when is_primary_crm then 3 else 4 end
        from {{ ref("int_crm__contacts") }}
        union all
        select 'contact_id', contact_id, null, customer_source, created_at, 5
        from {{ ref("stg_files__contacts") }}
    ),

    person_facts as (
        select
            members.canonical_user_id,
            nullif(facts.organisation_id, '') as organisation_id,
            nullif(trim(facts.customer_source), '') as customer_source,
            facts.created_at,
            facts.trust,
            facts.identifier
        from facts
        inner join
            members
            on facts.identifier_type = members.identifier_type
            and facts.identifier = members.identifier
    ),

    organisations as (
        select canonical_user_id, organisation_id
        from person_facts
        where organisation_id is not null
        qualify
            row_number() over (
                partition by canonical_user_id order by trust, created_at, identifier, organisation_id
            )
            = 1
    ),

    answers as (
        select canonical_user_id, customer_source
        from person_facts
        where customer_source is not null
        qualify
            row_number() over (
                partition by canonical_user_id order by created_at, trust, identifier, customer_source
            )
            = 1
    )

select
    -- -------- ids
    persons.canonical_user_id,
    persons.user_id,
    organisations.organisation_id,
    emails.email_hash,

    -- -------- text
    answers.customer_source,
    tiers.tier,

    -- -------- numerics
    persons.user_count,
    persons.device_count,

    -- -------- timestamps
    persons.first_seen_at,
    persons.last_seen_at
from persons
inner join {{ ref("identity_tiers") }} as tiers on persons.tier_rank = tiers.tier_rank
left join organisations on persons.canonical_user_id = organisations.canonical_user_id
left join emails on persons.canonical_user_id = emails.canonical_user_id
left join answers on persons.canonical_user_id = answers.canonical_user_id
