with
    source as (
        {{
            raw_table(
                "hubspot",
                "contacts",
                {
                    "id": "text",
                    "email_hash": "text",
                    "user_id": "text",
                    "organisation_id": "text",
                    "hs_google_click_id": "text",
                    "lifecyclestage": "text",
                    "customer_source": "text",
                    "hs_analytics_source": "text",
                    "first_url": "text",
                    "archived": "boolean",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as contact_id,
    email_hash,
    user_id,
    organisation_id,
    hs_google_click_id as gclid,

    -- -------- text
    lifecyclestage as lifecycle_stage,
    customer_source,
    hs_analytics_source,
    first_url,

    -- -------- flags
    archived as is_archived,

    -- -------- timestamps
    created_at,
    updated_at
from source
