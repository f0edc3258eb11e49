with
    source as (
        {{
            raw_table(
                "posthog",
                "persons",
                {
                    "person_id": "text",
                    "email_hash": "text",
                    "phone_hash": "text",
                    "properties": "json",
                    "is_deleted": "boolean",
                    "created_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    person_id,
    email_hash,
    phone_hash,

    -- -------- text
    properties as person_properties,

    -- -------- timestamps
    created_at
from source
where not coalesce(is_deleted, false)
