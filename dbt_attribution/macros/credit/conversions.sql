{#- Conversions of one kind from the settings, with what they lack filled in. -#}
{% macro conversions_of_kind(kind) -%}
    {%- set found = [] -%}
    {%- for conversion in var("conversions") if conversion.get("kind") == kind -%}
        {%- do found.append(conversion) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- A literal or a typed null. -#}
{% macro text_or_null(value) -%}
    {%- if value is none or value == "" -%} cast(null as {{ type_of("text") }})
    {%- else -%} {{ dbt.string_literal(dbt.escape_single_quotes(value)) }}
    {%- endif -%}
{%- endmacro %}

{#- Money of one conversion: a fixed value, a column of its source, or nothing. -#}
{% macro conversion_revenue(conversion, columns) -%}
    {%- set column = conversion.get("revenue_column") -%}
    {%- if conversion.get("revenue_value") is not none -%}
        cast({{ conversion.get("revenue_value") }} as {{ type_of("money") }})
    {%- elif column -%}
        {%- if column not in columns -%}
            {{
                exceptions.raise_compiler_error(
                    "attribution.toml: conversion '"
                    ~ conversion.get("name")
                    ~ "': revenue_column '"
                    ~ column
                    ~ "' is not one of: "
                    ~ columns
                    | join(", ")
                )
            }}
        {%- endif -%}
        cast({{ column }} as {{ type_of("money") }})
    {%- else -%} cast(0 as {{ type_of("money") }})
    {%- endif -%}
{%- endmacro %}

{#- A window of the settings (`lookback_days`, `lookback_steps`) for the conversion a column names: its own, else everybody's. -#}
{% macro lookback_of(type_column, setting="lookback_days") -%}
    {%- set own = [] -%}
    {%- for conversion in var("conversions") if conversion.get(setting) -%}
        {%- do own.append(conversion) -%}
    {%- endfor -%}
    {%- if own -%}
        case
            {{ type_column }}
            {%- for conversion in own %}
                when {{ text_or_null(conversion.get("name")) }} then {{ conversion.get(setting) }}
            {%- endfor %}
            else {{ var(setting) }}
        end
    {%- else -%} {{ var(setting) }}
    {%- endif -%}
{%- endmacro %}

{#- A setting of one conversion in SQL, for a column in which `type_column` names the conversion; null where it is not set. -#}
{% macro file_conversion_setting(type_column, setting) -%}
    {%- set own = [] -%}
    {%- for conversion in conversions_of_kind("file") if conversion.get(setting) is not none -%}
        {%- do own.append(conversion) -%}
    {%- endfor -%}
    {%- if own -%}
        case
            {{ type_column }}
            {%- for conversion in own %}
                {%- set value = conversion.get(setting) %}
                when {{ text_or_null(conversion.get("name")) }}
                then {{ text_or_null(value) if value is string else value }}
            {%- endfor %}
        end
    {%- else -%} null
    {%- endif -%}
{%- endmacro %}

{#- The columns every conversion event has, as nulls: what a kind with no configured conversion yields. -#}
{% macro no_conversion_events() -%}
    select
        cast(null as {{ type_of("text") }}) as source_id,
        cast(null as {{ type_of("text") }}) as source,
        cast(null as {{ type_of("text") }}) as conversion_type,
        cast(null as {{ type_of("text") }}) as user_id,
        cast(null as {{ type_of("text") }}) as contact_id,
        cast(null as {{ type_of("text") }}) as email_hash,
        cast(null as {{ type_of("text") }}) as device_id,
        cast(null as {{ type_of("text") }}) as subscription_id,
        cast(null as {{ type_of("text") }}) as product,
        cast(null as {{ type_of("timestamp") }}) as converted_at,
        cast(null as {{ type_of("money") }}) as revenue,
        cast(null as {{ type_of("text") }}) as currency
    where 1 = 0
{%- endmacro %}
