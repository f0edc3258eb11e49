with
    source as (
        {{
            raw_table(
                "salesforce",
                "opportunity_contacts",
                {
                    "id": "text",
                    "opportunity_id": "text",
                    "contact_id": "text",
                    "is_primary": "boolean",
                    "role": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "is_deleted": "boolean",
                },
            )
        }}
    )

select
    -- -------- ids
    id as role_id,
    opportunity_id as deal_id,
    contact_id,

    -- -------- text
    role,

    -- -------- flags
    is_primary,
    is_deleted as is_archived,

    -- -------- timestamps
    created_at,
    updated_at
from source
