{#- Product analytics vendors that track sites and apps, first the one that counts where several do. -#}
{% macro web_sources() -%}
    {{ return(var("web_source_priority") | select("in", var("enabled_sources")) | list) }}
{%- endmacro %}

{#- Rank of a web source in that order, from 1; null for the backend and for files. -#}
{% macro web_source_rank(source) -%}
    {%- set ranked = web_sources() -%}
    {%- if ranked -%}
        case {{ source }} {% for name in ranked %} when '{{ name }}' then {{ loop.index }}{% endfor %} end
    {%- else -%} cast(null as integer)
    {%- endif -%}
{%- endmacro %}

{#- A vendor's event name as text. A dollar sign stands apart: the Snowflake emulator takes `$name` for a session variable even
    inside quotes. -#}
{% macro event_name_literal(name) -%}
    {%- if name.startswith("$") -%} '$' || '{{ name[1:] }}' {%- else -%} '{{ name }}' {%- endif -%}
{%- endmacro %}

{#- A product analytics vendor's raw events, one shape whoever the vendor is (dlt_pipelines/web_events.py).

    `names` maps the vendor's name of an event to the common one; `bookkeeping` lists events that say who somebody is or when
    a session began, and are nobody's behaviour. A server's event names no device: its id is a device's when any browser
    used it, else a user's. -#}
{% macro staged_web_events(source_name, names, bookkeeping) %}
    with
        source as (
            {{
                raw_table(
                    source_name,
                    "events",
                    {
                        "event_id": "text",
                        "device_id": "text",
                        "user_id": "text",
                        "distinct_id": "text",
                        "person_id": "text",
                        "merged_id": "text",
                        "email_hash": "text",
                        "ip_hash": "text",
                        "event_name": "text",
                        "page_url": "text",
                        "referrer": "text",
                        "user_agent": "text",
                        "device_category": "text",
                        "browser": "text",
                        "operating_system": "text",
                        "country": "text",
                        "properties": "json",
                        "event_value": "double",
                        "event_date": "date",
                        "occurred_at": "timestamp",
                        "received_at": "timestamp",
                    },
                )
            }}
        ),

        devices as (select distinct device_id from source where device_id is not null)

    select
        -- -------- ids
        source.event_id,
        coalesce(source.device_id, devices.device_id) as device_id,
        case
            when source.user_id is not null
            then source.user_id
            when source.device_id is null and devices.device_id is null
            then source.distinct_id
        end as user_id,
        source.distinct_id,
        source.person_id,
        source.merged_id,
        source.email_hash,
        source.ip_hash,

        -- -------- text
        case
            source.event_name
            {%- for theirs, ours in names.items() %}
                when {{ event_name_literal(theirs) }} then '{{ ours }}'
            {% endfor %}
            else source.event_name
        end as event_name,
        source.page_url,
        source.referrer,
        source.user_agent,
        source.device_category,
        source.browser,
        source.operating_system,
        source.country,
        source.properties as event_properties,

        -- -------- flags
        source.event_name in (
            {%- for name in bookkeeping -%}
                {{ event_name_literal(name) }}{% if not loop.last %}, {% endif %}
            {%- endfor -%}
        ) as is_bookkeeping,

        -- -------- numerics
        source.event_value,

        -- -------- dates
        source.event_date as event_on,

        -- -------- timestamps
        source.occurred_at,
        source.received_at
    from source
    left join devices on source.device_id is null and source.distinct_id = devices.device_id
{% endmacro %}

{#- Where a product analytics event happened. A browser sends an address or its own name with every event, an app its phone's
    system alone, a server neither. -#}
{% macro web_event_surface() -%}
    case
        when event_name = 'screen_view'
        then 'app'
        when page_url is not null or browser is not null
        then 'web'
        when lower(operating_system) in ('ios', 'ipados', 'android')
        then 'app'
        when device_id is null
        then 'backend'
        else 'web'
    end
{%- endmacro %}
