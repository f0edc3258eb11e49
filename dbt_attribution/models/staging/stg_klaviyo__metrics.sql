with
    source as (
        {{
            raw_table(
                "klaviyo",
                "metrics",
                {
                    "id": "text",
                    "name": "text",
                    "integration_name": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as metric_id,

    -- -------- text
    name as metric_name,
    integration_name,

    -- -------- timestamps
    created_at,
    updated_at
from source
