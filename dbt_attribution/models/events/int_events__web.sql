{{ config(materialized="view", tags=["base"]) }}
{%- set collected_fields = utm_fields().values() | list + ["gclid", "dclid", "srsltid"] -%}
{%- set ranked = web_sources() -%}
-- A visit tracked by two vendors is one visit. For each host and UTC day the first vendor of the priority
-- list
-- that saw it
-- counts, the others' rows of that host and day are left out: a vendor that was put in later, taken out or
-- that
-- failed for
-- a day is filled in by the next one, and sites that only one of them tracks are kept.
with
    collected as (
        select
            event_id,
            'ga4' as source,
            case when lower(platform) in ('ios', 'android') then 'app' else 'web' end as surface,
            device_id,
            user_id,
            cast(null as {{ type_of("text") }}) as email_hash,
            event_name,
            occurred_at,
            page_url,
            referrer,
            {%- for field in collected_fields %} {{ field }}, {%- endfor %}
            cast(null as {{ type_of("text") }}) as user_agent,
            cast(null as {{ type_of("text") }}) as ip_hash,
            device_category,
            browser,
            country,
            event_value
        from {{ ref("stg_ga4__events") }}
        {%- for vendor in ["posthog", "mixpanel", "amplitude"] %}
            union all
            select
                event_id,
                '{{ vendor }}' as source,
                {{ web_event_surface() }} as surface,
                device_id,
                user_id,
                email_hash,
                event_name,
                occurred_at,
                page_url,
                referrer,
                {%- for field in collected_fields %} null as {{ field }}, {%- endfor %}
                user_agent,
                ip_hash,
                device_category,
                browser,
                country,
                event_value
            from {{ ref("stg_" ~ vendor ~ "__events") }}
            where not is_bookkeeping
        {%- endfor %}
    )

{%- if ranked | length < 2 %} select * from collected
{%- else %}
        ,

        placed as (
            select
                *,
                coalesce({{ url_host("page_url") }}, '') as site,
                cast(occurred_at as date) as seen_on,
                {{ web_source_rank("source") }} as source_rank
            from collected
        ),

        sites as (select distinct site, seen_on, source_rank from placed),

        leaders as (
            select site, seen_on, min(source_rank) as source_rank
            from sites
            where site <> ''
            group by site, seen_on
        ),

        counting as (
            select site, seen_on, source_rank
            from leaders
            union
            -- An event without an address, as servers send, counts when its vendor leads any site of the
            -- day, since
            -- the leader of its own site has probably recorded the same thing.
            select '' as site, seen_on, source_rank
            from leaders
            union
            select sites.site, sites.seen_on, min(sites.source_rank) as source_rank
            from sites
            left join leaders on sites.seen_on = leaders.seen_on
            where sites.site = '' and leaders.seen_on is null
            group by sites.site, sites.seen_on
        )

    select
        {%- for field in [
            "event_id",
            "source",
            "surface",
            "device_id",
            "user_id",
            "email_hash",
            "event_name",
            "occurred_at",
            "page_url",
            "referrer",
        ] + collected_fields + [
            "user_agent",
            "ip_hash",
            "device_category",
            "browser",
            "country",
            "event_value",
        ] %}
            placed.{{ field }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from placed
    inner join
        counting
        on placed.site = counting.site
        and placed.seen_on = counting.seen_on
        and placed.source_rank = counting.source_rank
{%- endif %}
