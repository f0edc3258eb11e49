with
    source as (
        {{
            raw_table(
                "files",
                "conversions",
                {
                    "conversion_id": "text",
                    "user_id": "text",
                    "email_hash": "text",
                    "device_id": "text",
                    "conversion_type": "text",
                    "product": "text",
                    "revenue": "money",
                    "currency": "text",
                    "converted_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    conversion_id,
    user_id,
    email_hash,
    device_id,

    -- -------- text
    conversion_type,
    product,

    -- -------- numerics
    revenue,
    upper(trim(currency)) as currency,

    -- -------- timestamps
    converted_at
from source
