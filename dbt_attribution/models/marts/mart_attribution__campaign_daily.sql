{{
    daily_performance(
        [
            {"name": "channel", "spend": "ad.channel", "touch": "coalesce(ad.channel, touch.channel)"},
            {"name": "platform", "spend": "ad.platform", "touch": "coalesce(ad.platform, '(none)')"},
            {"name": "account_id", "spend": "ad.account_id", "touch": "coalesce(ad.account_id, '(none)')"},
            {
                "name": "campaign_id",
                "spend": "ad.campaign_id",
                "touch": "coalesce(ad.campaign_id, '(none)')",
            },
            {
                "name": "campaign",
                "spend": "ad.campaign_name",
                "touch": "coalesce(ad.campaign_name, touch.campaign, '(not set)')",
            },
            {
                "name": "campaign_type",
                "spend": "ad.campaign_type",
                "touch": "coalesce(ad.campaign_type, '(not set)')",
            },
            {"name": "product", "spend": "ad.product", "touch": "coalesce(ad.product, '(none)')"},
        ]
    )
}}
