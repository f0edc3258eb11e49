{#- Columns of a relation that may not be there, or lack some of them: nulls for those, no rows without it or where `wanted`
    is false.

    `columns` maps column name -> type name of `type_of`. -#}
{% macro typed_columns(relation, columns, wanted) -%}
    {%- set present = [] -%}
    {%- set found = none -%}
    {%- if execute and wanted -%}
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
