with
    source as (
        {{
            raw_table(
                "x_posts",
                "post_daily",
                {
                    "date": "date",
                    "account_id": "text",
                    "post_id": "text",
                    "impressions": "bigint",
                    "likes": "bigint",
                    "replies": "bigint",
                    "reposts": "bigint",
                    "url_clicks": "bigint",
                    "engagements": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    account_id,
    post_id,

    -- -------- numerics
    impressions,
    likes,
    replies,
    reposts,
    url_clicks,
    engagements,

    -- -------- dates
    date as date_on
from source
