with
    source as (
        {{
            raw_table(
                "ga4",
                "events",
                {
                    "event_id": "text",
                    "user_pseudo_id": "text",
                    "user_id": "text",
                    "stream_id": "text",
                    "ga_session_id": "bigint",
                    "event_name": "text",
                    "platform": "text",
                    "page_location": "text",
                    "page_referrer": "text",
                    "manual_source": "text",
                    "manual_medium": "text",
                    "manual_campaign_name": "text",
                    "manual_term": "text",
                    "manual_content": "text",
                    "gclid": "text",
                    "dclid": "text",
                    "srsltid": "text",
                    "device_category": "text",
                    "browser": "text",
                    "operating_system": "text",
                    "country": "text",
                    "event_params": "json",
                    "event_value": "double",
                    "event_date": "date",
                    "event_timestamp": "bigint",
                },
            )
        }}
    )

select
    -- -------- ids
    event_id,
    user_pseudo_id as device_id,
    user_id,
    stream_id,
    ga_session_id,

    -- -------- text
    event_name,
    platform,
    page_location as page_url,
    page_referrer as referrer,
    manual_source,
    manual_medium,
    manual_campaign_name,
    manual_term,
    manual_content,
    gclid,
    dclid,
    srsltid,
    device_category,
    browser,
    operating_system,
    country,
    event_params,

    -- -------- numerics
    event_value,

    -- -------- dates
    event_date as event_on,

    -- -------- timestamps
    {{ epoch_micros("event_timestamp") }} as occurred_at
from source
