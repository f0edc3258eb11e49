-- A row is a path over which a model spreads more or less than one conversion: the remainder would silently
-- go
-- to one touch.
{{ config(meta={"dagster": {"ref": {"name": "int_attribution__data_driven"}}}) }}
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

    wanted as (
        -- Only paths that are spread: weights of paths of an earlier run may still be there.
        select distinct path_id
        from {{ ref("int_credit__journey_paths") }} as paths
        inner join
            {{ ref("int_attribution__data_driven") }} as credit on paths.conversion_id = credit.conversion_id
    )

select weights.model_type, weights.path_id, sum(weights.weight) as weight
from weights
inner join wanted on weights.path_id = wanted.path_id
group by weights.model_type, weights.path_id
having abs(sum(weights.weight) - 1) > 1e-9 or min(weights.weight) < 0
