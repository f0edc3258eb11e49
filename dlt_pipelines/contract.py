"""Raw tables of the vendors' sources, column by column: the contract of docs/architecture.md, typed.

A column ending in `_hash` is given in plain by its source and leaves keyed-hashed; see `dlt_pipelines.rows`.
"""

from typing import Final

from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import ResourceSpec

GA4_EVENTS: Final = ResourceSpec(
    "events",
    ("event_id",),
    "Events of the BigQuery export, one row per event, whole days replaced.",
    (
        C("event_id", "text", "Hash of stream, device, name, time and parameters: the export has no id of its own."),
        C("event_date", "date", "Day in the property's time zone."),
        C("event_timestamp", "bigint", "Microseconds since the epoch."),
        C("event_name", "text", "GA4 event name."),
        C("user_pseudo_id", "text", "Device id: the value of the _ga cookie.", "identifier"),
        C("user_id", "text", "Authenticated user id, null until login.", "identifier"),
        C("stream_id", "text", "Data stream."),
        C("platform", "text", "WEB, ANDROID or IOS."),
        C("ga_session_id", "bigint", "Session of the device, from the event parameters."),
        C("page_location", "text", "Full address, personal values redacted.", "url"),
        C("page_referrer", "text", "Referring address, personal values redacted.", "url"),
        C("manual_source", "text", "utm_source of the collected traffic source.", "free_text"),
        C("manual_medium", "text", "utm_medium.", "free_text"),
        C("manual_campaign_name", "text", "utm_campaign.", "free_text"),
        C("manual_term", "text", "utm_term.", "free_text"),
        C("manual_content", "text", "utm_content.", "free_text"),
        C("gclid", "text", "Google Ads click id."),
        C("dclid", "text", "Display & Video click id."),
        C("srsltid", "text", "Merchant Center result id."),
        C("device_category", "text", "desktop, mobile, tablet, smart tv."),
        C("browser", "text", "Browser name as GA4 parsed it."),
        C("operating_system", "text", "Operating system as GA4 parsed it."),
        C("country", "text", "Country as GA4 located it."),
        C("event_value", "double", "Parameter `value`."),
        C("event_params", "text", "All parameters as JSON text, personal values redacted.", "params"),
    ),
)
GA4_TRAFFIC: Final = ResourceSpec(
    "traffic_daily",
    ("date", "session_source", "session_medium", "session_campaign_name"),
    "Sessions and key events per day and session source, from the Data API.",
    (
        C("date", "date", "Day in the property's time zone."),
        C("session_source", "text", "Session source.", "free_text"),
        C("session_medium", "text", "Session medium.", "free_text"),
        C("session_campaign_name", "text", "Session campaign.", "free_text"),
        C("sessions", "bigint", "Sessions."),
        C("key_events", "double", "Key events."),
        C("currency_code", "text", "Currency of the property."),
        C("time_zone", "text", "Time zone of the property."),
        C("data_loss", "bool", "Rows were folded into (other)."),
        C("subject_to_thresholding", "bool", "Rows were withheld for privacy."),
        C("is_sampled", "bool", "The report was sampled."),
    ),
)
GOOGLE_ADS_CAMPAIGNS: Final = ResourceSpec(
    "campaign_daily",
    ("date", "customer_id", "campaign_id"),
    "Cost, clicks and conversions per campaign and day.",
    (
        C("date", "date", "Day in the account's time zone."),
        C("customer_id", "text", "Account."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("advertising_channel_type", "text", "SEARCH, DISPLAY, PERFORMANCE_MAX, …"),
        C("cost_micros", "bigint", "Cost in millionths of the account's currency."),
        C("clicks", "bigint", "Clicks."),
        C("impressions", "bigint", "Impressions."),
        C("conversions", "double", "Conversions, counted on the day of the click."),
        C("conversions_value", "double", "Value of the conversions."),
        C("currency_code", "text", "Currency of the account."),
        C("time_zone", "text", "Time zone of the account."),
    ),
)
GOOGLE_ADS_CLICKS: Final = ResourceSpec(
    "click_view",
    ("date", "gclid"),
    "Clicks with their click id; Google keeps them for 90 days.",
    (
        C("date", "date", "Day of the click in the account's time zone."),
        C("gclid", "text", "Google Ads click id."),
        C("customer_id", "text", "Account."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("ad_group_id", "text", "Ad group."),
        C("ad_id", "text", "Ad."),
    ),
)
META_ADS_DAYS: Final = ResourceSpec(
    "ad_daily",
    ("date_start", "account_id", "ad_id"),
    "Spend, clicks and purchases per ad and day.",
    (
        C("date_start", "date", "Day in the account's time zone."),
        C("account_id", "text", "Account, act_…."),
        C("ad_id", "text", "Ad."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("adset_id", "text", "Ad set."),
        C("adset_name", "text", "Ad set name."),
        C("ad_name", "text", "Ad name."),
        C("spend", "decimal", "Spend in `account_currency`."),
        C("clicks", "bigint", "All clicks."),
        C("inline_link_clicks", "bigint", "Clicks on links."),
        C("impressions", "bigint", "Impressions."),
        C("account_currency", "text", "Currency of the account."),
        C("purchases", "double", "Purchases that Meta claims."),
        C("actions", "text", "All actions as JSON text."),
        C("attribution_setting", "text", "Meta's attribution window for this ad set."),
    ),
)
MAILCHIMP_CAMPAIGNS: Final = ResourceSpec(
    "campaigns",
    ("id",),
    "E-mail campaigns.",
    (
        C("id", "text", "Campaign."),
        C("list_id", "text", "Audience."),
        C("title", "text", "Internal title.", "free_text"),
        C("subject_line", "text", "Subject.", "free_text"),
        C("status", "text", "sent, schedule, …"),
        C("send_time", "timestamp", "When it was sent, UTC."),
        C("emails_sent", "bigint", "Recipients."),
        C("archive_url", "text", "Public copy.", "url"),
    ),
)
MAILCHIMP_ACTIVITY: Final = ResourceSpec(
    "email_activity",
    ("activity_id",),
    "Opens, clicks and bounces of each recipient.",
    (
        C("activity_id", "text", "Hash of campaign, recipient, action, time and address."),
        C("campaign_id", "text", "Campaign."),
        C("list_id", "text", "Audience."),
        C("email_id", "text", "Keyed hash of Mailchimp's recipient id, which is a plain MD5 of the address."),
        C("email_hash", "text", "Keyed hash of the recipient's address.", "email"),
        C("action", "text", "open, click or bounce."),
        C("timestamp", "timestamp", "When, UTC."),
        C("url", "text", "Clicked address, personal values redacted.", "url"),
        C("ip_hash", "text", "Keyed hash of the recipient's address on the network.", "ip"),
    ),
)
HUBSPOT_CONTACTS: Final = ResourceSpec(
    "contacts",
    ("id",),
    "CRM contacts, archived ones included.",
    (
        C("id", "text", "Contact."),
        C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("archived", "bool", "Deleted in HubSpot."),
        C("lifecyclestage", "text", "Lifecycle stage."),
        C("customer_source", "text", "Self-reported source.", "free_text"),
        C("user_id", "text", "User id in the product.", "identifier"),
        C("organisation_id", "text", "Organisation in the product."),
        C("hs_analytics_source", "text", "HubSpot's original source."),
        C("hs_google_click_id", "text", "Google click id HubSpot captured."),
        C("first_url", "text", "First address seen, personal values redacted.", "url"),
    ),
)
HUBSPOT_DEALS: Final = ResourceSpec(
    "deals",
    ("id",),
    "CRM deals, archived ones included.",
    (
        C("id", "text", "Deal."),
        C("dealname_hash", "text", "Keyed hash of the name, which often holds a person's.", "name"),
        C("pipeline", "text", "Pipeline."),
        C("dealstage", "text", "Stage."),
        C("amount", "decimal", "Amount in `deal_currency_code`."),
        C("deal_currency_code", "text", "Currency; null where the portal has one only."),
        C("create_date", "timestamp", "Creation, UTC."),
        C("close_date", "timestamp", "Close, expected or real, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("archived", "bool", "Deleted in HubSpot."),
        C("contact_ids", "text", "Associated contacts, JSON list of ids."),
        C("product", "text", "Product."),
    ),
)
HUBSPOT_STAGES: Final = ResourceSpec(
    "deal_stages",
    ("pipeline_id", "stage_id"),
    "Deal stages of every pipeline.",
    (
        C("pipeline_id", "text", "Pipeline."),
        C("stage_id", "text", "Stage."),
        C("label", "text", "Name shown."),
        C("display_order", "bigint", "Order in the pipeline."),
        C("probability", "double", "Win probability, 0 to 1."),
        C("is_closed", "bool", "Deals here are closed."),
        C("is_won", "bool", "Deals here are won."),
    ),
)
HUBSPOT_EMAIL_EVENTS: Final = ResourceSpec(
    "email_events",
    ("id",),
    "Marketing e-mail events per recipient.",
    (
        C("id", "text", "Event."),
        C("type", "text", "SENT, DELIVERED, OPEN, CLICK, BOUNCE, …"),
        C("created", "timestamp", "When, UTC."),
        C("campaign_id", "text", "E-mail campaign."),
        C("email_campaign_name", "text", "E-mail campaign's name, where HubSpot tells it.", "free_text"),
        C("email_hash", "text", "Keyed hash of the recipient's address.", "email"),
        C("url", "text", "Clicked address, personal values redacted.", "url"),
        C("filtered_event", "bool", "HubSpot takes it for a bot."),
    ),
)
BACKEND_USERS: Final = ResourceSpec(
    "users",
    ("user_id",),
    "Registered users.",
    (
        C("user_id", "text", "User.", "identifier"),
        C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
        C("email_verified", "bool", "The address was confirmed."),
        C("created_at", "timestamp", "Registration, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("customer_source", "text", "Self-reported source.", "free_text"),
        C("organisation_id", "text", "Organisation."),
        C("country", "text", "ISO 3166 alpha-2."),
    ),
)
BACKEND_FINGERPRINTS: Final = ResourceSpec(
    "device_fingerprints",
    ("device_id", "fingerprint_id"),
    "Devices and their fingerprints, with the user once logged in.",
    (
        C("device_id", "text", "Device.", "identifier"),
        C("fingerprint_id", "text", "Fingerprint."),
        C("user_id", "text", "User, null until login.", "identifier"),
        C("first_seen_at", "timestamp", "First seen, UTC."),
        C("last_seen_at", "timestamp", "Last seen, UTC."),
    ),
)
BACKEND_REQUESTS: Final = ResourceSpec(
    "requests",
    ("request_id",),
    "Requests the product's backend served.",
    (
        C("request_id", "text", "Request."),
        C("occurred_at", "timestamp", "When, UTC."),
        C("device_id", "text", "Device, from the _ga cookie.", "identifier"),
        C("user_id", "text", "User, null when not logged in.", "identifier"),
        C("path", "text", "Path with query, personal values redacted.", "url"),
        C("referrer", "text", "Referring address, personal values redacted.", "url"),
        C("user_agent", "text", "User agent text."),
        C("ip_hash", "text", "Keyed hash of the client's address.", "ip"),
        C("event_name", "text", "login, sign_up or null."),
        C("fingerprint_id", "text", "Fingerprint."),
    ),
)
BACKEND_SUBSCRIPTIONS: Final = ResourceSpec(
    "subscriptions",
    ("subscription_id",),
    "Subscriptions.",
    (
        C("subscription_id", "text", "Subscription."),
        C("user_id", "text", "User who bought.", "identifier"),
        C("organisation_id", "text", "Organisation."),
        C("product", "text", "Product."),
        C("status", "text", "active, cancelled, …"),
        C("started_at", "timestamp", "Start, UTC."),
        C("cancelled_at", "timestamp", "Cancellation, UTC."),
        C("amount", "decimal", "Amount per billing period in `currency`."),
        C("currency", "text", "ISO 4217."),
        C("billing_period", "text", "month or year."),
        C("updated_at", "timestamp", "Last change, UTC."),
    ),
)
BACKEND_ORGANISATIONS: Final = ResourceSpec(
    "organisations",
    ("organisation_id",),
    "Organisations.",
    (
        C("organisation_id", "text", "Organisation."),
        C("domain", "text", "Domain of the organisation."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("plan", "text", "Plan."),
        C("updated_at", "timestamp", "Last change, UTC."),
    ),
)

GA4: Final = (GA4_EVENTS, GA4_TRAFFIC)
GOOGLE_ADS: Final = (GOOGLE_ADS_CAMPAIGNS, GOOGLE_ADS_CLICKS)
META_ADS: Final = (META_ADS_DAYS,)
MAILCHIMP: Final = (MAILCHIMP_CAMPAIGNS, MAILCHIMP_ACTIVITY)
HUBSPOT: Final = (HUBSPOT_CONTACTS, HUBSPOT_DEALS, HUBSPOT_STAGES, HUBSPOT_EMAIL_EVENTS)
BACKEND: Final = (
    BACKEND_USERS,
    BACKEND_FINGERPRINTS,
    BACKEND_REQUESTS,
    BACKEND_SUBSCRIPTIONS,
    BACKEND_ORGANISATIONS,
)
