{#- Everything in which DuckDB and Snowflake differ lives in this file. Models use these macros and plain ANSI SQL. -#}
{% macro type_of(name) -%}
    {%- set duckdb = {
        "text": "varchar",
        "timestamp": "timestamp",
        "date": "date",
        "bigint": "bigint",
        "double": "double",
        "boolean": "boolean",
        "money": "decimal(20, 6)",
        "weight": "decimal(38, 18)",
        "json": "varchar",
    } -%}
    {%- set snowflake = {
        "text": "varchar",
        "timestamp": "timestamp_ntz",
        "date": "date",
        "bigint": "bigint",
        "double": "double",
        "boolean": "boolean",
        "money": "number(20, 6)",
        "weight": "number(38, 18)",
        "json": "varchar",
    } -%}
    {{ (snowflake if target.type == "snowflake" else duckdb)[name] }}
{%- endmacro %}

{#- Hex digest of the parts joined by a separator that cannot occur in ids; nulls count as empty. -#}
{% macro hash_id(parts) -%}
    md5(
        {%- for part in parts -%}
            coalesce(cast({{ part }} as varchar), '') {%- if not loop.last %} || '|' || {% endif -%}
        {%- endfor -%}
    )
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
    {{ adapter.dispatch("seconds_between", "attribution")(earlier, later) }}
{%- endmacro %}
{% macro duckdb__seconds_between(earlier, later) -%}
    (epoch_ms({{ later }}) - epoch_ms({{ earlier }})) / 1000.0
{%- endmacro %}
{% macro snowflake__seconds_between(earlier, later) -%}
    datediff('millisecond', {{ earlier }}, {{ later }}) / 1000.0
{%- endmacro %}

{#- A negative amount goes back in time. -#}
{% macro add_seconds(moment, seconds) -%}
    {{ adapter.dispatch("add_seconds", "attribution")(moment, seconds) }}
{%- endmacro %}
{% macro duckdb__add_seconds(moment, seconds) -%} ({{ moment }} + to_seconds({{ seconds }})){%- endmacro %}
{% macro snowflake__add_seconds(moment, seconds) -%}
    dateadd('second', {{ seconds }}, {{ moment }})
{%- endmacro %}

{% macro add_days(moment, days) -%}
    {{ adapter.dispatch("add_days", "attribution")(moment, days) }}
{%- endmacro %}
{% macro duckdb__add_days(moment, days) -%}
    ({{ moment }} + to_days(cast({{ days }} as integer)))
{%- endmacro %}
{% macro snowflake__add_days(moment, days) -%} dateadd('day', {{ days }}, {{ moment }}){%- endmacro %}

{#- Calendar date of a UTC timestamp in the reporting time zone. -#}
{% macro reporting_date(moment) -%}
    {{ adapter.dispatch("reporting_date", "attribution")(moment) }}
{%- endmacro %}
{% macro duckdb__reporting_date(moment) -%}
    cast(timezone('{{ var("reporting_time_zone") }}', timezone('UTC', {{ moment }})) as date)
{%- endmacro %}
{% macro snowflake__reporting_date(moment) -%}
    cast(convert_timezone('UTC', '{{ var("reporting_time_zone") }}', {{ moment }}) as date)
{%- endmacro %}

{#- True when the pattern is found anywhere in the value (RE2 syntax, no look-around). -#}
{% macro matches(value, pattern) -%}
    {{ adapter.dispatch("matches", "attribution")(value, pattern) }}
{%- endmacro %}
{% macro duckdb__matches(value, pattern) -%} regexp_matches({{ value }}, '{{ pattern }}'){%- endmacro %}
{% macro snowflake__matches(value, pattern) -%}
    regexp_instr({{ value }}, '{{ pattern | replace("\\", "\\\\") }}') > 0
{%- endmacro %}

{#- One group of the pattern, or null. POSIX syntax: Snowflake knows neither `(?:…)` nor look-around. -#}
{% macro extract_group(value, pattern, group=1) -%}
    {{ adapter.dispatch("extract_group", "attribution")(value, pattern, group) }}
{%- endmacro %}
{% macro duckdb__extract_group(value, pattern, group) -%}
    nullif(regexp_extract({{ value }}, '{{ pattern }}', {{ group }}), '')
{%- endmacro %}
{% macro snowflake__extract_group(value, pattern, group) -%}
    nullif(regexp_substr({{ value }}, '{{ pattern | replace("\\", "\\\\") }}', 1, 1, 'e', {{ group }}), '')
{%- endmacro %}

{#- Value of one query parameter, percent-decoding only `+` and the characters that occur in UTM values. -#}
{% macro url_parameter(url, name) -%}
    replace(
        replace(replace({{ extract_group(url, "[?&]" ~ name ~ "=([^&#]*)") }}, '+', ' '), '%20', ' '),
        '%2B',
        '+'
    )
{%- endmacro %}

{#- Host of a URL or bare domain, lower case, without port and leading www. -#}
{% macro url_host(url) -%}
    {{ extract_group("lower(" ~ url ~ ")", "^([a-z][a-z0-9+.-]*://)?([^/@?#]*@)?(www[.])?([^/:?#]+)", 4) }}
{%- endmacro %}

{% macro url_path(url) -%}
    coalesce({{ extract_group(url, "^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]+(/[^?#]*)") }}, '/')
{%- endmacro %}

{% macro json_text(column, key) -%}
    {{ adapter.dispatch("json_text", "attribution")(column, key) }}
{%- endmacro %}
{% macro duckdb__json_text(column, key) -%} json_extract_string({{ column }}, '$."{{ key }}"'){%- endmacro %}
{% macro snowflake__json_text(column, key) -%}
    get_path(parse_json({{ column }}), '"{{ key }}"')::varchar
{%- endmacro %}

{% macro join_text(value, separator, order_by) -%}
    {{ adapter.dispatch("join_text", "attribution")(value, separator, order_by) }}
{%- endmacro %}
{% macro duckdb__join_text(value, separator, order_by) -%}
    string_agg({{ value }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}
{% macro snowflake__join_text(value, separator, order_by) -%}
    listagg({{ value }}, '{{ separator }}') within group (order by {{ order_by }})
{%- endmacro %}

{#- Value of `value` in the row with the smallest / largest `key`. -#}
{% macro value_at_first(value, key) -%}
    {{ "min_by" if target.type == "snowflake" else "arg_min" }} ({{ value }}, {{ key }})
{%- endmacro %}
{% macro value_at_last(value, key) -%}
    {{ "max_by" if target.type == "snowflake" else "arg_max" }} ({{ value }}, {{ key }})
{%- endmacro %}

{% macro week_start(date_column) -%} date_trunc('week', {{ date_column }}){%- endmacro %}

{#- Sum and mean of doubles that come out equal in every run: threads add up in another order each time, and the last digits
    differ. Nine decimals are far below what any figure here means. -#}
{% macro stable_sum(value) -%} round(cast(sum({{ value }}) as double), 9) {%- endmacro %}
{% macro stable_mean(value) -%} round(cast(avg({{ value }}) as double), 9) {%- endmacro %}

{#- One number for a set of rows, whatever their order; equal rows cancel each other out, so the columns must hold a key. An
    engine may hash otherwise after an upgrade: compare within one warehouse only, and take "differs" for "read again". -#}
{% macro unordered_hash(columns) -%}
    {{ "bitxor_agg" if target.type == "snowflake" else "bit_xor" }} (hash({{ columns | join(", ") }}))
{%- endmacro %}
