with
    source as (
        {{
            raw_table(
                "backend",
                "requests",
                {
                    "request_id": "text",
                    "device_id": "text",
                    "user_id": "text",
                    "fingerprint_id": "text",
                    "ip_hash": "text",
                    "path": "text",
                    "referrer": "text",
                    "user_agent": "text",
                    "event_name": "text",
                    "occurred_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    request_id,
    device_id,
    user_id,
    fingerprint_id,
    ip_hash,

    -- -------- text
    path,
    referrer,
    user_agent,
    event_name,

    -- -------- timestamps
    occurred_at
from source
