with
    source as (
        {{
            raw_table(
                "mixpanel",
                "profiles",
                {
                    "distinct_id": "text",
                    "email_hash": "text",
                    "phone_hash": "text",
                    "created_at": "timestamp",
                    "last_seen_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    distinct_id,
    email_hash,
    phone_hash,

    -- -------- timestamps
    created_at,
    last_seen_at
from source
