with
    source as (
        {{
            raw_table(
                "files",
                "spend",
                {
                    "platform": "text",
                    "campaign": "text",
                    "cost": "money",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "currency": "text",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    lower(trim(platform)) as platform,
    campaign,

    -- -------- numerics
    cost,
    clicks,
    impressions,
    upper(trim(currency)) as currency,

    -- -------- dates
    date as spend_on
from source
