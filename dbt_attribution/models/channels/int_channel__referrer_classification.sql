{#- Hosts come from three places: every event's referrer, the entry referrers once more as full addresses (some assistants
    live under a path of another service), and tags that name a site as their source. -#}
with
    mentions as (
        select distinct referrer_domain as mention
        from {{ ref("int_events__unified") }}
        where referrer_domain is not null

        union

        select distinct referrer as mention
        from {{ ref("int_sessions__detected") }}
        where referrer is not null

        union

        select distinct utm_source as mention
        from {{ ref("int_sessions__detected") }}
        where position('.' in utm_source) > 0
    ),

    hosts as (select {{ channel_host("mention") }} as host from mentions),

    classified as ({{ classify_hosts("hosts") }})

select
    -- -------- ids
    host as referrer_domain,

    -- -------- text
    domain_type,
    domain_source,
    matched_domain
from classified
