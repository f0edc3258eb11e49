with
    source as (
        {{
            raw_table(
                "ga4",
                "traffic_daily",
                {
                    "session_source": "text",
                    "session_medium": "text",
                    "session_campaign_name": "text",
                    "time_zone": "text",
                    "sessions": "bigint",
                    "key_events": "double",
                    "currency_code": "text",
                    "data_loss": "boolean",
                    "subject_to_thresholding": "boolean",
                    "is_sampled": "boolean",
                    "date": "date",
                },
            )
        }}
    )

select
    -- -------- text
    session_source as source,
    session_medium as medium,
    session_campaign_name as campaign,
    time_zone,

    -- -------- numerics
    sessions,
    key_events,
    upper(trim(currency_code)) as currency,

    -- -------- flags
    data_loss as has_data_loss,
    subject_to_thresholding as is_subject_to_thresholding,
    is_sampled,

    -- -------- dates
    date as traffic_on
from source
