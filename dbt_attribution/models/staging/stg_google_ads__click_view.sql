with
    source as (
        {{
            raw_table(
                "google_ads",
                "click_view",
                {
                    "gclid": "text",
                    "customer_id": "text",
                    "campaign_id": "text",
                    "ad_group_id": "text",
                    "ad_id": "text",
                    "campaign_name": "text",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- ids
    gclid,
    customer_id,
    campaign_id,
    ad_group_id,
    ad_id,

    -- -------- text
    campaign_name,

    -- -------- dates
    date as clicked_on
from source
