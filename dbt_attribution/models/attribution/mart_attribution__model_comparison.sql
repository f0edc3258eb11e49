{{ config(schema="marts") }}
with
    cells as (
        select
            converted_on as date_on,
            channel,
            coalesce(product, '(none)') as product,
            conversion_type,
            model_type,
            {{ stable_sum("credit") }} as conversions,
            sum(credited_revenue) as revenue
        from {{ ref("fct_attribution_credit") }}
        group by 1, 2, 3, 4, 5
    ),

    -- A model that answered for a conversion type and gave a cell nothing said zero; one that did not
    -- answer said nothing.
    answered as (
        select conversion_type, count(distinct model_type) as models from cells group by conversion_type
    )

select
    -- -------- dimensions
    cells.date_on,
    cells.channel,
    cells.product,
    cells.conversion_type,

    -- -------- credited conversions
    {% for model in credit_models() %}
        sum(case when cells.model_type = '{{ model }}' then cells.conversions end) as {{ model }},
    {% endfor %}

    -- -------- credited revenue
    {% for model in credit_models() %}
        sum(case when cells.model_type = '{{ model }}' then cells.revenue end) as {{ model }}_revenue,
    {% endfor %}

    -- -------- how far the models are apart: (max - min) / mean
    (
        max(cells.conversions)
        - case when count(*) < max(answered.models) then 0 else min(cells.conversions) end
    )
    / ({{ stable_sum("cells.conversions") }} / max(answered.models)) as divergence_score
from cells
inner join answered on cells.conversion_type = answered.conversion_type
group by 1, 2, 3, 4
