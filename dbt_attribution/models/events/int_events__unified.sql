{%- set collected_click_ids = ["gclid", "dclid", "srsltid"] -%}
with
    -- Most vendors keep no user agent; the newest one the backend saw on the same device stands in for it. A
    -- device keeps
    -- its browser, and matching each event to its nearest request would cost a range join over both streams.
    device_user_agents as (
        select device_id, md5(user_agent) as user_agent_hash
        from {{ ref("stg_backend__requests") }}
        where device_id is not null and user_agent <> ''
        group by device_id, user_agent
        qualify row_number() over (partition by device_id order by max(occurred_at) desc, user_agent) = 1
    ),

    collected as (
        select
            web.event_id,
            web.source,
            web.surface,
            web.device_id,
            web.user_id,
            web.email_hash,
            cast(null as {{ type_of("text") }}) as fingerprint_id,
            web.event_name,
            web.occurred_at,
            web.page_url,
            web.referrer,
            {%- for field in utm_fields().values() | list + collected_click_ids %}
                web.{{ field }} as collected_{{ field }},
            {%- endfor %}
            case
                when web.user_agent <> '' then md5(web.user_agent) else agents.user_agent_hash
            end as user_agent_hash,
            web.ip_hash,
            lower(web.device_category) as device_category,
            web.browser,
            web.country,
            web.event_value as value
        from {{ ref("int_events__web") }} as web
        left join device_user_agents as agents on web.device_id = agents.device_id

        union all

        -- Request ids are numbered by the team's own database, as the ids in their files are: the prefix
        -- keeps them apart.
        select
            'request:' || request_id as event_id,
            'backend' as source,
            'backend' as surface,
            device_id,
            user_id,
            null as email_hash,
            fingerprint_id,
            coalesce(event_name, 'request') as event_name,
            occurred_at,
            path as page_url,
            referrer,
            {%- for field in utm_fields().values() | list + collected_click_ids %}
                null as collected_{{ field }},
            {%- endfor %}
            case when user_agent <> '' then md5(user_agent) end as user_agent_hash,
            ip_hash,
            null as device_category,
            null as browser,
            null as country,
            null as value
        from {{ ref("stg_backend__requests") }}

        union all

        select
            event_id,
            'files' as source,
            case when event_name = 'screen_view' then 'app' else 'web' end as surface,
            device_id,
            user_id,
            email_hash,
            fingerprint_id,
            event_name,
            occurred_at,
            page_url,
            referrer,
            {%- for field in utm_fields().values() | list + collected_click_ids %}
                null as collected_{{ field }},
            {%- endfor %}
            case when user_agent <> '' then md5(user_agent) end as user_agent_hash,
            ip_hash,
            null as device_category,
            null as browser,
            null as country,
            null as value
        from {{ ref("stg_files__events") }}
    ),

    -- Ranking only the ids that occur twice keeps the wide rows out of a window over the whole stream.
    repeated as (
        select event_id
        from collected
        where event_id is not null and occurred_at is not null
        group by event_id
        having count(*) > 1
    ),

    deduplicated as (
        select collected.*
        from collected
        left join repeated on collected.event_id = repeated.event_id
        where
            repeated.event_id is null and collected.event_id is not null and collected.occurred_at is not null

        union all

        select collected.*
        from collected
        inner join repeated on collected.event_id = repeated.event_id
        where collected.occurred_at is not null
        qualify
            row_number() over (
                partition by collected.event_id
                order by
                    collected.occurred_at,
                    collected.source,
                    collected.device_id,
                    collected.user_id,
                    collected.page_url,
                    collected.event_name
            )
            = 1
    ),

    prepared as (
        select *, case when position('?' in page_url) > 0 then page_url end as tagged_url from deduplicated
    )

select
    events.event_id,
    events.source,
    events.surface,
    nullif(trim(events.device_id), '') as device_id,
    nullif(trim(events.user_id), '') as user_id,
    nullif(events.email_hash, '') as email_hash,
    nullif(trim(events.fingerprint_id), '') as fingerprint_id,
    events.event_name,
    events.occurred_at,
    events.page_url,
    {{ url_host("events.page_url") }} as page_host,
    {{ page_path("events.page_url") }} as page_path,
    nullif(events.referrer, '') as referrer,
    {{ url_host("events.referrer") }} as referrer_domain,
    {%- for name, field in utm_fields().items() %}
        coalesce(
            {{ utm_value(url_parameter("events.tagged_url", name)) }},
            {{ utm_value("events.collected_" ~ field) }}
        ) as {{ name }},
    {%- endfor %}
    {%- for name in click_id_fields() %}
        {%- if name in collected_click_ids %}
            coalesce(
                {{ click_id_value(url_parameter("events.tagged_url", name)) }},
                {{ click_id_value("events.collected_" ~ name) }}
            ) as {{ name }},
        {%- else %} {{ click_id_value(url_parameter("events.tagged_url", name)) }} as {{ name }},
        {%- endif %}
    {%- endfor %}
    events.user_agent_hash,
    events.ip_hash,
    coalesce(events.device_category, agents.device_type) as device_category,
    coalesce(events.browser, agents.browser) as browser,
    events.country,
    events.value,
    coalesce(agents.is_bot, false) as is_bot
from prepared as events
left join
    {{ ref("int_channel__user_agent_enrichment") }} as agents
    on events.user_agent_hash = agents.user_agent_hash
