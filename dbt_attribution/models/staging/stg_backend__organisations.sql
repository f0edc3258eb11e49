with
    source as (
        {{
            raw_table(
                "backend",
                "organisations",
                {
                    "organisation_id": "text",
                    "domain": "text",
                    "plan": "text",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    organisation_id,

    -- -------- text
    domain,
    plan,

    -- -------- timestamps
    created_at,
    updated_at
from source
