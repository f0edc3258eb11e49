{#- The events that make sessions, with the key they are counted by: the device's, or where there is none the user's or the
    e-mail's, for such an event still belongs to someone's visit.

    A page view seen by both analytics and the backend is one visit: the backend's copy opens sessions only on devices that
    analytics never saw (blocked tags, apps). -#}
{% macro session_events(columns) %}
    select
        coalesce(events.device_id, 'user:' || events.user_id, 'email:' || events.email_hash) as session_key
        {%- for column in columns %}, events.{{ column }}{%- endfor %}
    from {{ ref("int_events__unified") }} as events
    left join
        (
            select distinct device_id
            from {{ ref("int_events__unified") }}
            where source <> 'backend' and device_id is not null and not is_bot
        ) as analytics_devices
        on events.device_id = analytics_devices.device_id
    where
        not events.is_bot
        and (events.source <> 'backend' or analytics_devices.device_id is null)
        and coalesce(events.device_id, events.user_id, events.email_hash) is not null
{% endmacro %}

{#- Before an incremental run: sessions of devices that have no event any more. The run itself replaces those that have. -#}
{% macro forget_keys_without_events() -%}
    {%- if is_incremental() -%}
        delete from {{ this }}
        where session_key not in (select session_key from ({{ session_events([]) }}) as still_there)
    {%- endif -%}
{%- endmacro %}
