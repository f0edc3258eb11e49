with
    source as (
        {{
            raw_table(
                "klaviyo",
                "profiles",
                {
                    "id": "text",
                    "email_hash": "text",
                    "phone_hash": "text",
                    "user_id": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "last_event_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as profile_id,
    email_hash,
    phone_hash,
    user_id,

    -- -------- timestamps
    created_at,
    updated_at,
    last_event_at
from source
