-- A row is a model and conversion type whose mart total is not what was credited.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__model_comparison"}}}) }}
with
    in_mart as (
        {% for model in credit_models() %}
            select
                '{{ model }}' as model_type,
                conversion_type,
                sum({{ model }}) as conversions,
                sum({{ model }}_revenue) as revenue
            from {{ ref("mart_attribution__model_comparison") }}
            group by conversion_type
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    credited as (
        select model_type, conversion_type, sum(credit) as conversions, sum(credited_revenue) as revenue
        from {{ ref("fct_attribution_credit") }}
        group by model_type, conversion_type
    )

select credited.*, in_mart.conversions as mart_conversions, in_mart.revenue as mart_revenue
from credited
left join
    in_mart on credited.model_type = in_mart.model_type and credited.conversion_type = in_mart.conversion_type
where
    in_mart.conversions is null
    or abs(credited.conversions - in_mart.conversions) > 0.000001 * (1 + credited.conversions)
    or abs(credited.revenue - in_mart.revenue) > 0.0000001
