{{ config(schema="intermediate") }}
-- Bots, volume and silence of the event stream. A source that stops sends no rows that could say so: its
-- zeros come from the
-- days on which any other source still spoke, which is the data's own clock.
{%- set segments = ["source", "browser", "device", "country"] %}
with
    events as (
        select
            {{ reporting_date("occurred_at") }} as date_on,
            source,
            browser,
            device_category as device,
            country,
            is_bot
        from {{ ref("int_events__unified") }}
    ),

    counted as (
        {{
            grouped_by_segments(
                "events",
                segments,
                {"events": "count(*)", "bot_events": "sum(case when is_bot then 1 else 0 end)"},
            )
        }}
    ),

    labelled as (select counted.*, {{ segment_labels(segments) }} from counted),

    days as (select date_on from labelled where segment_type = 'all'),

    spoken as (
        select source, date_on, events from labelled where segment_type = 'source' and source is not null
    ),

    sources as (select source, min(date_on) as first_on from spoken group by source),

    per_source as (
        select days.date_on, sources.source, coalesce(spoken.events, 0) as events
        from sources
        inner join days on days.date_on >= sources.first_on
        left join spoken on sources.source = spoken.source and days.date_on = spoken.date_on
    ),

    total as (select date_on, sum(events) as events from per_source group by date_on)

    {{
        coverage_rows(
            "bot_share",
            "proportion",
            "bot_events",
            "events",
            "events",
            "segment_type",
            "segment",
            "labelled",
        )
    }}
where segment is not null
union all
{{ coverage_rows("event_volume", "count", "events", "null", "null", "'source'", "source", "per_source") }}
union all
{{ coverage_rows("event_volume", "count", "events", "null", "null", "'all'", "'all'", "total") }}
union all
{{
    coverage_rows(
        "silent_days",
        "count",
        "case when events = 0 then 1 else 0 end",
        "null",
        "null",
        "'source'",
        "source",
        "per_source",
    )
}}
