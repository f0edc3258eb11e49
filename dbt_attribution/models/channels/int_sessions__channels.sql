with
    -- Reading the host is the dear part (3 s a million addresses) and few addresses are distinct.
    referrers as (
        select referrer, {{ channel_host("referrer") }} as host
        from (select distinct referrer from {{ ref("int_sessions__detected") }}) as spelled
        where referrer is not null
    ),

    visits as (
        select
            sessions.session_id as visit_id,
            sessions.utm_source as source,
            sessions.utm_medium as medium,
            sessions.utm_campaign as campaign,
            referrers.host as referrer_host,
            sessions.page_url,
            sessions.page_host,
            sessions.page_path,
            agents.in_app_browser,
            {%- for id in click_id_fields() %}
                sessions.{{ id }}{%- if not loop.last %},{% endif %}
            {%- endfor %}
        from {{ ref("int_sessions__detected") }} as sessions
        left join referrers on sessions.referrer = referrers.referrer
        left join
            {{ ref("int_channel__user_agent_enrichment") }} as agents
            on sessions.user_agent_hash = agents.user_agent_hash
    ),

    hosts as (
        select referrer_domain as host, domain_type, domain_source, matched_domain
        from {{ ref("int_channel__referrer_classification") }}
    ),

    classified as ({{ classify_channels("visits", "hosts") }})

select
    -- -------- ids
    visit_id as session_id,

    -- -------- text
    channel,
    channel_reason,
    evidence_tier,
    taxonomy_version,
    source,
    medium,
    campaign,
    click_id_type,
    click_id,
    platform
from classified
