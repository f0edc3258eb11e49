with
    source as (
        {{
            raw_table(
                "files",
                "events",
                {
                    "event_id": "text",
                    "device_id": "text",
                    "user_id": "text",
                    "email_hash": "text",
                    "fingerprint_id": "text",
                    "ip_hash": "text",
                    "event_name": "text",
                    "page_url": "text",
                    "referrer": "text",
                    "user_agent": "text",
                    "occurred_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    event_id,
    device_id,
    user_id,
    email_hash,
    fingerprint_id,
    ip_hash,

    -- -------- text
    event_name,
    page_url,
    referrer,
    user_agent,

    -- -------- timestamps
    occurred_at
from source
