{{ config(schema="intermediate") }}
-- Bots and volume of the event stream, and how long each source has been silent. A source that stops sends
-- no rows that could say so: its zeros come from the days on which any other source still spoke, which is the
-- data's own clock.
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

    -- What every source tells, by the day it tells of. A CRM or a mailer sends no web events, and stalls
    -- all the same.
    spoken as (
        select source, date_on, sum(records) as records
        from
            (
                select source, date_on, events as records
                from labelled
                where segment_type = 'source' and source is not null
                union all
                select platform, date_on, count(*)
                from {{ ref("int_paid_budget__ad_spend_by_platform") }}
                where source <> 'files'
                group by platform, date_on
                union all
                select source, {{ reporting_date("created_at") }}, count(*)
                from {{ ref("int_crm__contacts") }}
                group by 1, 2
                {% for source_name, relation, moment in [
                        ("mailchimp", "stg_mailchimp__email_activity", "occurred_at"),
                        ("klaviyo", "stg_klaviyo__events", "occurred_at"),
                        ("hubspot", "stg_hubspot__email_events", "occurred_at"),
                    ] %}
                    union all
                    select '{{ source_name }}', {{ reporting_date(moment) }}, count(*)
                    from {{ ref(relation) }}
                    group by 1, 2
                {% endfor %}
            ) as told
        where date_on is not null
        group by source, date_on
    ),

    days as (select distinct date_on from spoken),

    sources as (select source, min(date_on) as first_on from spoken group by source),

    per_source as (
        select
            days.date_on,
            sources.source,
            coalesce(spoken.records, 0) as records,
            max(spoken.date_on) over (
                partition by sources.source
                order by days.date_on
                rows between unbounded preceding and current row
            ) as last_on
        from sources
        inner join days on days.date_on >= sources.first_on
        left join spoken on sources.source = spoken.source and days.date_on = spoken.date_on
    ),

    -- Events only: a row of spend is no event.
    per_day as (
        select days.date_on, coalesce(labelled.events, 0) as events
        from days
        left join labelled on days.date_on = labelled.date_on and labelled.segment_type = 'all'
        where days.date_on >= (select min(date_on) from labelled)
    )

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
{{ coverage_rows("event_volume", "count", "records", "null", "null", "'source'", "source", "per_source") }}
union all
{{ coverage_rows("event_volume", "count", "events", "null", "null", "'all'", "'all'", "per_day") }}
union all
{{ coverage_rows("event_volume", "count", "events", "null", "null", "segment_type", "segment", "labelled") }}
where segment is not null and segment_type in ('browser', 'device', 'country')
union all
{{
    coverage_rows(
        "freshness",
        "count",
        seconds_between(
            "cast(last_on as " ~ type_of("timestamp") ~ ")", "cast(date_on as " ~ type_of("timestamp") ~ ")"
        )
        ~ " / 86400",
        "null",
        "null",
        "'source'",
        "source",
        "per_source",
    )
}}
