with
    source as (
        {{
            raw_table(
                "meta_pages",
                "account_daily",
                {
                    "date": "date",
                    "network": "text",
                    "account_id": "text",
                    "impressions": "bigint",
                    "reach": "bigint",
                    "engagements": "bigint",
                    "clicks": "bigint",
                    "followers": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    network,
    account_id,

    -- -------- numerics
    impressions,
    reach,
    engagements,
    clicks,
    followers,

    -- -------- dates
    date as date_on
from source
