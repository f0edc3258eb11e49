with
    source as (
        {{
            raw_table(
                "x_posts",
                "posts",
                {
                    "id": "text",
                    "account_id": "text",
                    "published_on": "date",
                    "published_at": "timestamp",
                    "text": "text",
                    "impressions": "bigint",
                    "likes": "bigint",
                    "replies": "bigint",
                    "reposts": "bigint",
                    "quotes": "bigint",
                    "url_clicks": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    id as post_id,
    account_id,

    -- -------- text
    text,

    -- -------- numerics
    impressions,
    likes,
    replies,
    reposts,
    quotes,
    url_clicks,

    -- -------- dates
    published_on,

    -- -------- timestamps
    published_at
from source
