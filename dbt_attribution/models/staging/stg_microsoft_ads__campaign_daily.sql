with
    source as (
        {{
            raw_table(
                "microsoft_ads",
                "campaign_daily",
                {
                    "account_id": "text",
                    "campaign_id": "text",
                    "campaign_name": "text",
                    "campaign_type": "text",
                    "time_zone": "text",
                    "spend": "money",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "conversions": "double",
                    "revenue": "money",
                    "currency_code": "text",
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
    campaign_type,
    time_zone,

    -- -------- numerics
    spend as cost,
    clicks,
    impressions,
    conversions,
    revenue as conversions_value,
    upper(trim(currency_code)) as currency,

    -- -------- dates
    date as spend_on
from source
