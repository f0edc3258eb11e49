{{ config(schema="intermediate") }}
-- Path weights spread back to the touches of every converting journey. A model that had too little data for
-- a conversion type has
-- no weights for it, and then no row here either: an absent number, not a guess.
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
    )

    {{ conserve_credit("raw_credit") }}
