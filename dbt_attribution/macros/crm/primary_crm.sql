{#- The CRM whose deals and answers count: the one the settings name, else the first that is on. -#}
{% macro primary_crm() -%}
    {%- set known = ["hubspot", "salesforce", "pipedrive"] -%}
    {%- if var("primary_crm") -%} {{ return(var("primary_crm")) }} {%- endif -%}
    {%- for name in known if name in var("enabled_sources") -%} {{ return(name) }} {%- endfor -%}
    {{ return(known[0]) }}
{%- endmacro %}
