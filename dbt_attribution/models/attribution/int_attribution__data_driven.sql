{{ config(schema="intermediate") }}
-- Weights of paths, and of single touches for models that look at times too, brought to the touches of every
-- converting journey. A model that had too little data for a conversion type has no weights for it, and then
-- no row here either: an absent number, not a guess.
with
    weights as (
        {{
            optional_source_table(
                "credit",
                "credit_path_weights",
                {"model_type": "text", "path_id": "text", "position": "bigint", "weight": "double"},
            )
        }}
    ),

    touch_weights as (
        {{
            optional_source_table(
                "credit",
                "credit_touch_weights",
                {
                    "model_type": "text",
                    "conversion_id": "text",
                    "touchpoint_id": "text",
                    "weight": "double",
                },
            )
        }}
    ),

    raw_credit as (
        select
            journeys.conversion_id,
            journeys.touchpoint_id,
            weights.model_type,
            journeys.channel,
            journeys.campaign,
            journeys.position,
            weights.weight as raw_credit,
            journeys.revenue
        from {{ ref("int_attribution__journeys") }} as journeys
        inner join {{ ref("int_credit__journey_paths") }} as paths on journeys.journey_id = paths.journey_id
        inner join
            weights
            on paths.path_id = weights.path_id
            and journeys.position - paths.skipped = weights.position

        union all

        select
            journeys.conversion_id,
            journeys.touchpoint_id,
            touch_weights.model_type,
            journeys.channel,
            journeys.campaign,
            journeys.position,
            touch_weights.weight as raw_credit,
            journeys.revenue
        from {{ ref("int_attribution__journeys") }} as journeys
        inner join
            touch_weights
            on journeys.conversion_id = touch_weights.conversion_id
            and journeys.touchpoint_id = touch_weights.touchpoint_id
    )

    {{ conserve_credit("raw_credit") }}
