{{ config(schema="intermediate") }}
-- Share of answers that agree with what we saw, among those that can: an answer we cannot map and a person
-- we never saw touch
-- anything disagree with nothing.
{%- set segments = ["source"] %}
with
    answers as (
        select
            answered_on as date_on, source, case when said_channel = seen_channel then 1 else 0 end as agrees
        from {{ ref("int_attribution__survey_responses") }}
        where is_comparable
    ),

    counted as (
        {{ grouped_by_segments("answers", segments, {"answers": "count(*)", "agreeing": "sum(agrees)"}) }}
    ),

    labelled as (select counted.*, {{ segment_labels(segments) }} from counted)

    {{
        coverage_rows(
            "survey_agreement",
            "proportion",
            "agreeing",
            "answers",
            "answers",
            "segment_type",
            "segment",
            "labelled",
        )
    }}
