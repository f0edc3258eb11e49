with
    source as (
        {{
            raw_table(
                "google_ads",
                "campaign_daily",
                {
                    "customer_id": "text",
                    "campaign_id": "text",
                    "campaign_name": "text",
                    "advertising_channel_type": "text",
                    "time_zone": "text",
                    "cost_micros": "bigint",
                    "clicks": "bigint",
                    "impressions": "bigint",
                    "conversions": "double",
                    "conversions_value": "double",
                    "currency_code": "text",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    customer_id,
    campaign_id,

    -- -------- text
    campaign_name,
    advertising_channel_type,
    time_zone,

    -- -------- numerics
    cast(cost_micros / 1000000.0 as {{ type_of("money") }}) as cost,
    clicks,
    impressions,
    conversions,
    conversions_value,
    upper(trim(currency_code)) as currency,

    -- -------- dates
    date as spend_on
from source
