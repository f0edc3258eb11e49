with
    source as (
        {{
            raw_table(
                "salesforce",
                "opportunity_history",
                {
                    "id": "text",
                    "opportunity_id": "text",
                    "stage_name": "text",
                    "created_at": "timestamp",
                    "is_deleted": "boolean",
                },
            )
        }}
    )

select
    -- -------- ids
    id as change_id,
    opportunity_id as deal_id,
    stage_name as stage_id,

    -- -------- flags
    is_deleted as is_archived,

    -- -------- timestamps
    created_at as changed_at
from source
