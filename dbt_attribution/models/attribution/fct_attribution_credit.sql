with
    credit as (
        {% for model in ["first_touch", "last_touch", "multi_touch", "data_driven"] %}
            select *
            from {{ ref("int_attribution__" ~ model) }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select
    -- -------- ids
    credit.conversion_id,
    credit.touchpoint_id,
    touches.artifact_id,

    -- -------- text
    credit.model_type,
    conversions.conversion_type,
    credit.channel,
    credit.campaign,
    conversions.product,

    -- -------- dates: by conversion (accrual view) and by touch (cash view)
    conversions.converted_on,
    {{ reporting_date("touches.occurred_at") }} as touched_on,

    -- -------- numerics
    credit.credit,
    credit.credited_revenue,
    conversions.currency
from credit
inner join {{ ref("fct_conversions") }} as conversions on credit.conversion_id = conversions.conversion_id
inner join
    {{ ref("fct_journey_touchpoints") }} as touches
    on credit.conversion_id = touches.conversion_id
    and credit.touchpoint_id = touches.touchpoint_id
