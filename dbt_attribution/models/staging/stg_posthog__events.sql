{{
    staged_web_events(
        "posthog",
        {"$pageview": "page_view", "$screen": "screen_view"},
        [
            "$identify",
            "$create_alias",
            "$merge_dangerously",
            "$set",
            "$groupidentify",
            "$feature_flag_called",
        ],
    )
}}
