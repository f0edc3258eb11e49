{#- gbraid and wbraid are aggregates by design, many people carry the same one; decorating ids ride along with shared links.
    These three are minted for one click. -#}
{%- set single_use_tokens = ["gclid", "dclid", "msclkid"] -%}
-- Single-use click ids seen on more than one identifier. One joins exactly two: two devices within half an
-- hour (an in-app
-- browser handing over to the real one), or a device and the contact whose form captured the id.
with
    sightings as (
        {%- for token in single_use_tokens %}
            select '{{ token }}:' || {{ token }} as token, device_id, min(occurred_at) as seen_at
            from {{ ref("int_events__unified") }}
            where not is_bot and device_id is not null and {{ token }} is not null
            group by {{ token }}, device_id
            {%- if not loop.last %}
                union all
            {%- endif %}
        {%- endfor %}
    ),

    usable as (
        select sightings.token, sightings.device_id, sightings.seen_at
        from sightings
        inner join
            {{ ref("int_identity__identifiers") }} as identifiers
            on identifiers.identifier_type = 'device_id'
            and sightings.device_id = identifiers.identifier
        where not identifiers.is_blocked
    ),

    contacts as (
        select
            'gclid:' || gclid as token, min(contact_id) as contact_id, count(distinct contact_id) as contacts
        from {{ ref("int_crm__contacts") }}
        where gclid is not null and gclid <> '' and not is_archived
        group by gclid
    ),

    tokens as (
        select
            usable.token,
            min(usable.device_id) as first_device_id,
            max(usable.device_id) as second_device_id,
            count(*) as devices,
            min(usable.seen_at) as first_seen_at,
            max(usable.seen_at) as last_seen_at
        from usable
        group by usable.token
    )

select
    tokens.token,
    tokens.first_device_id as device_id,
    case when tokens.devices > 1 then 'device_id' else 'contact_id' end as partner_type,
    case when tokens.devices > 1 then tokens.second_device_id else contacts.contact_id end as partner,
    cast(tokens.devices + coalesce(contacts.contacts, 0) as bigint) as identifier_count,
    tokens.first_seen_at,
    tokens.last_seen_at,
    tokens.devices + coalesce(contacts.contacts, 0) > 2
    or {{ seconds_between("tokens.first_seen_at", "tokens.last_seen_at") }} > 1800 as is_refused,
    case
        when tokens.devices + coalesce(contacts.contacts, 0) > 2
        then 'click_token_on_several_identifiers'
        when {{ seconds_between("tokens.first_seen_at", "tokens.last_seen_at") }} > 1800
        then 'click_token_sightings_too_far_apart'
    end as refusal_reason
from tokens
left join contacts on tokens.token = contacts.token
where tokens.devices + coalesce(contacts.contacts, 0) > 1
