{#- One scan for every segment: the day's totals as segment `all`, and the same cut by each segment column alone. -#}
{% macro grouped_by_segments(relation, segments, measures) -%}
    select
        date_on,
        {%- for segment in segments %}
            case when grouping({{ segment }}) = 0 then '{{ segment }}' else '' end as in_{{ segment }},
            {{ segment }},
        {%- endfor %}
        {%- for name, expression in measures.items() %}
            {{ expression }} as {{ name }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from {{ relation }}
    where date_on is not null
    group by grouping sets ((date_on){% for segment in segments %}, (date_on, {{ segment }}){% endfor %})
{%- endmacro %}

{#- segment_type and segment of a row of `grouped_by_segments`. -#}
{% macro segment_labels(segments) -%}
    case
        {%- for segment in segments %} when in_{{ segment }} <> '' then '{{ segment }}' {%- endfor %}
        else 'all'
    end as segment_type,
    case
        {%- for segment in segments %} when in_{{ segment }} <> '' then {{ segment }} {%- endfor %} else 'all'
    end as segment
{%- endmacro %}

{#- Rows of one metric in the common shape of the coverage layer.

    `volume` is what low volume is judged by; null where few units cannot mislead (a stalled source has none by definition). -#}
{% macro coverage_rows(metric, kind, numerator, denominator, volume, segment_type, segment, from_clause) -%}
    select
        '{{ metric }}' as metric,
        '{{ kind }}' as kind,
        {{ segment_type }} as segment_type,
        {{ segment }} as segment,
        date_on,
        cast({{ numerator }} as {{ type_of("double") }}) as numerator,
        cast({{ denominator }} as {{ type_of("double") }}) as denominator,
        cast({{ volume }} as {{ type_of("double") }}) as volume
    from {{ from_clause }}
{%- endmacro %}

{#- Units a day below which a metric is not judged, as in attribution.toml. -#}
{% macro min_volume(metric) -%}
    {%- set own = var("min_volumes", {}) -%}
    {%- if own -%}
        case
            {{ metric }}
            {%- for name, least in own.items() %} when '{{ name }}' then {{ least }}{% endfor %}
            else {{ var("min_volume") }}
        end
    {%- else -%} {{ var("min_volume") }}
    {%- endif -%}
{%- endmacro %}
