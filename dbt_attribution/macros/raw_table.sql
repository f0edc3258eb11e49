{#- Select typed columns from a raw table, or no rows at all when the source is off or was never loaded. A column the vendor
    withdrew reads as null instead of breaking the model; the schema-contract check reports it. -#}
{% macro raw_table(source_name, table_name, columns) -%}
    {{
        typed_columns(
            source("raw_" ~ source_name, table_name), columns, source_name in var("enabled_sources")
        )
    }}
{%- endmacro %}
