{#- Rule models beside first and last touch, as weights of a touch that sum to 1 a journey. They read columns of
    `int_attribution__journeys` only, so that a model, a half-life or a window more is one more expression in the same scan. The
    definitions are those of the Python rules, which tests hold them to. -#}
{% macro rule_weight(model) -%}
    {%- set picks = credited_position(model) -%}
    {%- if picks -%} case when position = {{ picks }} then 1.0 else 0.0 end
    {%- elif model == "linear" -%} 1.0 / cast(journey_length as double)
    {%- elif model == "time_decay" -%} cast(decay as double) / cast(decay_total as double)
    {%- else -%} {{ shaped_weight(rule_shape(model)) }}
    {%- endif -%}
{%- endmacro %}

{#- Share of a conversion that the first `k` touches of its journey hold together, 0 for none and exactly 1 for all. Revenue is the
    difference of two of these, each rounded to the money type: rounding errors cancel along the journey and revenue adds up to the
    last digit without another pass to place a remainder. -#}
{% macro rule_share_through(model, k) -%}
    case
        when {{ k }} = 0
        then 0.0
        when {{ k }} = journey_length
        then 1.0
        {%- if model == "linear" %} else cast({{ k }} as double) / cast(journey_length as double)
        {%- elif model == "time_decay" %}
            else
                cast(decay_through {%- if k != "position" %} - decay{% endif %} as double)
                / cast(decay_total as double)
            {%- else %} {{ shaped_share_through(rule_shape(model), k) }}
            {%- endif %}
    end
{%- endmacro %}

{#- The position that has all credit under a model that chooses one touch; nothing for the others. -#}
{% macro credited_position(model) -%}
    {{
        return(
            {
                "first_non_direct": "coalesce(first_non_direct_position, 1)",
                "last_non_direct": "coalesce(last_non_direct_position, journey_length)",
                "first_paid": "coalesce(first_paid_position, 1)",
                "last_paid": "coalesce(last_paid_position, journey_length)",
            }.get(model)
        )
    }}
{%- endmacro %}

{#- Shares of the first, middle and last touch; the others share the rest. An absent one is not set apart. -#}
{% macro rule_shape(model) -%}
    {%- set shapes = {
        "position_based": {"first": 0.4, "last": 0.4},
        "u_shaped": {"first": 0.4, "last": 0.4},
        "w_shaped": {"first": 0.3, "middle": 0.3, "last": 0.3},
        "j_shaped": {"first": 0.2, "last": 0.6},
        "inverse_j": {"first": 0.6, "last": 0.2},
        "custom": var("custom_weights"),
    } -%}
    {%- if model not in shapes -%}
        {{
            exceptions.raise_compiler_error(
                "attribution.rule_models: there is no rule model '" ~ model ~ "'"
            )
        }}
    {%- endif -%}
    {%- set shape = shapes[model] -%}
    {%- set named = [shape.get("first"), shape.get("middle"), shape.get("last")] | reject("none") | list -%}
    {%- set ends = [shape.get("first"), shape.get("last")] | reject("none") | list -%}
    {%- set rest = [1.0 - named | sum, 0.0] | max -%}
    {#- Of two touches neither is a middle; shares that leave a rest to nobody are scaled up to 1. -#}
    {%- set unnamed = rest / (2 - ends | length) if ends | length < 2 else 0.0 -%}
    {%- set opening = unnamed if shape.get("first") is none else shape.get("first") -%}
    {%- set closing = unnamed if shape.get("last") is none else shape.get("last") -%}
    {{
        return(
            {
                "first": shape.get("first"),
                "middle": shape.get("middle"),
                "last": shape.get("last"),
                "named": named | length,
                "rest": rest,
                "first_of_two": opening / (opening + closing) if opening + closing > 0 else 0.5,
                "of_three": (
                    [shape.first / named | sum, shape.middle / named | sum]
                    if named | length == 3 and named | sum > 0
                    else [1 / 3, 1 / 3]
                ),
            }
        )
    }}
{%- endmacro %}

{#- The middle of n touches is touch n // 2 + 1, from three touches on. -#}
{% macro middle_position() -%} (cast(floor(journey_length / 2.0) as integer) + 1){%- endmacro %}

{% macro shaped_weight(shape) -%}
    case
        when journey_length = 1
        then 1.0
        when journey_length = 2
        then
            case
                when position = 1
                then {{ share_literal(shape.first_of_two) }}
                else {{ share_literal(1.0 - shape.first_of_two) }}
            end
        {%- if shape.named == 3 %}
            when journey_length = 3
            then
                case
                    position
                    when 1
                    then {{ share_literal(shape.of_three[0]) }}
                    when 2
                    then {{ share_literal(shape.of_three[1]) }}
                    else {{ share_literal(1.0 - shape.of_three | sum) }}
                end
        {%- endif %}
        {%- for place, share in [
                ("1", shape.first),
                ("journey_length", shape.last),
                (middle_position(), shape.middle),
            ] %}
            {%- if share is not none %}
                when position = {{ place }} then {{ share_literal(share) }}
            {%- endif %}
        {%- endfor %}
        else {{ share_literal(shape.rest) }} / cast(journey_length - {{ shape.named }} as double)
    end
{%- endmacro %}

{#- The `when … then …` of `rule_share_through` for more than none and less than all of at least two touches. -#}
{% macro shaped_share_through(shape, k) -%}
    when journey_length = 2
    then {{ share_literal(shape.first_of_two) }}
    {%- if shape.named == 3 %}
        when journey_length = 3
        then
            case
                when {{ k }} = 1
                then {{ share_literal(shape.of_three[0]) }}
                else {{ share_literal(shape.of_three | sum) }}
            end
    {%- endif %} {%- set past_middle = "case when " ~ k ~ " >= " ~ middle_position() ~ " then 1 else 0 end" %}
    else
        {{ share_literal(shape.first or 0.0) }}
        {%- if shape.middle is not none %} + {{ share_literal(shape.middle) }} * {{ past_middle }}{%- endif %}
        + {{ share_literal(shape.rest) }}
        * (
            {{ k }}
            {%- if shape.first is not none %} - 1{%- endif %}
            {%- if shape.middle is not none %} - {{ past_middle }}{%- endif %}
        )
        / cast(greatest(journey_length - {{ shape.named }}, 1) as double)
{%- endmacro %}

{#- A decimal literal of seventeen digits overflows when multiplied; as a double it does not. -#}
{% macro share_literal(share) -%} cast({{ share }} as double){%- endmacro %}

{#- Whether a channel is bought media by its GA4 display name. -#}
{% macro is_paid_channel(channel) -%}
    (lower({{ channel }}) like 'paid%' or lower({{ channel }}) in ('display', 'cross-network'))
{%- endmacro %}
