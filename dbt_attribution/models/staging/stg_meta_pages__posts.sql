with
    source as (
        {{
            raw_table(
                "meta_pages",
                "posts",
                {
                    "network": "text",
                    "id": "text",
                    "account_id": "text",
                    "published_on": "date",
                    "published_at": "timestamp",
                    "text": "text",
                    "url": "text",
                    "impressions": "bigint",
                    "reach": "bigint",
                    "clicks": "bigint",
                    "reactions": "bigint",
                    "comments": "bigint",
                    "shares": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    network,
    id as post_id,
    account_id,

    -- -------- text
    text,
    url,

    -- -------- numerics
    impressions,
    reach,
    clicks,
    reactions,
    comments,
    shares,

    -- -------- dates
    published_on,

    -- -------- timestamps
    published_at
from source
