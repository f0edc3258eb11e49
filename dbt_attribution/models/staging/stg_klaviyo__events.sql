with
    source as (
        {{
            raw_table(
                "klaviyo",
                "events",
                {
                    "id": "text",
                    "metric_id": "text",
                    "profile_id": "text",
                    "email_hash": "text",
                    "user_id": "text",
                    "message_id": "text",
                    "flow_id": "text",
                    "metric_name": "text",
                    "campaign_name": "text",
                    "subject": "text",
                    "url": "text",
                    "properties": "json",
                    "is_machine": "boolean",
                    "value": "double",
                    "occurred_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as email_event_id,
    metric_id,
    profile_id,
    email_hash,
    user_id,
    message_id,
    flow_id,

    -- -------- text
    case
        metric_name
        when 'Received Email'
        then 'sent'
        when 'Opened Email'
        then 'open'
        when 'Clicked Email'
        then 'click'
        when 'Bounced Email'
        then 'bounce'
        when 'Unsubscribed from Email Marketing'
        then 'unsubscribe'
        else lower(trim(metric_name))
    end as action,
    campaign_name,
    subject,
    url,
    properties as event_properties,

    -- -------- flags
    is_machine,

    -- -------- numerics
    value as event_value,

    -- -------- timestamps
    occurred_at
from source
