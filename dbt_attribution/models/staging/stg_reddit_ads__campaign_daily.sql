with
    source as (
        {{
            raw_table(
                "reddit_ads",
                "campaign_daily",
                {
                    "account_id": "text",
                    "campaign_id": "text",
                    "campaign_name": "text",
                    "objective": "text",
                    "time_zone": "text",
                    "spend_micros": "bigint",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "conversions": "double",
                    "currency": "text",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    account_id,
    campaign_id,

    -- -------- text
    campaign_name,
    objective,
    time_zone,

    -- -------- numerics
    cast(spend_micros / 1000000.0 as {{ type_of("money") }}) as cost,
    clicks,
    impressions,
    conversions,
    upper(trim(currency)) as currency,

    -- -------- dates
    date as spend_on
from source
