-- Chance of every journey alive now to convert within the horizon. The model is a small table of
-- coefficients,
-- so this is
-- one sum a journey, whatever their number; a type without a model has null and the reason.
with
    terms as (
        {{
            optional_source_table(
                "credit",
                "conversion_model_terms",
                {"conversion_type": "text", "term": "text", "coefficient": "double"},
            )
        }}
    ),

    quality as (
        {{
            optional_source_table(
                "credit",
                "conversion_model_quality",
                {
                    "conversion_type": "text",
                    "status": "text",
                    "model_version": "text",
                    "fitted_at": "timestamp",
                    "horizon_days": "bigint",
                },
            )
        }}
    ),

    states as (select * from {{ ref("int_scoring__states") }} where step = 0),

    sums as (
        select states.state_id, sum(features.value * terms.coefficient) as total
        from states
        inner join {{ ref("int_scoring__features") }} as features on states.state_id = features.state_id
        inner join terms on states.conversion_type = terms.conversion_type and features.term = terms.term
        group by states.state_id
    ),

    intercepts as (select conversion_type, coefficient as intercept from terms where term = '(intercept)')

select
    -- -------- ids
    states.state_id as journey_state_id,
    states.canonical_user_id,

    -- -------- text
    states.conversion_type,
    quality.model_version,
    coalesce(quality.status, 'insufficient data: no conversion model was fitted yet') as status,

    -- -------- numerics
    round(
        1.0 / (1.0 + exp(- (intercepts.intercept + coalesce(sums.total, 0.0)))), 9
    ) as conversion_probability,
    cast(coalesce(quality.horizon_days, {{ var("score_horizon_days") }}) as integer) as horizon_days,
    states.touches,
    states.is_returning,

    -- -------- timestamps
    states.first_touch_at,
    states.last_touch_at,
    states.snapshot_at as scored_at,
    quality.fitted_at as model_fitted_at
from states
left join quality on states.conversion_type = quality.conversion_type
left join intercepts on states.conversion_type = intercepts.conversion_type
left join sums on states.state_id = sums.state_id
