{#- UTC timestamp of a count of microseconds since 1970. -#}
{% macro epoch_micros(column) -%} {{ adapter.dispatch("epoch_micros", "attribution")(column) }}{%- endmacro %}
{% macro duckdb__epoch_micros(column) -%} make_timestamp({{ column }}){%- endmacro %}
{% macro snowflake__epoch_micros(column) -%} to_timestamp_ntz({{ column }}, 6){%- endmacro %}
