with
    source as (
        {{
            raw_table(
                "linkedin_pages",
                "page_daily",
                {
                    "date": "date",
                    "organisation_id": "text",
                    "impressions": "bigint",
                    "unique_impressions": "bigint",
                    "clicks": "bigint",
                    "likes": "bigint",
                    "comments": "bigint",
                    "shares": "bigint",
                    "organic_follower_gain": "bigint",
                    "paid_follower_gain": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    organisation_id,

    -- -------- numerics
    impressions,
    unique_impressions,
    clicks,
    likes,
    comments,
    shares,
    organic_follower_gain,
    paid_follower_gain,

    -- -------- dates
    date as date_on
from source
