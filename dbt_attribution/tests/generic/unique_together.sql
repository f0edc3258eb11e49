{#- Fails for every combination of the columns that occurs more than once. Nulls count as equal. -#}
{% test unique_together(model, columns) %}
    select {{ columns | join(", ") }}, count(*) as row_count
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
