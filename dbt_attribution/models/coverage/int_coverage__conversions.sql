{{ config(schema="intermediate") }}
-- Of a day's conversions: how many have an observed touch, and how many have none but Direct. Segments of
-- the last visit exist
-- only where there was one, so they say something about Direct and nothing about coverage.
{%- set segments = ["conversion_type", "source", "landing_page", "browser", "device", "country"] %}
with
    journeys as (
        select
            conversion_id,
            max(case when origin = 'none' then 0 else 1 end) as is_touched,
            max(case when channel = 'Direct' then 0 else 1 end) as has_other_channel,
            max(case when position = journey_length then touchpoint_id end) as last_touchpoint_id
        from {{ ref("fct_journey_touchpoints") }}
        where conversion_id is not null
        group by conversion_id
    ),

    conversions as (
        select
            conversions.converted_on as date_on,
            conversions.conversion_type,
            conversions.source,
            sessions.page_path as landing_page,
            sessions.browser,
            sessions.device_category as device,
            sessions.country,
            coalesce(journeys.is_touched, 0) as is_touched,
            coalesce(journeys.has_other_channel, 0) as has_other_channel
        from {{ ref("fct_conversions") }} as conversions
        left join journeys on conversions.conversion_id = journeys.conversion_id
        left join
            {{ ref("fct_touchpoints") }} as touches on journeys.last_touchpoint_id = touches.touchpoint_id
        left join {{ ref("int_sessions__detected") }} as sessions on touches.session_id = sessions.session_id
    ),

    counted as (
        {{
            grouped_by_segments(
                "conversions",
                segments,
                {
                    "conversions": "count(*)",
                    "touched": "sum(is_touched)",
                    "direct_only": "sum(1 - has_other_channel)",
                },
            )
        }}
    ),

    labelled as (select counted.*, {{ segment_labels(segments) }} from counted)

    {{
        coverage_rows(
            "behavioural_coverage",
            "proportion",
            "touched",
            "conversions",
            "conversions",
            "segment_type",
            "segment",
            "labelled",
        )
    }}
where segment is not null and segment_type in ('all', 'conversion_type', 'source')
union all
{{
    coverage_rows(
        "direct_only_rate",
        "proportion",
        "direct_only",
        "conversions",
        "conversions",
        "segment_type",
        "segment",
        "labelled",
    )
}}
where segment is not null
