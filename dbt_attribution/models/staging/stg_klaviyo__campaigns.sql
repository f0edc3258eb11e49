with
    source as (
        {{
            raw_table(
                "klaviyo",
                "campaigns",
                {
                    "id": "text",
                    "message_id": "text",
                    "name": "text",
                    "subject": "text",
                    "status": "text",
                    "archived": "boolean",
                    "sent_at": "timestamp",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as campaign_id,
    message_id,

    -- -------- text
    name,
    subject,
    status,

    -- -------- flags
    archived as is_archived,

    -- -------- timestamps
    sent_at,
    created_at,
    updated_at
from source
