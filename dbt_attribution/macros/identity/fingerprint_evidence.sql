{#- Across more days in which nobody saw it a fingerprint says nothing. On 100,000 people devices led across 90 to 120 days
    were right in .96 of cases, across more in .88. -#}
{% macro fingerprint_window_days() -%} 120 {%- endmacro %}

{#- Which undecided devices a fingerprint leads to a person: a chain of CTEs inside infer_devices, from its CTEs `logins`,
    `owned_devices`, `undecided` and `persons` to `fingerprint_leads` (device, person, sightings within the window),
    `fingerprint_verdicts` (devices led to exactly one person), `fingerprint_judgements` (fingerprints, with the reason why one is
    refused as a whole) and `disputed_devices` (their few fellows gave addresses of several persons). -#}
{% macro fingerprint_evidence() -%}
    {#- Of a machine's cookies at least one in so many must have seen its user log in. A fingerprint on six devices with one
    login is more often that of several machines than of one whose owner rarely logs in; one on fourteen with eight logins
    of one person is a machine whose cookies are wiped. Where cookies were in use at once, twice as many: on 100,000 people
    devices so led were right in .75 to .92 of cases below that and in .97 above. -#}
    {%- set devices_per_login = 5 -%}
    {%- set devices_of_one_machine = 3 -%}
    fingerprint_sightings as (
        select
            identifier as device_id,
            target as fingerprint_id,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from {{ ref("int_identity__observed_links") }}
        where link_kind = 'device_fingerprint' and not is_blocked
        group by identifier, target
    ),

    fingerprint_order as (
        select
            device_id,
            fingerprint_id,
            first_seen_at,
            last_seen_at,
            max(last_seen_at) over (
                partition by fingerprint_id
                order by first_seen_at, device_id
                rows between unbounded preceding and 1 preceding
            ) as seen_until
        from fingerprint_sightings
    ),

    -- Stretches in which a fingerprint was never out of sight for longer than the window.
    fingerprint_chains as (
        select
            device_id,
            fingerprint_id,
            first_seen_at,
            last_seen_at,
            sum(
                case
                    when first_seen_at > {{ add_days("seen_until", fingerprint_window_days()) }} then 1 else 0
                end
            ) over (
                partition by fingerprint_id
                order by first_seen_at, device_id
                rows between unbounded preceding and current row
            ) as chain
        from fingerprint_order
    ),

    -- A browser keeps one cookie at a time, so the cookies of one machine follow each other; a private
    -- window now
    -- and then is let pass where its user is well known.
    fingerprint_devices as (
        select
            fingerprint_id,
            count(*) as devices,
            sum(case when first_seen_at < seen_until then 1 else 0 end) > 0 as are_used_at_once
        from fingerprint_order
        group by fingerprint_id
    ),

    -- What people wrote into forms, on whichever device.
    addresses as (
        select distinct links.identifier as device_id, persons.canonical_user_id
        from {{ ref("int_identity__observed_links") }} as links
        inner join persons on links.target = persons.identifier and persons.identifier_type = 'email_hash'
        where links.link_kind = 'device_email' and not links.is_blocked
    ),

    witnesses_1 as (
        select logins.device_id, logins.canonical_user_id, owners.device_id is not null as is_of_one_person
        from logins
        left join owned_devices as owners on logins.device_id = owners.device_id
    ),

    {#- Twice: a machine is updated while it keeps a cookie, which then vouches for its new fingerprint too. On 100,000
        people the second time names 245 devices more, as often rightly. -#}
    {% for ring in [1, 2] %}
        {% if ring == 2 %}
            witnesses_2 as (
                select verdicts.device_id, verdicts.canonical_user_id, true as is_of_one_person
                from fingerprint_verdicts_1 as verdicts
                left join
                    addresses
                    on verdicts.device_id = addresses.device_id
                    and verdicts.canonical_user_id <> addresses.canonical_user_id
                where addresses.device_id is null
            ),
        {% endif %}

        fingerprint_persons_{{ ring }} as (
            select
                sightings.fingerprint_id,
                count(distinct witnesses.canonical_user_id) as persons,
                count(distinct witnesses.device_id) as known_devices,
                min(witnesses.canonical_user_id) as canonical_user_id
            from fingerprint_sightings as sightings
            inner join witnesses_{{ ring }} as witnesses on sightings.device_id = witnesses.device_id
            {% if ring == 2 %}
                left join fingerprint_persons_1 as known on sightings.fingerprint_id = known.fingerprint_id
                where known.fingerprint_id is null
            {% endif %}
            group by sightings.fingerprint_id
        ),

        fingerprint_judgements_{{ ring }} as (
            select
                people.fingerprint_id,
                people.canonical_user_id,
                people.persons,
                crowd.devices,
                case
                    when people.persons > 1
                    then 'fingerprint_has_several_users'
                    when crowd.devices > {{ devices_per_login }} * people.known_devices
                    then 'fingerprint_on_too_many_devices'
                    when
                        crowd.are_used_at_once
                        and 2 * crowd.devices > {{ devices_per_login }} * people.known_devices
                    then 'fingerprint_on_devices_at_once'
                end as refusal_reason
            from fingerprint_persons_{{ ring }} as people
            inner join fingerprint_devices as crowd on people.fingerprint_id = crowd.fingerprint_id
        ),

        fingerprint_pairs_{{ ring }} as (
            select
                sightings.device_id,
                judgements.canonical_user_id,
                donors.first_seen_at,
                donors.last_seen_at,
                case when donors.chain = sightings.chain then 1 else 0 end as in_window
            from fingerprint_chains as sightings
            inner join undecided on sightings.device_id = undecided.device_id
            inner join
                fingerprint_judgements_{{ ring }} as judgements
                on sightings.fingerprint_id = judgements.fingerprint_id
            inner join fingerprint_chains as donors on sightings.fingerprint_id = donors.fingerprint_id
            inner join
                (select distinct device_id from witnesses_{{ ring }} where is_of_one_person) as witnesses
                on donors.device_id = witnesses.device_id
            {% if ring == 2 %}
                left join
                    (select distinct device_id from fingerprint_pairs_1 where in_window = 1) as settled
                    on sightings.device_id = settled.device_id
            {% endif %}
            where
                judgements.refusal_reason is null {% if ring == 2 %} and settled.device_id is null{% endif %}
        ),

        fingerprint_verdicts_{{ ring }} as (
            select device_id, min(canonical_user_id) as canonical_user_id
            from fingerprint_pairs_{{ ring }}
            where in_window = 1
            group by device_id
            having min(canonical_user_id) = max(canonical_user_id)
        ),
    {% endfor %}

    fingerprint_verdicts as (
        select device_id, canonical_user_id
        from fingerprint_verdicts_1
        union all
        select device_id, canonical_user_id
        from fingerprint_verdicts_2
    ),

    fingerprint_leads as (
        select
            device_id,
            canonical_user_id,
            sum(in_window) as evidence_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from
            (
                select *
                from fingerprint_pairs_1
                union all
                select *
                from fingerprint_pairs_2
            ) as pairs
        group by device_id, canonical_user_id
    ),

    fingerprint_judgements as (
        select fingerprint_id, persons, devices, refusal_reason
        from fingerprint_judgements_1
        union all
        select fingerprint_id, persons, devices, refusal_reason
        from fingerprint_judgements_2
    ),

    disputed_devices as (
        select distinct sightings.device_id
        from fingerprint_sightings as sightings
        inner join
            (
                select fellows.fingerprint_id
                from fingerprint_sightings as fellows
                inner join fingerprint_devices as crowd on fellows.fingerprint_id = crowd.fingerprint_id
                inner join addresses on fellows.device_id = addresses.device_id
                where crowd.devices <= {{ devices_of_one_machine }}
                group by fellows.fingerprint_id
                having min(addresses.canonical_user_id) < max(addresses.canonical_user_id)
            ) as disputed
            on sightings.fingerprint_id = disputed.fingerprint_id
    )
{%- endmacro %}
