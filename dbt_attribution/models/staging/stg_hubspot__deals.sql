with
    source as (
        {{
            raw_table(
                "hubspot",
                "deals",
                {
                    "id": "text",
                    "pipeline": "text",
                    "dealstage": "text",
                    "contact_ids": "json",
                    "dealname_hash": "text",
                    "product": "text",
                    "amount": "money",
                    "deal_currency_code": "text",
                    "archived": "boolean",
                    "create_date": "timestamp",
                    "close_date": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    id as deal_id,
    pipeline as pipeline_id,
    dealstage as stage_id,
    contact_ids,

    -- -------- text
    dealname_hash as deal_name_hash,
    product,

    -- -------- numerics
    amount,
    upper(trim(deal_currency_code)) as currency,

    -- -------- flags
    archived as is_archived,

    -- -------- timestamps
    create_date as created_at,
    close_date as closed_at,
    updated_at
from source
