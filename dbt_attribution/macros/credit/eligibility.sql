{#- Whether the settings let a touch earn credit; nothing at all where they let every touch. -#}
{% macro eligible_touch(channel, campaign) -%}
    {%- set conditions = [] -%}
    {%- for names, operator in [
        (var("include_channels"), "in"),
        (var("exclude_channels"), "not in"),
    ] if names -%}
        {%- set literals = [] -%}
        {%- for name in names -%}
            {%- do literals.append("lower(" ~ text_or_null(name) ~ ")") -%}
        {%- endfor -%}
        {%- do conditions.append(
            "lower(" ~ channel ~ ") " ~ operator ~ " (" ~ literals | join(", ") ~ ")"
        ) -%}
    {%- endfor -%}
    {%- for patterns, wanted in [
        (var("include_campaigns"), true),
        (var("exclude_campaigns"), false),
    ] if patterns -%}
        {%- set found = [] -%}
        {%- for pattern in patterns -%}
            {%- set quoted = dbt.escape_single_quotes(pattern | lower) -%}
            {%- do found.append(matches("lower(coalesce(" ~ campaign ~ ", ''))", quoted)) -%}
        {%- endfor -%}
        {%- do conditions.append(("" if wanted else "not ") ~ "(" ~ found | join(" or ") ~ ")") -%}
    {%- endfor -%}
    {{ return(conditions | join(" and ")) }}
{%- endmacro %}

{#- Common table expressions that leave of a relation of journeys (one row a touch) what may earn credit: the eligible touches, of
    them the last `lookback_steps`, of them what `path_transform` keeps. The last one is named `kept`. Written only where a setting
    asks: by default journeys pass as they are.

    A conversion whose touches were all left out keeps its credit under the channel Unattributed, so that conversions and revenue
    add up under any filter. -#}
{% macro kept_touches(journeys) -%}
    {%- set eligible = eligible_touch("channel", "campaign") -%}
    {%- set limited = (
        var("lookback_steps")
        or var("conversions") | selectattr("lookback_steps", "defined") | list
    ) -%}
    {%- set transform = var("path_transform") -%}
    {%- if transform not in ["unique", "exposure", "first", "frequency"] -%}
        {{
            exceptions.raise_compiler_error(
                "attribution.path_transform: '"
                ~ transform
                ~ "' is not one of unique, exposure, first, frequency"
            )
        }}
    {%- endif %}
    {%- if eligible %}
        eligible as (select * from {{ journeys }} where {{ eligible }}),

        emptied as (
            select distinct
                journeys.journey_id,
                journeys.conversion_id,
                journeys.canonical_user_id,
                journeys.conversion_type,
                {{ hash_id(["'none'", "journeys.conversion_id"]) }} as touchpoint_id,
                'Unattributed' as channel,
                cast(null as {{ type_of("text") }}) as campaign,
                cast(null as {{ type_of("text") }}) as artifact_id,
                'none' as origin,
                journeys.converted_at as occurred_at,
                journeys.converted_at
            from {{ journeys }} as journeys
            left join
                (select distinct journey_id from eligible) as credited
                on journeys.journey_id = credited.journey_id
            where journeys.conversion_id is not null and credited.journey_id is null
        ),

        attributed as (
            select *
            from eligible
            union all
            select *
            from emptied
        ),
    {%- else %} attributed as (select * from {{ journeys }}),
    {%- endif %}
    {%- if limited %}
        stepped as (
            select *
            from attributed
            qualify
                row_number() over (partition by journey_id order by occurred_at desc, touchpoint_id desc)
                <= coalesce({{ lookback_of("conversion_type", "lookback_steps") }}, 1000000000)
        ),
    {%- else %} stepped as (select * from attributed),
    {%- endif %}
    {%- if transform == "exposure" %}
        compared as (
            select
                *,
                1 as frequency,
                lag(channel) over (
                    partition by journey_id order by occurred_at, touchpoint_id
                ) as channel_before
            from stepped
        ),

        kept as (select * from compared where channel_before is null or channel_before <> channel)
    {%- elif transform in ["first", "frequency"] %}
        kept as (
            select *, count(*) over (partition by journey_id, channel) as frequency
            from stepped
            qualify
                row_number() over (partition by journey_id, channel order by occurred_at, touchpoint_id) = 1
        )
    {%- else %} kept as (select *, 1 as frequency from stepped)
    {%- endif %}
{%- endmacro %}
