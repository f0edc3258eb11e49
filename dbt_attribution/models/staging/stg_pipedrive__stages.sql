with
    source as (
        {{
            raw_table(
                "pipedrive",
                "stages",
                {
                    "id": "text",
                    "pipeline_id": "text",
                    "name": "text",
                    "order_nr": "bigint",
                    "deal_probability": "double",
                    "is_deleted": "boolean",
                },
            )
        }}
    )

select
    -- -------- ids
    id as stage_id,
    pipeline_id,

    -- -------- text
    name as label,

    -- -------- numerics
    order_nr as display_order,
    deal_probability / 100 as probability,

    -- -------- flags
    is_deleted
from source
