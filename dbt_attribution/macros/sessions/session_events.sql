{#- The events that make sessions, with the key they are counted by: the device's, or where there is none the user's or the
    e-mail's, for such an event still belongs to someone's visit.

    A placeholder such as "null" is nobody's device (seeds/identity_blocklist.csv): twelve strangers who bore it were one session.

    A page view seen by both analytics and the backend is one visit: the backend's copy opens sessions only on devices that
    analytics never saw (blocked tags, apps). -#}
{% macro session_events(columns) %}
    {%- set own = {
        "device_id": "case when no_device.identifier is null then events.device_id end",
        "user_id": "case when no_user.identifier is null then events.user_id end",
    } %}
    select
        coalesce(
            {{ own.device_id }}, 'user:' || {{ own.user_id }}, 'email:' || events.email_hash
        ) as session_key
        {%- for column in columns %}, {{ own.get(column, "events." ~ column) }} as {{ column }}{%- endfor %}
    from {{ ref("int_events__unified") }} as events
    left join
        (
            select distinct device_id
            from {{ ref("int_events__unified") }}
            where source <> 'backend' and device_id is not null and not is_bot
        ) as analytics_devices
        on events.device_id = analytics_devices.device_id
    left join ({{ _placeholders("device_id") }}) as no_device on events.device_id = no_device.identifier
    left join ({{ _placeholders("user_id") }}) as no_user on events.user_id = no_user.identifier
    where
        not events.is_bot
        and (
            events.source <> 'backend'
            or analytics_devices.device_id is null
            or no_device.identifier is not null
        )
        and coalesce({{ own.device_id }}, {{ own.user_id }}, events.email_hash) is not null
{% endmacro %}

{#- Ids that are nobody's. Few distinct ones are looked at, not twenty million events. -#}
{% macro _placeholders(column) %}
    select seen.identifier
    from (select distinct {{ column }} as identifier from {{ ref("int_events__unified") }}) as seen
    left join
        (
            select distinct {{ bare_value("value") }} as bare_value from {{ ref("identity_blocklist") }}
        ) as blocked
        on {{ bare_value("seen.identifier") }} = blocked.bare_value
    where
        seen.identifier is not null
        and (blocked.bare_value is not null or {{ is_malformed_identifier("seen.identifier") }})
{% endmacro %}

{#- Before an incremental run: sessions of devices that have no event any more. The run itself replaces those that have. -#}
{% macro forget_keys_without_events() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where session_key not in (select session_key from ({{ session_events([]) }}) as still_there)
    {%- endif -%}
{%- endmacro %}
