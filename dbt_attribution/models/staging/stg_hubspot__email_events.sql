with
    source as (
        {{
            raw_table(
                "hubspot",
                "email_events",
                {
                    "id": "text",
                    "campaign_id": "text",
                    "email_hash": "text",
                    "type": "text",
                    "email_campaign_name": "text",
                    "url": "text",
                    "filtered_event": "boolean",
                    "created": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as email_event_id,
    campaign_id,
    email_hash,

    -- -------- text
    lower(trim(type)) as action,
    email_campaign_name as campaign_name,
    url,

    -- -------- flags
    filtered_event as is_filtered,

    -- -------- timestamps
    created as occurred_at
from source
