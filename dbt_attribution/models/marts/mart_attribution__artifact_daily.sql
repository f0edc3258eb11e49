{#- Platforms bill campaigns, not pieces of content: spend stands on `(not set)`. -#}
{{
    daily_performance(
        [
            {"name": "channel", "spend": "ad.channel", "touch": "touch.channel"},
            {
                "name": "artifact_id",
                "spend": "'(not set)'",
                "touch": "coalesce(touch.artifact_id, '(not set)')",
            },
        ]
    )
}}
