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

    answered as (select distinct conversion_type, model_type from cells),

    places as (select distinct date_on, channel, product, conversion_type from cells),

    -- A model that answered for a conversion type and gave a cell nothing said zero there; one that had too
    -- little data
    -- said nothing, and stays null.
    filled as (
        select
            places.*,
            answered.model_type,
            coalesce(cells.conversions, 0) as conversions,
            coalesce(cells.revenue, 0) as revenue
        from places
        inner join answered on places.conversion_type = answered.conversion_type
        left join
            cells
            on places.date_on = cells.date_on
            and places.channel = cells.channel
            and places.product = cells.product
            and places.conversion_type = cells.conversion_type
            and answered.model_type = cells.model_type
    )

select
    -- -------- dimensions
    date_on,
    channel,
    product,
    conversion_type,

    -- -------- credited conversions
    {% for model in credit_models() %}
        cast(
            sum(case when model_type = '{{ model }}' then conversions end) as {{ type_of("double") }}
        ) as {{ model }},
    {% endfor %}

    -- -------- credited revenue
    {% for model in credit_models() %}
        cast(
            sum(case when model_type = '{{ model }}' then revenue end) as {{ type_of("money") }}
        ) as {{ model }}_revenue,
    {% endfor %}

    -- -------- how far the models are apart: (max - min) / mean
    {{ ratio("(max(conversions) - min(conversions)) * count(*)", stable_sum("conversions")) }}
    as divergence_score
from filled
group by date_on, channel, product, conversion_type
