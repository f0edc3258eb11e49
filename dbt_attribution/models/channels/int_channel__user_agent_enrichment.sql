{#- The parsed table is written by Python after dbt's first pass. A bare `dbt build` has none, and a user agent first seen
    today may be missing from it: both read the coarse SQL rules instead. -#}
{%- set parsed = source("enrichment", "dim_user_agent") -%}
{%- set found = none -%}
{%- if execute -%}
    {%- set found = adapter.get_relation(parsed.database, parsed.schema, parsed.identifier) -%}
{%- endif -%}

with
    seen as (
        select user_agent_hash, user_agent, lower(user_agent) as text
        from {{ ref("int_events__user_agents") }}
    ),

    parsed as (
        {% if found %}
            select
                user_agent_hash,
                device_type,
                browser,
                operating_system,
                is_bot,
                is_in_app_browser,
                in_app_browser,
                parser_version
            from {{ parsed }}
        {% else %}
            select
                cast(null as {{ type_of("text") }}) as user_agent_hash,
                cast(null as {{ type_of("text") }}) as device_type,
                cast(null as {{ type_of("text") }}) as browser,
                cast(null as {{ type_of("text") }}) as operating_system,
                cast(null as {{ type_of("boolean") }}) as is_bot,
                cast(null as {{ type_of("boolean") }}) as is_in_app_browser,
                cast(null as {{ type_of("text") }}) as in_app_browser,
                cast(null as {{ type_of("text") }}) as parser_version
            where 1 = 0
        {% endif %}
    ),

    guessed as (
        select
            user_agent_hash,
            {{ user_agent_device_type("text") }} as device_type,
            {{ user_agent_looks_like_bot("text") }} as is_bot,
            {{ user_agent_in_app_browser("text") }} as in_app_browser
        from seen
    )

select
    -- -------- ids
    seen.user_agent_hash,

    -- -------- text
    case
        when parsed.user_agent_hash is null then guessed.device_type else parsed.device_type
    end as device_type,
    parsed.browser,
    parsed.operating_system,
    case
        when parsed.user_agent_hash is null then guessed.in_app_browser else parsed.in_app_browser
    end as in_app_browser,
    coalesce(parsed.parser_version, 'sql') as parser_version,

    -- -------- booleans
    coalesce(parsed.is_bot, guessed.is_bot) as is_bot,
    case
        when parsed.user_agent_hash is null
        then guessed.in_app_browser is not null
        else coalesce(parsed.is_in_app_browser, false)
    end as is_in_app_browser
from seen
inner join guessed on seen.user_agent_hash = guessed.user_agent_hash
left join parsed on seen.user_agent_hash = parsed.user_agent_hash
