with
    spans as (select * from {{ ref("int_sessions__spans") }}),

    -- On a shared device the person who logs in during the visit owns it, else whoever's stretch it falls
    -- into.
    logged_in_owners as (
        select spans.session_id, resolution.canonical_user_id
        from spans
        inner join
            {{ ref("int_identity__resolution") }} as resolution
            on spans.identifier_type = 'device_id'
            and resolution.identifier_type = 'device_id'
            and spans.identifier = resolution.identifier
            and resolution.match_tier = 'cookie_interval'
            and resolution.valid_from >= spans.started_at
            and resolution.valid_from <= spans.ended_at
        qualify row_number() over (partition by spans.session_id order by resolution.valid_from) = 1
    )

select
    -- -------- ids
    spans.session_id,
    spans.source,
    spans.surface,
    spans.device_id,
    spans.user_id,
    coalesce(
        case when resolution.match_tier = 'blocked' then 'session:' || spans.entry_event_id end,
        owners.canonical_user_id,
        resolution.canonical_user_id,
        'session:' || spans.entry_event_id
    ) as canonical_user_id,
    spans.entry_event_id,

    -- -------- timestamps
    spans.started_at,
    spans.ended_at,

    -- -------- numerics
    spans.event_count,
    spans.page_view_count,

    {#- A comment here would swallow the first field: the loop strips the line break before it. #}
    {%- for field in entry_fields() %} spans.{{ field }}{% if not loop.last %}, {%- endif %} {%- endfor %}
from spans
left join logged_in_owners as owners on spans.session_id = owners.session_id
left join
    {{ ref("int_identity__resolution") }} as resolution
    on spans.identifier_type = resolution.identifier_type
    and spans.identifier = resolution.identifier
    and spans.started_at >= resolution.valid_from
    and (resolution.valid_to is null or spans.started_at < resolution.valid_to)
