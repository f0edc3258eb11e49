{{ config(schema="intermediate") }}
{#- A crawler-like visitor can have thousands of touches; a path keeps the last hundred, and rules see them all. -#}
{%- set longest = 100 -%}
{%- set step = "channel" -%}
{%- if var("path_transform") == "frequency" -%}
    {%- set step = "channel || ' (' || cast(frequency as varchar) || ')'" -%}
{%- endif -%}
with
    touches as (
        select *, greatest(journey_length - {{ longest }}, 0) as skipped
        from {{ ref("fct_journey_touchpoints") }}
    ),

    paths as (
        select
            journey_id,
            conversion_id,
            conversion_type,
            is_converting,
            skipped,
            count(*) as path_length,
            {{ join_text(step, " > ", "position") }} as path
        from touches
        where position > skipped
        group by journey_id, conversion_id, conversion_type, is_converting, skipped
    )

select
    journey_id,
    conversion_id,
    {{ hash_id(["conversion_type", "path"]) }} as path_id,
    conversion_type,
    path,
    cast(path_length as integer) as path_length,
    cast(skipped as integer) as skipped,
    is_converting
from paths
