{%- set strength = ["user_id", "email_hash", "contact_id", "device_id"] -%}
with
    ranked as (
        select
            *,
            {%- for column in ["identifier_type", "target_type"] %}
                case
                    {{ column }}
                    {%- for name in strength %} when '{{ name }}' then {{ loop.index }} {%- endfor %}
                end as {{ column }}_strength
                {%- if not loop.last %}, {%- endif %}
            {%- endfor %}
        from {{ ref("identity_overrides") }}
    ),

    -- Whoever wrote the row the other way round meant the same: the weaker identifier follows the stronger
    -- one.
    directed as (
        select
            action,
            case
                when identifier_type_strength < target_type_strength then target_type else identifier_type
            end as identifier_type,
            case
                when identifier_type_strength < target_type_strength then target else identifier
            end as identifier,
            case
                when identifier_type_strength < target_type_strength then identifier_type else target_type
            end as target_type,
            case
                when identifier_type_strength < target_type_strength then identifier else target
            end as target,
            reason
        from ranked
    )

select action, identifier_type, identifier, target_type, target, max(reason) as reason
from directed
group by action, identifier_type, identifier, target_type, target
