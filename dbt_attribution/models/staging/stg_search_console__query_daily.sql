with
    source as (
        {{
            raw_table(
                "search_console",
                "query_daily",
                {
                    "date": "date",
                    "site_url": "text",
                    "query": "text",
                    "page": "text",
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
    query,
    page,

    -- -------- numerics
    clicks,
    impressions,
    position,

    -- -------- dates
    date as searched_on
from source
