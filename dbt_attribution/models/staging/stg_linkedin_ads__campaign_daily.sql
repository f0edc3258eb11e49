with
    source as (
        {{
            raw_table(
                "linkedin_ads",
                "campaign_daily",
                {
                    "account_id": "text",
                    "campaign_id": "text",
                    "campaign_name": "text",
                    "campaign_type": "text",
                    "cost_in_local_currency": "money",
                    "cost_in_usd": "money",
                    "clicks": "bigint",
                    "landing_page_clicks": "bigint",
                    "impressions": "bigint",
                    "external_website_conversions": "double",
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
    campaign_type,

    -- -------- numerics
    cost_in_local_currency as cost,
    cost_in_usd,
    clicks,
    landing_page_clicks,
    impressions,
    external_website_conversions as conversions,
    upper(trim(currency)) as currency,

    -- -------- dates
    date as spend_on
from source
