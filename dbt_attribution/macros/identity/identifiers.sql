{#- Written into every resolution row. Raise it when a rule below changes what resolves to whom. -#}
{% macro identity_rule_version() -%} '2026-11.2' {%- endmacro %}

{#- Rows that hold for all time start here: a touch older than the first sighting must still find its person. -#}
{% macro beginning_of_time() -%} cast('1970-01-01 00:00:00' as {{ type_of("timestamp") }}) {%- endmacro %}

{#- A node of the person graph: type and value, so that a user id and a contact id that look alike stay apart. -#}
{% macro identity_node(identifier_type, identifier) -%}
    ({{ identifier_type }} || ':' || {{ identifier }})
{%- endmacro %}

{#- A person nobody logged in as is named after its strongest identifier. -#}
{% macro anonymous_person(identifier_type, identifier) -%}
    (
        case
            {{ identifier_type }}
            when 'email_hash'
            then 'email:'
            when 'contact_id'
            then 'contact:'
            when 'device_id'
            then 'device:'
            else {{ identifier_type }} || ':'
        end
        || {{ identifier }}
    )
{%- endmacro %}

{#- Compared form of a value for the block list: quotes and case are noise that serialisers add. -#}
{% macro bare_value(expression) -%}
    lower(trim(replace(replace({{ expression }}, '"', ''), '''', '')))
{%- endmacro %}

{#- Rules beside the list: only zeros and dashes (Segment), or longer than any id is. -#}
{% macro is_malformed_identifier(expression) -%}
    ({{ matches(expression, "^[0-]*$") }} or length({{ expression }}) > 200)
{%- endmacro %}

{#- Above this many persons a device is public (a kiosk, a lab): nobody owns it between two logins. -#}
{% macro household_persons() -%} 5 {%- endmacro %}

{#- The tenth of devices whose logins the quality report hides: by their hash, so that it is the same tenth in every run. -#}
{% macro in_holdout(device_id) -%} substr(md5({{ device_id }}), 1, 2) < '1a' {%- endmacro %}
