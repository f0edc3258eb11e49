with
    source as (
        {{
            raw_table(
                "salesforce",
                "leads",
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
                    "status": "text",
                    "is_converted": "boolean",
                    "converted_contact_id": "text",
                    "converted_opportunity_id": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    id as lead_id,
    email_hash,
    master_record_id,
    user_id,
    organisation_id,
    gclid,
    converted_contact_id,
    converted_opportunity_id,

    -- -------- text
    lead_source,
    customer_source,
    first_url,
    status,

    -- -------- flags
    is_deleted as is_archived,
    is_converted,

    -- -------- timestamps
    created_at,
    updated_at
from source
