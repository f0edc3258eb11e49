with
    source as (
        {{
            raw_table(
                "backend",
                "subscriptions",
                {
                    "subscription_id": "text",
                    "user_id": "text",
                    "organisation_id": "text",
                    "product": "text",
                    "status": "text",
                    "billing_period": "text",
                    "amount": "money",
                    "currency": "text",
                    "started_at": "timestamp",
                    "cancelled_at": "timestamp",
                    "updated_at": "timestamp",
                },
            )
        }}
    )

select
    -- -------- ids
    subscription_id,
    user_id,
    organisation_id,

    -- -------- text
    product,
    status,
    billing_period,

    -- -------- numerics
    amount,
    upper(trim(currency)) as currency,

    -- -------- timestamps
    started_at,
    cancelled_at,
    updated_at
from source
