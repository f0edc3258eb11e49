with
    source as (
        {{
            raw_table(
                "salesforce",
                "opportunities",
                {
                    "id": "text",
                    "name_hash": "text",
                    "stage_name": "text",
                    "amount": "money",
                    "currency_iso_code": "text",
                    "close_date": "date",
                    "is_closed": "boolean",
                    "is_won": "boolean",
                    "created_at": "timestamp",
                    "updated_at": "timestamp",
                    "is_deleted": "boolean",
                    "product": "text",
                },
            )
        }}
    )

select
    -- -------- ids
    id as deal_id,
    name_hash as deal_name_hash,
    stage_name as stage_id,

    -- -------- text
    product,

    -- -------- numerics
    amount,
    upper(trim(currency_iso_code)) as currency,

    -- -------- flags
    is_closed,
    is_won,
    is_deleted as is_archived,

    -- -------- dates
    close_date as closed_on,

    -- -------- timestamps
    created_at,
    updated_at
from source
