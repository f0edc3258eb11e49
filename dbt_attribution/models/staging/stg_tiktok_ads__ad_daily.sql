with
    source as (
        {{
            raw_table(
                "tiktok_ads",
                "ad_daily",
                {
                    "advertiser_id": "text",
                    "campaign_id": "text",
                    "adgroup_id": "text",
                    "ad_id": "text",
                    "campaign_name": "text",
                    "adgroup_name": "text",
                    "ad_name": "text",
                    "time_zone": "text",
                    "spend": "money",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "conversion": "double",
                    "currency": "text",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    advertiser_id,
    campaign_id,
    adgroup_id,
    ad_id,

    -- -------- text
    campaign_name,
    adgroup_name,
    ad_name,
    time_zone,

    -- -------- numerics
    spend as cost,
    clicks,
    impressions,
    conversion as conversions,
    upper(trim(currency)) as currency,

    -- -------- dates
    date as spend_on
from source
