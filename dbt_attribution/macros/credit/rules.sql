{#- Rule models beside first and last touch, as weights of a touch that sum to 1 a journey. They read columns of
    `int_attribution__journeys` only, so that a model, a half-life or a window more is one more expression in the same scan. The
    definitions are those of the Python rules, which tests hold them to. -#}
{% macro rule_weight(model) -%}
    {%- set first_or_last = {
        "first_non_direct": "coalesce(first_non_direct_position, 1)",
        "last_non_direct": "coalesce(last_non_direct_position, journey_length)",
        "first_paid": "coalesce(first_paid_position, 1)",
        "last_paid": "coalesce(last_paid_position, journey_length)",
    } -%}
    {%- set shapes = {
        "position_based": {"first": 0.4, "last": 0.4},
        "u_shaped": {"first": 0.4, "last": 0.4},
        "w_shaped": {"first": 0.3, "middle": 0.3, "last": 0.3},
        "j_shaped": {"first": 0.2, "last": 0.6},
        "inverse_j": {"first": 0.6, "last": 0.2},
        "custom": var("custom_weights"),
    } -%}
    {%- if model in first_or_last -%} case when position = {{ first_or_last[model] }} then 1.0 else 0.0 end
    {%- elif model in shapes -%} {{ shaped_weight(shapes[model]) }}
    {%- elif model == "linear" -%} 1.0 / cast(journey_length as double)
    {%- elif model == "time_decay" -%}
        decay / sum(decay) over (
            partition by journey_id order by position rows between unbounded preceding and unbounded following
        )
    {%- else -%}
        {{
            exceptions.raise_compiler_error(
                "attribution.rule_models: there is no rule model '" ~ model ~ "'"
            )
        }}
    {%- endif -%}
{%- endmacro %}

{#- Shares of the first, middle and last touch, the rest equally for the others; where a journey is too short to have others, the
    named shares are scaled up to 1. The middle of n touches is touch n // 2 + 1, from three touches on. -#}
{% macro shaped_weight(shape) -%}
    {%- set first, middle, last = shape.get("first"), shape.get("middle"), shape.get("last") -%}
    {%- set named = [first, middle, last] | reject("none") | list -%}
    {%- set rest = [1.0 - named | sum, 0.0] | max -%}
    case
        when journey_length = 1
        then
            1.0
            {%- set ends = [first, last] | reject("none") | list %}
            {%- set short = rest / (2 - ends | length) if ends | length < 2 else 0.0 %}
            {%- set opening = short if first is none else first %}
            {%- set closing = short if last is none else last %}
            {%- set both = opening + closing %}
        when journey_length = 2
        then
            {%- if both > 0 %} case when position = 1 then {{ opening / both }} else {{ closing / both }} end
            {%- else %} 0.5
            {%- endif %}
        {%- if named | length == 3 %}
                {%- set all = named | sum %}
            when journey_length = 3
            then
                {%- if all > 0 %}
                    case
                        position
                        when 1
                        then {{ first / all }}
                        when 2
                        then {{ middle / all }}
                        else {{ last / all }}
                    end
                {%- else %} 1.0 / 3.0
                {%- endif %}
        {%- endif %}
        {%- if first is not none %} when position = 1 then {{ first }} {%- endif %}
        {%- if last is not none %} when position = journey_length then {{ last }} {%- endif %}
        {%- if middle is not none %}
            when position = cast(floor(journey_length / 2.0) as integer) + 1 then {{ middle }}
        {%- endif %}
        else {{ rest }} / cast(journey_length - {{ named | length }} as double)
    end
{%- endmacro %}

{#- Whether a channel is bought media by its GA4 display name. -#}
{% macro is_paid_channel(channel) -%}
    (lower({{ channel }}) like 'paid%' or lower({{ channel }}) in ('display', 'cross-network'))
{%- endmacro %}
