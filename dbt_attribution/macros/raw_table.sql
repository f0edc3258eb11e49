{#- Select typed columns from a raw table, or no rows at all when the source is off or was never loaded.

    `columns` maps column name -> type name of `type_of`. A column the vendor withdrew reads as null instead of breaking the
    model; the schema-contract check reports it. -#}
{% macro raw_table(source_name, table_name, columns) -%}
    {%- set relation = source("raw_" ~ source_name, table_name) -%}
    {%- set present = [] -%}
    {%- set found = none -%}
    {%- if execute and source_name in var("enabled_sources") -%}
        {%- set found = adapter.get_relation(relation.database, relation.schema, relation.identifier) -%}
        {%- if found -%}
            {%- for column in adapter.get_columns_in_relation(found) -%}
                {%- do present.append(column.name | lower) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    select
        {%- for name, kind in columns.items() %}
            cast({{ name if name in present else "null" }} as {{ type_of(kind) }}) as {{ name }}
            {%- if not loop.last %},{% endif -%}
        {%- endfor %}
    {%- if found %} from {{ relation }}
    {%- else %} where 1 = 0
    {%- endif %}
{%- endmacro %}
