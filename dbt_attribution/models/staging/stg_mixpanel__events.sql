{{
    staged_web_events(
        "mixpanel",
        {"$mp_web_page_view": "page_view"},
        ["$identify", "$create_alias", "$merge", "$mp_session_record"],
    )
}}
