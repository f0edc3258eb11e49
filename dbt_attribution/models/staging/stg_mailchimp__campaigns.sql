with
    source as (
        {{
            raw_table(
                "mailchimp",
                "campaigns",
                {
                    "id": "text",
                    "list_id": "text",
                    "title": "text",
                    "subject_line": "text",
                    "status": "text",
                    "archive_url": "text",
                    "emails_sent": "bigint",
                    "send_time": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as campaign_id,
    list_id,

    -- -------- text
    title,
    subject_line,
    status,
    archive_url,

    -- -------- numerics
    emails_sent,

    -- -------- timestamps
    send_time as sent_at
from source
