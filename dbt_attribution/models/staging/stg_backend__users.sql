with
    source as (
        {{
            raw_table(
                "backend",
                "users",
                {
                    "user_id": "text",
                    "email_hash": "text",
                    "organisation_id": "text",
                    "customer_source": "text",
                    "country": "text",
                    "email_verified": "boolean",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    user_id,
    email_hash,
    organisation_id,

    -- -------- text
    customer_source,
    country,

    -- -------- flags
    email_verified as is_email_verified,

    -- -------- timestamps
    created_at,
    updated_at
from source
