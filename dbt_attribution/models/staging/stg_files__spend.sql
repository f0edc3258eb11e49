with
    source as (
        {{
            raw_table(
                "files",
                "spend",
                {
                    "date": "date",
                    "platform": "text",
                    "campaign": "text",
                    "cost": "money",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "currency": "text",
                },
            )
        }}
    )

select
    ---------- ids
    lower(trim(platform)) as platform,
    campaign,

    ---------- numerics
    cost,
    clicks,
    impressions,
    upper(currency) as currency,

    ---------- dates
    date as spend_on
from source
