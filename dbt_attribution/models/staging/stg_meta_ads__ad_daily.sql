with
    source as (
        {{
            raw_table(
                "meta_ads",
                "ad_daily",
                {
                    "account_id": "text",
                    "campaign_id": "text",
                    "adset_id": "text",
                    "ad_id": "text",
                    "campaign_name": "text",
                    "adset_name": "text",
                    "ad_name": "text",
                    "attribution_setting": "text",
                    "actions": "json",
                    "spend": "money",
                    "clicks": "bigint",
                    "inline_link_clicks": "bigint",
                    "impressions": "bigint",
                    "purchases": "double",
                    "account_currency": "text",
                    "date_start": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    account_id,
    campaign_id,
    adset_id,
    ad_id,

    -- -------- text
    campaign_name,
    adset_name,
    ad_name,
    attribution_setting,
    actions,

    -- -------- numerics
    spend as cost,
    clicks,
    inline_link_clicks,
    impressions,
    purchases,
    upper(trim(account_currency)) as currency,

    -- -------- dates
    date_start as spend_on
from source
