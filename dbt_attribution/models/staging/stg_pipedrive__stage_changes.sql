with
    source as (
        {{
            raw_table(
                "pipedrive",
                "stage_changes",
                {
                    "deal_id": "text",
                    "changed_at": "timestamp",
                    "stage_id": "text",
                    "old_stage_id": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    deal_id,
    stage_id,
    old_stage_id,

    -- -------- timestamps
    changed_at
from source
