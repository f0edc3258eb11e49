{{ config(schema="intermediate") }}
-- Metrics of visits, in one scan. Segments that are not known are left out: an unknown browser explains
-- nothing.
{%- set segments = ["platform", "channel", "landing_page", "browser", "device", "country"] %}
{%- set metrics = {
    "click_id_capture": ("ad_visits_with_click_id", "ad_visits"),
    "utm_completeness": ("tagged_visits_complete", "tagged_visits"),
    "ad_visit_tagging": ("ad_visits_complete", "ad_visits"),
    "utm_taxonomy": ("tagged_visits_classified", "tagged_visits"),
    "cookie_user_coverage": ("devices_with_user", "devices"),
    "authenticated_visits": ("authenticated_visits", "visits"),
} %}
with
    sessions as (
        select
            {{ reporting_date("detected.started_at") }} as date_on,
            detected.device_id,
            channels.channel,
            channels.click_id,
            -- Visits an ad platform sent, by tag or by click id. fbclid stands on unpaid links too, and
            -- proves no ad.
            case
                when channels.channel like 'Paid%' or channels.channel in ('Display', 'Cross-network')
                then channels.platform
            end as platform,
            detected.page_path as landing_page,
            coalesce(detected.browser, agents.browser) as browser,
            coalesce(detected.device_category, agents.device_type) as device,
            detected.country,
            detected.user_id,
            {{ reporting_date("known.known_at") }}
            <= {{ reporting_date("detected.started_at") }} as is_user_known,
            coalesce(detected.utm_source, detected.utm_medium, detected.utm_campaign)
            is not null as is_tagged,
            detected.utm_source is not null
            and detected.utm_medium is not null
            and detected.utm_campaign is not null as is_complete
        from {{ ref("int_sessions__detected") }} as detected
        inner join
            {{ ref("int_sessions__channels") }} as channels on detected.session_id = channels.session_id
        left join {{ ref("int_coverage__known_devices") }} as known on detected.device_id = known.device_id
        left join
            {{ ref("int_channel__user_agent_enrichment") }} as agents
            on detected.user_agent_hash = agents.user_agent_hash
    ),

    counted as (
        {{
            grouped_by_segments(
                "sessions",
                segments,
                {
                    "ad_visits": "count(platform)",
                    "ad_visits_with_click_id": "count(case when platform is not null then click_id end)",
                    "ad_visits_complete": "sum(case when platform is not null and is_complete then 1 else 0 end)",
                    "tagged_visits": "sum(case when is_tagged then 1 else 0 end)",
                    "tagged_visits_complete": "sum(case when is_complete then 1 else 0 end)",
                    "tagged_visits_classified": "sum(case when is_tagged and channel <> 'Unassigned' then 1 else 0 end)",
                    "visits": "count(*)",
                    "authenticated_visits": "count(user_id)",
                    "devices": "count(distinct device_id)",
                    "devices_with_user": "count(distinct case when is_user_known then device_id end)",
                },
            )
        }}
    ),

    labelled as (select counted.*, {{ segment_labels(segments) }} from counted)

{% for metric, counts in metrics.items() %}
        {{
            coverage_rows(
                metric, "proportion", counts[0], counts[1], counts[1], "segment_type", "segment", "labelled"
            )
        }}
    where {{ counts[1] }} > 0 and segment is not null
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
union all
{{
    coverage_rows(
        "event_volume", "count", "ad_visits", "null", "null", "segment_type", "segment", "labelled"
    )
}}
where segment_type in ('platform', 'landing_page') and ad_visits > 0 and segment is not null
