with
    source as (
        {{
            raw_table(
                "files",
                "email_events",
                {
                    "email_event_id": "text",
                    "email_hash": "text",
                    "campaign": "text",
                    "action": "text",
                    "url": "text",
                    "occurred_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    email_event_id,
    email_hash,

    -- -------- text
    campaign,
    lower(trim(action)) as action,
    url,

    -- -------- timestamps
    occurred_at
from source
