with
    source as (
        {{
            raw_table(
                "pipedrive",
                "persons",
                {
                    "id": "text",
                    "email_hash": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "is_deleted": "boolean",
                    "customer_source": "text",
                    "user_id": "text",
                    "organisation_id": "text",
                    "gclid": "text",
                    "first_url": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    'pipedrive:' || id as contact_id,
    email_hash,
    user_id,
    organisation_id,
    gclid,

    -- -------- text
    customer_source,
    first_url,

    -- -------- flags
    is_deleted as is_archived,

    -- -------- timestamps
    created_at,
    updated_at
from source
