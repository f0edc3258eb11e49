with
    source as (
        {{
            raw_table(
                "mailchimp",
                "email_activity",
                {
                    "activity_id": "text",
                    "campaign_id": "text",
                    "list_id": "text",
                    "email_id": "text",
                    "email_hash": "text",
                    "ip_hash": "text",
                    "action": "text",
                    "url": "text",
                    "timestamp": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    activity_id,
    campaign_id,
    list_id,
    email_id,
    email_hash,
    ip_hash,

    -- -------- text
    lower(trim(action)) as action,
    url,

    -- -------- timestamps
    timestamp as occurred_at
from source
