{#- Tools write the absence of a value as text; left in, "null" becomes a campaign of its own. Nested nullif evaluates the
    value, often a regular expression over a URL, only once. -#}
{% macro without_absent(expression) -%}
    nullif(nullif(nullif({{ expression }}, ''), 'null'), '(not set)')
{%- endmacro %}

{#- Campaign labels compare case-insensitively: GA4 and every ad platform's own builder mix cases. -#}
{% macro utm_value(expression) -%} {{ without_absent("lower(trim(" ~ expression ~ "))") }} {%- endmacro %}

{#- Click ids are opaque and case-sensitive. -#}
{% macro click_id_value(expression) -%} {{ without_absent("trim(" ~ expression ~ ")") }} {%- endmacro %}

{#- utm_<name> -> the field in which GA4 keeps its own reading of it. -#}
{% macro utm_fields() -%}
    {{
        return(
            {
                "utm_source": "manual_source",
                "utm_medium": "manual_medium",
                "utm_campaign": "manual_campaign_name",
                "utm_term": "manual_term",
                "utm_content": "manual_content",
            }
        )
    }}
{%- endmacro %}

{% macro click_id_fields() -%}
    {{
        return(
            [
                "gclid",
                "gbraid",
                "wbraid",
                "dclid",
                "gad_source",
                "srsltid",
                "msclkid",
                "fbclid",
                "ttclid",
                "twclid",
                "li_fat_id",
                "rdt_cid",
            ]
        )
    }}
{%- endmacro %}

{#- Attributes a session takes over from its entry event. -#}
{% macro entry_fields() -%}
    {{
        return(
            ["page_url", "page_host", "page_path", "referrer", "referrer_domain"] + utm_fields().keys()
            | list
            + click_id_fields()
            + ["user_agent_hash", "ip_hash", "device_category", "browser", "country"]
        )
    }}
{%- endmacro %}

{#- Path of a full address or, as servers log it, of a bare path; null when there is no address. -#}
{% macro page_path(url) -%}
    case
        when {{ url }} like '/%'
        then {{ extract_group(url, "^([^?#]+)") }}
        when {{ url }} is not null and {{ url }} <> ''
        then {{ url_path(url) }}
    end
{%- endmacro %}
