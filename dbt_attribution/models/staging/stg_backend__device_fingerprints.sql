with
    source as (
        {{
            raw_table(
                "backend",
                "device_fingerprints",
                {
                    "device_id": "text",
                    "fingerprint_id": "text",
                    "user_id": "text",
                    "first_seen_at": "timestamp",
                    "last_seen_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    device_id,
    fingerprint_id,
    user_id,

    -- -------- timestamps
    first_seen_at,
    last_seen_at
from source
