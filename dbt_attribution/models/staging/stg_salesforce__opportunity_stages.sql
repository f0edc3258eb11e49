with
    source as (
        {{
            raw_table(
                "salesforce",
                "opportunity_stages",
                {
                    "api_name": "text",
                    "label": "text",
                    "sort_order": "bigint",
                    "default_probability": "double",
                    "is_active": "boolean",
                    "is_closed": "boolean",
                    "is_won": "boolean",
                },
            )
        }}
    )

select
    -- -------- ids
    api_name as stage_id,

    -- -------- text
    label,

    -- -------- numerics
    sort_order as display_order,
    default_probability / 100 as probability,

    -- -------- flags
    is_active,
    is_closed,
    is_won
from source
