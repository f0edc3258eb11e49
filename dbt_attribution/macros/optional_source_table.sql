{#- Typed columns of a table that Python writes, or no rows while it was never written: a bare `dbt build` runs before it. -#}
{% macro optional_source_table(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set found = none -%}
    {%- set present = [] -%}
    {%- if execute -%}
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
