with
    source as (
        {{
            raw_table(
                "files",
                "contacts",
                {
                    "contact_id": "text",
                    "email_hash": "text",
                    "user_id": "text",
                    "lifecycle_stage": "text",
                    "customer_source": "text",
                    "created_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    contact_id,
    email_hash,
    user_id,

    -- -------- text
    lifecycle_stage,
    customer_source,

    -- -------- timestamps
    created_at
from source
