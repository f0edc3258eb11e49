{{
    staged_web_events(
        "amplitude",
        {"[Amplitude] Page Viewed": "page_view"},
        ["$identify", "$groupidentify", "session_start", "session_end"],
    )
}}
