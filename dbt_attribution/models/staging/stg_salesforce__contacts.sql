with
    source as (
        {{
            raw_table(
                "salesforce",
                "contacts",
                {
                    "id": "text",
                    "email_hash": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "is_deleted": "boolean",
                    "master_record_id": "text",
                    "lead_source": "text",
                    "customer_source": "text",
                    "user_id": "text",
                    "organisation_id": "text",
                    "gclid": "text",
                    "first_url": "text",
                    "account_id": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    id as contact_id,
    email_hash,
    master_record_id,
    user_id,
    organisation_id,
    gclid,
    account_id,

    -- -------- text
    lead_source,
    customer_source,
    first_url,

    -- -------- flags
    is_deleted as is_archived,

    -- -------- timestamps
    created_at,
    updated_at
from source
