with
    source as (
        {{
            raw_table(
                "search_console",
                "site_daily",
                {
                    "date": "date",
                    "site_url": "text",
                    "device": "text",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "position": "double",
                },
            )
        }}
    )

select
    -- -------- ids
    site_url,
    device,

    -- -------- numerics
    clicks,
    impressions,
    position,

    -- -------- dates
    date as searched_on
from source
