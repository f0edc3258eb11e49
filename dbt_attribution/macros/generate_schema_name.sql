{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are part of the table contract: no target prefix. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
