-- Every coverage metric by day and segment, long. Of days before the history we asked vendors for a CRM or
-- a backend
-- tells its own part and nobody the rest: that is no coverage. A page address of a million variants is no
-- segment: the
-- twenty largest of a
-- metric stay, the rest are added up as one.
{%- set parts = ["sessions", "identity", "events", "conversions", "spend", "models", "survey"] %}
with
    measured as (
        {% for part in parts %}
            select metric, kind, segment_type, segment, date_on, numerator, denominator, volume
            from {{ ref("int_coverage__" ~ part) }}
            where date_on >= cast('{{ var("history_start") }}' as date)
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    largest as (
        select metric, segment_type, segment
        from measured
        group by metric, segment_type, segment
        qualify
            row_number() over (
                partition by metric, segment_type order by sum(coalesce(denominator, numerator)) desc, segment
            )
            <= 20
    ),

    folded as (
        select
            measured.metric,
            measured.kind,
            measured.segment_type,
            case when largest.segment is null then '(other)' else measured.segment end as segment,
            measured.date_on,
            {{ stable_sum("measured.numerator") }} as numerator,
            {{ stable_sum("measured.denominator") }} as denominator,
            {{ stable_sum("measured.volume") }} as volume
        from measured
        left join
            largest
            on measured.metric = largest.metric
            and measured.segment_type = largest.segment_type
            and measured.segment = largest.segment
        group by 1, 2, 3, 4, 5
    )

select
    -- -------- dimensions
    metric,
    kind,
    segment_type,
    segment,
    date_on,

    -- -------- figures
    numerator,
    denominator,
    {{ ratio("numerator", "denominator") }} as rate,
    volume,
    case when volume < {{ min_volume("metric") }} then 'insufficient volume' else 'ok' end as status
from folded
