{#- Typed columns of a table that Python writes, or no rows while it was never written: a bare `dbt build` runs before it. -#}
{% macro optional_source_table(source_name, table_name, columns) -%}
    {{ typed_columns(source(source_name, table_name), columns, true) }}
{%- endmacro %}
