{#- A tag that arrives a moment after the session's first event belongs to its entry: GA4 sends session_start and page_view
    for one page load in either order, and only one may carry the campaign. -#}
{%- set entry_seconds = 5 -%}
{%- set timeout_seconds = var("session_timeout_minutes") * 60 -%}
{#- An app or a backend may want another pause than the web; the pause before an event is judged by that event's own. -#}
{%- set timeouts = var("session_timeout_minutes_by_surface") -%}
{%- set timeout_here = "timeout_seconds" if timeouts else timeout_seconds -%}
{%- set timeout_next = "next_timeout_seconds" if timeouts else timeout_seconds -%}
{%- set campaign_fields = utm_fields().keys() | list + click_id_fields() -%}
{%- set columns_read = [
    "event_id",
    "source",
    "user_id",
    "event_name",
    "occurred_at",
    "surface",
] + entry_fields() -%}
{#- What decides a row beside its events: with another pause, another column or another version of this file every device is
    read again. -#}
{%- set decides = [model.raw_code, timeout_seconds, timeouts | dictsort, columns_read] -%}
{%- set rule = local_md5(decides | join(" ")) -%}
{{
    config(
        materialized="incremental",
        incremental_strategy="delete+insert",
        unique_key="session_key",
        on_schema_change="sync_all_columns",
        pre_hook="{{ forget_keys_without_events() }}",
    )
}}
with
    -- A device's sessions follow from its own events alone: while those are what they were, its rows stay. No
    -- watermark decides, so an event that comes weeks late, changes or goes away counts like any other.
    fingerprints as (
        select
            session_key,
            cast(count(*) as varchar)
            || ' '
            || cast({{ unordered_hash(columns_read) }} as varchar)
            || ' {{ rule }}' as events_fingerprint
        from ({{ session_events(columns_read) }}) as read_in
        group by session_key
    ),

    {%- if is_incremental() %}
        changed as (
            select fingerprints.session_key, fingerprints.events_fingerprint
            from fingerprints
            left join
                (select distinct session_key, events_fingerprint from {{ this }}) as known
                on fingerprints.session_key = known.session_key
                and fingerprints.events_fingerprint = known.events_fingerprint
            where known.session_key is null
        ),
    {%- else %} changed as (select session_key, events_fingerprint from fingerprints),
    {%- endif %}

    stream as (
        select
            events.session_key,
            events.event_id,
            events.occurred_at,
            case
                when events.event_name in ('page_view', 'screen_view', 'request') then 1 else 0
            end as page_view,
            case when coalesce({{ campaign_fields | join(", ") }}) is not null then 1 else 0 end as tagged,
            {%- if timeouts %}
                case
                    events.surface
                    {%- for surface, minutes in timeouts.items() %}
                        when {{ text_or_null(surface) }} then {{ minutes * 60 }}
                    {%- endfor %}
                    else {{ timeout_seconds }}
                end as timeout_seconds,
            {%- endif %}
            events.user_id
        from
            (
                {{
                    session_events(
                        ["event_id", "occurred_at", "event_name", "surface", "user_id"] + campaign_fields
                    )
                }}
            ) as events
        {%- if is_incremental() %} inner join changed on events.session_key = changed.session_key {%- endif %}
    ),

    -- The one pass over the stream, narrow on purpose. Rows that open a session are the session rows; what
    -- a session needs
    -- to know about its end is on the row that closes it.
    ordered as (
        select
            *,
            row_number() over (partition by session_key order by occurred_at, event_id) as event_number,
            sum(page_view) over (
                partition by session_key
                order by occurred_at, event_id
                rows between unbounded preceding and current row
            ) as page_views_so_far,
            count(user_id) over (
                partition by session_key
                order by occurred_at, event_id
                rows between unbounded preceding and current row
            ) as logins_so_far,
            lag(occurred_at) over (partition by session_key order by occurred_at, event_id) as previous_at,
            {%- if timeouts %}
                lead(timeout_seconds) over (
                    partition by session_key order by occurred_at, event_id
                ) as next_timeout_seconds,
            {%- endif %}
            lead(occurred_at) over (partition by session_key order by occurred_at, event_id) as next_at
        from stream
    ),

    marked as (
        select
            *,
            case
                when previous_at is null
                then 1
                when {{ seconds_between("previous_at", "occurred_at") }} > {{ timeout_here }}
                then 1
                else 0
            end as opens,
            case
                when next_at is null
                then 1
                when {{ seconds_between("occurred_at", "next_at") }} > {{ timeout_next }}
                then 1
                else 0
            end as closes
        from ordered
    ),

    boundaries as (
        select
            session_key,
            event_id,
            occurred_at,
            event_number,
            page_view,
            page_views_so_far,
            logins_so_far,
            user_id,
            tagged,
            opens,
            closes,
            lead(occurred_at) over (partition by session_key order by event_number) as closing_at,
            lead(event_number) over (partition by session_key order by event_number) as closing_number,
            lead(page_views_so_far) over (
                partition by session_key order by event_number
            ) as closing_page_views,
            lead(logins_so_far) over (partition by session_key order by event_number) as closing_logins
        from marked
        where opens = 1 or closes = 1
    ),

    spans as (
        select
            session_key,
            event_id as entry_event_id,
            occurred_at as started_at,
            case when closes = 1 then occurred_at else closing_at end as ended_at,
            tagged,
            case when closes = 1 then 1 else closing_number - event_number + 1 end as event_count,
            page_view
            + case when closes = 1 then 0 else closing_page_views - page_views_so_far end as page_view_count,
            case when user_id is null then 0 else 1 end
            + case when closes = 1 then 0 else closing_logins - logins_so_far end as login_count
        from boundaries
        where opens = 1
    ),

    -- -------- who was logged in
    session_users as (
        select spans.entry_event_id, stream.user_id
        from spans
        inner join
            stream
            on spans.session_key = stream.session_key
            and stream.occurred_at >= spans.started_at
            and stream.occurred_at <= spans.ended_at
        where spans.login_count > 0 and stream.user_id is not null
        qualify
            row_number() over (partition by spans.entry_event_id order by stream.occurred_at, stream.event_id)
            = 1
    ),

    -- -------- tags of the second event of the same page load
    late_tags as (
        select spans.entry_event_id, events.event_id
        from spans
        inner join
            stream
            on spans.session_key = stream.session_key
            and stream.tagged = 1
            and stream.occurred_at >= spans.started_at
            and stream.occurred_at <= {{ add_seconds("spans.started_at", entry_seconds) }}
            and stream.occurred_at <= spans.ended_at
        inner join {{ ref("int_events__unified") }} as entries on spans.entry_event_id = entries.event_id
        inner join
            {{ ref("int_events__unified") }} as events
            on stream.event_id = events.event_id
            and (
                entries.page_path = events.page_path
                or (entries.page_path is null and events.page_path is null)
            )
        where spans.tagged = 0
        qualify
            row_number() over (partition by spans.entry_event_id order by stream.occurred_at, stream.event_id)
            = 1
    )

select
    -- -------- ids
    {{ hash_id(["spans.session_key", "spans.entry_event_id"]) }} as session_id,
    spans.session_key,
    changed.events_fingerprint,
    entries.source,
    entries.surface,
    entries.device_id,
    session_users.user_id,
    spans.entry_event_id,
    case
        when entries.device_id is not null
        then 'device_id'
        when entries.user_id is not null
        then 'user_id'
        else 'email_hash'
    end as identifier_type,
    coalesce(entries.device_id, entries.user_id, entries.email_hash) as identifier,

    -- -------- timestamps
    spans.started_at,
    spans.ended_at,

    -- -------- numerics
    cast(spans.event_count as bigint) as event_count,
    cast(spans.page_view_count as bigint) as page_view_count,

    {#- A comment here would swallow the first field: the loop strips the line break before it. #}
    {%- for field in entry_fields() %}
        {%- if field in campaign_fields %} coalesce(entries.{{ field }}, tags.{{ field }}) as {{ field }}
        {%- else %} entries.{{ field }}
        {%- endif %}
        {%- if not loop.last %}, {%- endif %}
    {%- endfor %}
from spans
inner join changed on spans.session_key = changed.session_key
inner join {{ ref("int_events__unified") }} as entries on spans.entry_event_id = entries.event_id
left join late_tags on spans.entry_event_id = late_tags.entry_event_id
left join {{ ref("int_events__unified") }} as tags on late_tags.event_id = tags.event_id
left join session_users on spans.entry_event_id = session_users.entry_event_id
