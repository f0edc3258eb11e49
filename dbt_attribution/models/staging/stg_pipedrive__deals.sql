with
    source as (
        {{
            raw_table(
                "pipedrive",
                "deals",
                {
                    "id": "text",
                    "title_hash": "text",
                    "pipeline_id": "text",
                    "stage_id": "text",
                    "status": "text",
                    "value": "money",
                    "currency": "text",
                    "person_id": "text",
                    "expected_close_date": "date",
                    "won_at": "timestamp",
                    "lost_at": "timestamp",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "is_deleted": "boolean",
                    "is_archived": "boolean",
                    "product": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    id as deal_id,
    title_hash as deal_name_hash,
    pipeline_id,
    stage_id,
    'pipedrive:' || person_id as contact_id,

    -- -------- text
    status,
    product,

    -- -------- numerics
    value as amount,
    upper(trim(currency)) as currency,

    -- -------- flags
    is_deleted,
    is_archived,

    -- -------- dates
    expected_close_date as expected_close_on,

    -- -------- timestamps
    won_at,
    lost_at,
    created_at,
    updated_at
from source
