with
    source as (
        {{
            raw_table(
                "x_ads",
                "campaign_daily",
                {
                    "account_id": "text",
                    "campaign_id": "text",
                    "campaign_name": "text",
                    "placement": "text",
                    "time_zone": "text",
                    "billed_charge_local_micro": "bigint",
                    "clicks": "bigint",
                    "url_clicks": "bigint",
                    "impressions": "bigint",
                    "conversion_purchases": "double",
                    "conversion_sign_ups": "double",
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
    placement,
    time_zone,

    -- -------- numerics
    cast(billed_charge_local_micro / 1000000.0 as {{ type_of("money") }}) as cost,
    clicks,
    url_clicks,
    impressions,
    conversion_purchases,
    conversion_sign_ups,
    upper(trim(currency)) as currency,

    -- -------- dates
    date as spend_on
from source
