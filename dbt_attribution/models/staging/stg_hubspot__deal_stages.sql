with
    source as (
        {{
            raw_table(
                "hubspot",
                "deal_stages",
                {
                    "pipeline_id": "text",
                    "stage_id": "text",
                    "label": "text",
                    "display_order": "bigint",
                    "probability": "double",
                    "is_closed": "boolean",
                    "is_won": "boolean",
                },
            )
        }}
    )

select
    -- -------- ids
    pipeline_id,
    stage_id,

    -- -------- text
    label,

    -- -------- numerics
    display_order,
    probability,

    -- -------- flags
    is_closed,
    is_won
from source
