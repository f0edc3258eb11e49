{{ daily_performance([{"name": "channel", "spend": "ad.channel", "touch": "touch.channel"}]) }}
