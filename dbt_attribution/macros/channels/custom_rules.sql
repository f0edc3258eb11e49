{#- The user's own channel rules (var channel_rules), checked here because a misspelled key would otherwise match everything
    or nothing without a word. -#}
{#- Found anywhere in the value, whatever the case. `literal` has its single quotes doubled already. -#}
{% macro matches_any_case(value, literal) -%}
    {{ adapter.dispatch("matches_any_case", "attribution")(value, literal) }}
{%- endmacro %}
{% macro duckdb__matches_any_case(value, literal) -%}
    regexp_matches({{ value }}, '{{ literal }}', 'i')
{%- endmacro %}
{% macro snowflake__matches_any_case(value, literal) -%}
    regexp_instr({{ value }}, '{{ literal | replace("\\", "\\\\") }}', 1, 1, 0, 'i') > 0
{%- endmacro %}

{#- Condition of one rule over the columns of classify_channels' `evidence`; every given pattern must be found. -#}
{% macro custom_rule_condition(rule) -%}
    {%- set columns = {
        "source": "source",
        "medium": "medium",
        "campaign": "campaign",
        "referrer_domain": "referrer_host",
        "landing_path": "page_path",
    } -%}
    {%- set conditions = [] -%}
    {%- for key, pattern in rule.items() -%}
        {%- if key in columns and pattern -%}
            {%- do conditions.append(matches_any_case(columns[key], pattern | replace("'", "''"))) -%}
        {%- elif key not in ["id", "channel"] and key not in columns -%}
            {{
                exceptions.raise_compiler_error(
                    "channel_rules: rule '"
                    ~ rule.get("id")
                    ~ "' has the unknown key '"
                    ~ key
                    ~ "'; known: id, channel, "
                    ~ (columns.keys() | join(", "))
                    ~ "."
                )
            }}
        {%- endif -%}
    {%- endfor -%}
    {%- if not rule.get("id") or not rule.get("channel") or not conditions -%}
        {{
            exceptions.raise_compiler_error(
                "channel_rules: rule '"
                ~ rule.get("id")
                ~ "' needs an id, a channel and at least one of "
                ~ (columns.keys() | join(", "))
                ~ "."
            )
        }}
    {%- endif -%}
    {{ conditions | join(" and ") }}
{%- endmacro %}
