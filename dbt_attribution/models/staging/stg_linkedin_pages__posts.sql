with
    source as (
        {{
            raw_table(
                "linkedin_pages",
                "posts",
                {
                    "id": "text",
                    "organisation_id": "text",
                    "published_on": "date",
                    "published_at": "timestamp",
                    "text": "text",
                    "impressions": "bigint",
                    "unique_impressions": "bigint",
                    "clicks": "bigint",
                    "likes": "bigint",
                    "comments": "bigint",
                    "shares": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    id as post_id,
    organisation_id,

    -- -------- text
    text,

    -- -------- numerics
    impressions,
    unique_impressions,
    clicks,
    likes,
    comments,
    shares,

    -- -------- dates
    published_on,

    -- -------- timestamps
    published_at
from source
