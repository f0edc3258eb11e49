-- Every identifier and the person it belongs to. Exactly one row is valid at any moment: most identifiers
-- have one row
-- for all time, a shared device has one per login stretch and one per gap between them.
with
    identifiers as (select * from {{ ref("int_identity__identifiers") }}),

    components as (
        select identifier_type, identifier, canonical_user_id
        from {{ ref("int_identity__person_components") }}
    ),

    accepted as (
        select
            graph.identifier_type,
            graph.identifier,
            coalesce(users.canonical_user_id, graph.user_id) as canonical_user_id,
            graph.tier,
            tiers.tier_rank,
            graph.evidence_count
        from {{ ref("int_identity__device_graph") }} as graph
        inner join {{ ref("identity_tiers") }} as tiers on graph.tier = tiers.tier
        left join
            components as users on users.identifier_type = 'user_id' and graph.user_id = users.identifier
        where not graph.is_refused
    ),

    best_edges as (
        select *
        from accepted
        qualify
            row_number() over (
                partition by identifier_type, identifier
                order by tier_rank, evidence_count desc, canonical_user_id
            )
            = 1
    ),

    settled as (
        select
            identifiers.identifier_type,
            identifiers.identifier,
            case
                when identifiers.is_blocked
                then 'blocked:' || identifiers.identifier_type || ':' || identifiers.identifier
                when identifiers.identifier_type <> 'device_id'
                then components.canonical_user_id
                when best_edges.identifier is not null
                then best_edges.canonical_user_id
                else {{ anonymous_person("identifiers.identifier_type", "identifiers.identifier") }}
            end as canonical_user_id,
            case
                when identifiers.is_blocked
                then 'blocked'
                when best_edges.tier is not null
                then best_edges.tier
                when identifiers.identifier_type = 'user_id'
                then 'strong_id'
                when identifiers.identifier_type = 'device_id' and identifiers.is_in_analytics
                then 'unresolved_analytics'
                else 'unresolved_backend'
            end as match_tier,
            case
                when best_edges.tier is not null and not identifiers.is_blocked
                then best_edges.evidence_count
                else identifiers.sighting_count
            end as evidence_count,
            {{ beginning_of_time() }} as valid_from,
            cast(null as {{ type_of("timestamp") }}) as valid_to
        from identifiers
        left join
            components
            on identifiers.identifier_type = components.identifier_type
            and identifiers.identifier = components.identifier
        left join
            best_edges
            on identifiers.identifier_type = best_edges.identifier_type
            and identifiers.identifier = best_edges.identifier
    ),

    shared_devices as (
        select settled.identifier as device_id, max(logins.person_count) as person_count
        from settled
        inner join {{ ref("int_identity__device_logins") }} as logins on settled.identifier = logins.device_id
        where settled.identifier_type = 'device_id' and settled.match_tier = 'cookie_interval'
        group by settled.identifier
    ),

    stretches as (
        select
            intervals.device_id,
            shared_devices.person_count,
            intervals.canonical_user_id,
            intervals.evidence_count,
            intervals.valid_from,
            intervals.valid_to,
            lead(intervals.valid_from) over (
                partition by intervals.device_id order by intervals.valid_from
            ) as next_from
        from {{ ref("int_identity__login_intervals") }} as intervals
        inner join shared_devices on intervals.device_id = shared_devices.device_id
    ),

    gaps as (
        -- A shared device whose users are known from a table alone has no stretch at all.
        select
            shared_devices.device_id,
            max(shared_devices.person_count) as person_count,
            {{ beginning_of_time() }} as valid_from,
            min(stretches.valid_from) as valid_to
        from shared_devices
        left join stretches on shared_devices.device_id = stretches.device_id
        group by shared_devices.device_id

        union all

        select device_id, person_count, valid_to as valid_from, next_from as valid_to
        from stretches
        where valid_to is not null and (next_from is null or valid_to < next_from)
    ),

    -- Strangers who do not log in on a public machine are told apart by the pause between them.
    public_arrivals as (
        select device_id, occurred_at
        from
            (
                select
                    events.device_id,
                    events.occurred_at,
                    lag(events.occurred_at) over (
                        partition by events.device_id order by events.occurred_at, events.event_id
                    ) as previous_at
                from {{ ref("int_events__unified") }} as events
                inner join shared_devices on events.device_id = shared_devices.device_id
                where not events.is_bot and shared_devices.person_count > {{ household_persons() }}
            ) as visits
        where {{ seconds_between("previous_at", "occurred_at") }} > {{ var("session_timeout_minutes") * 60 }}
    ),

    unowned as (
        select
            device_id,
            person_count,
            starts_at as valid_from,
            coalesce(
                lead(starts_at) over (partition by device_id, valid_from order by starts_at), valid_to
            ) as valid_to
        from
            (
                select device_id, person_count, valid_from, valid_to, valid_from as starts_at
                from gaps
                union all
                select gaps.device_id, gaps.person_count, gaps.valid_from, gaps.valid_to, arrivals.occurred_at
                from gaps
                inner join
                    public_arrivals as arrivals
                    on gaps.device_id = arrivals.device_id
                    and gaps.valid_from < arrivals.occurred_at
                    and (gaps.valid_to is null or arrivals.occurred_at < gaps.valid_to)
            ) as starts
    ),

    rows_of_all as (
        select
            identifier_type, identifier, canonical_user_id, match_tier, evidence_count, valid_from, valid_to
        from settled
        where match_tier <> 'cookie_interval'

        union all

        select
            'device_id', device_id, canonical_user_id, 'cookie_interval', evidence_count, valid_from, valid_to
        from stretches

        union all

        select
            'device_id',
            unowned.device_id,
            -- Strangers who did not log in on a kiosk are no one person: 20 such kiosks cost a world of
            -- 20,000 people a point of pairwise precision.
            {{ anonymous_person("'device_id'", "unowned.device_id") }} || case
                when unowned.person_count > {{ household_persons() }}
                then
                    '@' || cast(
                        cast(
                            {{ seconds_between(beginning_of_time(), "unowned.valid_from") }} as bigint
                        ) as {{ type_of("text") }}
                    )
                else ''
            end,
            case when identifiers.is_in_analytics then 'unresolved_analytics' else 'unresolved_backend' end,
            0,
            unowned.valid_from,
            unowned.valid_to
        from unowned
        inner join
            identifiers
            on identifiers.identifier_type = 'device_id'
            and unowned.device_id = identifiers.identifier
    )

select
    -- -------- ids
    resolved.identifier_type,
    resolved.identifier,
    resolved.canonical_user_id,

    -- -------- text
    resolved.match_tier,
    {{ identity_rule_version() }} as rule_version,

    -- -------- numerics
    tiers.tier_rank as match_tier_rank,
    tiers.confidence,
    cast(resolved.evidence_count as bigint) as evidence_count,

    -- -------- timestamps
    resolved.valid_from,
    resolved.valid_to
from rows_of_all as resolved
inner join {{ ref("identity_tiers") }} as tiers on resolved.match_tier = tiers.tier
