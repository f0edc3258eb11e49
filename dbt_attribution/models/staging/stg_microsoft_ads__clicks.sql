with
    source as (
        {{
            raw_table(
                "microsoft_ads",
                "clicks",
                {
                    "msclkid": "text",
                    "account_id": "text",
                    "campaign_id": "text",
                    "ad_group_id": "text",
                    "ad_id": "text",
                    "keyword": "text",
                    "device_type": "text",
                    "clicks": "bigint",
                    "cpc": "money",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    msclkid,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,

    -- -------- text
    keyword,
    device_type,

    -- -------- numerics
    clicks,
    cpc,

    -- -------- dates
    date as clicked_on
from source
