{#- Devices nobody logged in on, led to a person by weaker evidence. Each tier looks only at devices that no stronger tier
    settled, and only devices point at persons: joining users over a shared fingerprint merges 68,000 cookies into one
    "person" on a world of 250,000.

    `logins` is a relation shaped like int_identity__device_logins. A macro, because the quality report asks the same rules
    again with some logins hidden. -#}
{% macro infer_devices(logins) -%}
    {%- set landing_window_seconds = 1800 -%}
    with
        devices as (
            select identifier as device_id
            from {{ ref("int_identity__identifiers") }}
            where identifier_type = 'device_id' and not is_blocked
        ),

        persons as (
            select identifier_type, identifier, canonical_user_id, user_count
            from {{ ref("int_identity__person_components") }}
        ),

        logins as (select * from {{ logins }} where not is_refused),

        owned_devices as (
            select device_id, min(canonical_user_id) as canonical_user_id
            from logins
            where tier in ('manual_override', 'vendor_merge', 'cookie_single_user')
            group by device_id
        ),

        undecided as (
            select devices.device_id
            from devices
            left join
                (select distinct device_id from logins) as decided on devices.device_id = decided.device_id
            where decided.device_id is null
        ),

        -- -------- click_token
        tokens as (
            select device_id, partner_type, partner, first_seen_at, last_seen_at
            from {{ ref("int_identity__click_tokens") }}
            where not is_refused
        ),

        token_candidates as (
            select tokens.device_id, owners.canonical_user_id, tokens.first_seen_at, tokens.last_seen_at
            from tokens
            inner join owned_devices as owners on tokens.partner = owners.device_id
            where tokens.partner_type = 'device_id'
            union all
            select tokens.partner, owners.canonical_user_id, tokens.first_seen_at, tokens.last_seen_at
            from tokens
            inner join owned_devices as owners on tokens.device_id = owners.device_id
            where tokens.partner_type = 'device_id'
            union all
            select tokens.device_id, persons.canonical_user_id, tokens.first_seen_at, tokens.last_seen_at
            from tokens
            inner join
                persons on tokens.partner = persons.identifier and persons.identifier_type = 'contact_id'
            where tokens.partner_type = 'contact_id'
        ),

        token_edges as (
            select
                candidates.device_id,
                candidates.canonical_user_id,
                'click_token' as tier,
                count(*) as evidence_count,
                min(candidates.first_seen_at) as first_seen_at,
                max(candidates.last_seen_at) as last_seen_at,
                case
                    when max(excluded.device_id) is not null
                    then 'excluded_by_override'
                    when count(*) over (partition by candidates.device_id) > 1
                    then 'click_tokens_lead_to_several_persons'
                end as refusal_reason
            from token_candidates as candidates
            inner join undecided on candidates.device_id = undecided.device_id
            left join
                {{ ref("int_identity__device_exclusions") }} as excluded
                on candidates.device_id = excluded.device_id
                and candidates.canonical_user_id = excluded.canonical_user_id
            group by candidates.device_id, candidates.canonical_user_id
        ),

        {{ fingerprint_evidence() }},

        -- -------- email_only
        email_edges as (
            select
                links.identifier as device_id,
                persons.canonical_user_id,
                'email_only' as tier,
                sum(links.evidence_count) as evidence_count,
                min(links.first_seen_at) as first_seen_at,
                max(links.last_seen_at) as last_seen_at,
                case
                    when max(case when links.is_blocked then 1 else 0 end) = 1
                    then 'blocked_value'
                    when max(excluded.device_id) is not null
                    then 'excluded_by_override'
                    when count(*) over (partition by links.identifier) > 1
                    then 'device_has_several_emails'
                    -- An address in a form is unproven, and so is a fingerprint: where they name two
                    -- persons, neither
                    -- is believed. On 100,000 people that keeps out a third of the wrong addresses.
                    when max(verdicts.canonical_user_id) <> persons.canonical_user_id
                    then 'fingerprint_says_another_person'
                    -- Nor of two addresses from one machine on which nobody logged in.
                    when max(verdicts.device_id) is null and max(disputed.device_id) is not null
                    then 'addresses_on_fingerprint_differ'
                end as refusal_reason
            from {{ ref("int_identity__observed_links") }} as links
            inner join undecided on links.identifier = undecided.device_id
            inner join persons on links.target = persons.identifier and persons.identifier_type = 'email_hash'
            left join fingerprint_verdicts as verdicts on links.identifier = verdicts.device_id
            left join disputed_devices as disputed on links.identifier = disputed.device_id
            left join
                {{ ref("int_identity__device_exclusions") }} as excluded
                on links.identifier = excluded.device_id
                and persons.canonical_user_id = excluded.canonical_user_id
            where links.link_kind = 'device_email'
            group by links.identifier, persons.canonical_user_id
        ),

        after_email as (
            select undecided.device_id
            from undecided
            left join
                (
                    select device_id
                    from token_edges
                    where refusal_reason is null
                    union
                    select device_id
                    from email_edges
                    where refusal_reason is null
                ) as decided
                on undecided.device_id = decided.device_id
            where decided.device_id is null
        ),

        contradicted as (
            select device_id from email_edges where refusal_reason = 'fingerprint_says_another_person'
        ),

        -- -------- device_graph
        fingerprint_edges as (
            select
                leads.device_id,
                leads.canonical_user_id,
                'device_graph' as tier,
                leads.evidence_count,
                leads.first_seen_at,
                leads.last_seen_at,
                case
                    when leads.evidence_count = 0
                    then 'sightings_over_{{ fingerprint_window_days() }}_days_apart'
                    when excluded.device_id is not null
                    then 'excluded_by_override'
                    when count(*) over (partition by leads.device_id) > 1
                    then 'fingerprints_lead_to_several_persons'
                    when contradicted.device_id is not null
                    then 'email_says_another_person'
                end as refusal_reason
            from fingerprint_leads as leads
            inner join after_email on leads.device_id = after_email.device_id
            left join contradicted on leads.device_id = contradicted.device_id
            left join
                {{ ref("int_identity__device_exclusions") }} as excluded
                on leads.device_id = excluded.device_id
                and leads.canonical_user_id = excluded.canonical_user_id
        ),

        {% if var("identity_ip_window_enabled") %}
            -- -------- ip_ua_window
            after_fingerprint as (
                select after_email.device_id
                from after_email
                left join
                    (select distinct device_id from fingerprint_edges where refusal_reason is null) as decided
                    on after_email.device_id = decided.device_id
                where decided.device_id is null
            ),

            -- A sign-up that reached the server without the cookie.
            sign_ups as (
                select
                    events.event_id,
                    events.ip_hash,
                    events.user_agent_hash,
                    events.occurred_at,
                    persons.canonical_user_id
                from {{ ref("int_events__unified") }} as events
                inner join
                    persons on events.user_id = persons.identifier and persons.identifier_type = 'user_id'
                where
                    events.event_name = 'sign_up'
                    and events.device_id is null
                    and not events.is_bot
                    and events.ip_hash is not null
                    and events.user_agent_hash is not null
            ),

            landing_pairs as (
                select distinct events.device_id, sign_ups.canonical_user_id, sign_ups.occurred_at
                from sign_ups
                inner join
                    {{ ref("int_events__unified") }} as events
                    on sign_ups.ip_hash = events.ip_hash
                    and sign_ups.user_agent_hash = events.user_agent_hash
                    and events.occurred_at <= sign_ups.occurred_at
                    and events.occurred_at
                    >= {{ add_seconds("sign_ups.occurred_at", -landing_window_seconds) }}
                where events.device_id is not null
            ),

            landing_counts as (
                select
                    device_id,
                    canonical_user_id,
                    occurred_at,
                    min(canonical_user_id) over (partition by device_id)
                    = max(canonical_user_id) over (partition by device_id) as device_is_unique,
                    min(device_id) over (partition by canonical_user_id)
                    = max(device_id) over (partition by canonical_user_id) as person_is_unique
                from landing_pairs
            ),

            landing_edges as (
                select
                    landings.device_id,
                    landings.canonical_user_id,
                    'ip_ua_window' as tier,
                    count(*) as evidence_count,
                    min(landings.occurred_at) as first_seen_at,
                    max(landings.occurred_at) as last_seen_at,
                    case
                        when max(excluded.device_id) is not null
                        then 'excluded_by_override'
                        when not max(landings.device_is_unique) or not max(landings.person_is_unique)
                        then 'landing_not_unique'
                    end as refusal_reason
                from landing_counts as landings
                inner join after_fingerprint on landings.device_id = after_fingerprint.device_id
                left join
                    {{ ref("int_identity__device_exclusions") }} as excluded
                    on landings.device_id = excluded.device_id
                    and landings.canonical_user_id = excluded.canonical_user_id
                group by landings.device_id, landings.canonical_user_id
            ),
        {% endif %}

        inferred as (
            select *
            from token_edges
            union all
            select *
            from email_edges
            union all
            select *
            from fingerprint_edges
            {% if var("identity_ip_window_enabled") %}
                union all
                select *
                from landing_edges
            {% endif %}
        ),

        -- -------- two devices of one unknown person, joined by a click alone
        still_unknown as (
            select after_email.device_id
            from after_email
            left join
                (select distinct device_id from inferred where refusal_reason is null) as decided
                on after_email.device_id = decided.device_id
            where decided.device_id is null
        ),

        unknown_pairs as (
            select distinct
                tokens.device_id as low_device_id,
                tokens.partner as high_device_id,
                first_seen_at,
                last_seen_at
            from tokens
            inner join still_unknown as lows on tokens.device_id = lows.device_id
            inner join still_unknown as highs on tokens.partner = highs.device_id
            where tokens.partner_type = 'device_id'
        ),

        unknown_members as (
            select low_device_id as device_id, low_device_id, high_device_id, first_seen_at, last_seen_at
            from unknown_pairs
            union all
            select high_device_id, low_device_id, high_device_id, first_seen_at, last_seen_at
            from unknown_pairs
        ),

        unknown_edges as (
            select
                device_id,
                {{ anonymous_person("'device_id'", "low_device_id") }} as canonical_user_id,
                'click_token' as tier,
                count(*) as evidence_count,
                min(first_seen_at) as first_seen_at,
                max(last_seen_at) as last_seen_at,
                cast(null as {{ type_of("text") }}) as refusal_reason
            from unknown_members
            where
                low_device_id in (
                    select device_id
                    from unknown_members
                    group by device_id
                    having
                        min(low_device_id) = max(low_device_id) and min(high_device_id) = max(high_device_id)
                )
                and high_device_id in (
                    select device_id
                    from unknown_members
                    group by device_id
                    having
                        min(low_device_id) = max(low_device_id) and min(high_device_id) = max(high_device_id)
                )
            group by device_id, low_device_id
        ),

        -- -------- fingerprints that were refused as a whole
        refused_fingerprints as (
            select
                judgements.fingerprint_id,
                judgements.devices,
                judgements.persons,
                judgements.refusal_reason,
                min(sightings.first_seen_at) as first_seen_at,
                max(sightings.last_seen_at) as last_seen_at
            from fingerprint_judgements as judgements
            inner join
                fingerprint_sightings as sightings on judgements.fingerprint_id = sightings.fingerprint_id
            inner join after_email on sightings.device_id = after_email.device_id
            where judgements.refusal_reason is not null
            group by
                judgements.fingerprint_id, judgements.devices, judgements.persons, judgements.refusal_reason
        )

    select
        'device_id' as identifier_type,
        device_id as identifier,
        canonical_user_id,
        tier,
        cast(evidence_count as bigint) as evidence_count,
        first_seen_at,
        last_seen_at,
        refusal_reason is not null as is_refused,
        refusal_reason
    from inferred

    union all

    select
        'device_id',
        device_id,
        canonical_user_id,
        tier,
        cast(evidence_count as bigint),
        first_seen_at,
        last_seen_at,
        false,
        refusal_reason
    from unknown_edges

    union all

    select
        'click_token',
        token,
        null,
        'click_token',
        identifier_count,
        first_seen_at,
        last_seen_at,
        true,
        refusal_reason
    from {{ ref("int_identity__click_tokens") }}
    where is_refused

    union all

    select
        'fingerprint_id',
        fingerprint_id,
        null,
        'device_graph',
        cast(
            case when refusal_reason = 'fingerprint_has_several_users' then persons else devices end as bigint
        ),
        first_seen_at,
        last_seen_at,
        true,
        refusal_reason
    from refused_fingerprints
{%- endmacro %}
