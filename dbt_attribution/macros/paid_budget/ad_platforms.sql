{#- One entry an ad platform: where its columns differ from the usual ones. A new platform is one more entry.

    `raw` says where the same cost stands as the vendor sent it, and how many of its units make one of the currency's: the sums
    are compared, so that no step in between loses or repeats a row. The staging model is named after the raw table. Every entry
    keeps the vendor's own day, money in the account's currency. `files` carries its platform in a column, because one file may
    hold many. -#}
{% macro ad_platform_maps() -%}
    {%- set usual = {
        "account_id": "account_id",
        "campaign_id": "campaign_id",
        "campaign_name": "campaign_name",
        "cost": "cost",
        "currency": "currency",
        "clicks": "clicks",
        "impressions": "impressions",
        "platform_conversions": "conversions",
    } -%}
    {%- set usual_raw = {
        "table": "campaign_daily",
        "day": "date",
        "campaign": "campaign_id",
        "cost": "spend",
        "kind": "money",
        "units": 1,
    } -%}
    {%- set differing = {
        "google_ads": {
            "account_id": "customer_id",
            "campaign_type": "upper(advertising_channel_type)",
            "raw": {"cost": "cost_micros", "kind": "bigint", "units": 1000000},
        },
        "meta_ads": {
            "clicks": "coalesce(inline_link_clicks, clicks)",
            "platform_conversions": "purchases",
            "raw": {"table": "ad_daily", "day": "date_start"},
        },
        "microsoft_ads": {"campaign_type": "upper(campaign_type)"},
        "linkedin_ads": {
            "campaign_type": "upper(campaign_type)",
            "clicks": "coalesce(landing_page_clicks, clicks)",
            "raw": {"cost": "cost_in_local_currency"},
        },
        "reddit_ads": {
            "campaign_type": "upper(objective)",
            "raw": {"cost": "spend_micros", "kind": "bigint", "units": 1000000},
        },
        "x_ads": {
            "clicks": "coalesce(url_clicks, clicks)",
            "platform_conversions": "coalesce(conversion_purchases, 0) + coalesce(conversion_sign_ups, 0)",
            "raw": {"cost": "billed_charge_local_micro", "kind": "bigint", "units": 1000000},
        },
        "tiktok_ads": {"account_id": "advertiser_id", "raw": {"table": "ad_daily"}},
        "files": {
            "platform": canonical_platform("platform"),
            "account_id": "null",
            "campaign_id": "coalesce(campaign, '(not set)')",
            "campaign_name": "campaign",
            "platform_conversions": "0",
            "raw": {"table": "spend", "campaign": "campaign", "cost": "cost"},
        },
    } -%}
    {%- set maps = {} -%}
    {%- for name, own in differing.items() -%}
        {%- set raw = dict(usual_raw, **own.get("raw", {})) -%}
        {%- set fields = dict(usual, **own) -%}
        {%- do fields.update({"model": "stg_" ~ name ~ "__" ~ raw["table"], "raw": raw}) -%}
        {%- do maps.update({name: fields}) -%}
    {%- endfor -%}
    {{ return(maps) }}
{%- endmacro %}

{#- One platform's daily spend in the common shape, one row per (spend_on, account, campaign).

    A platform reports some accounts at ad grain, and a campaign renamed within a day twice: both are summed here, and the name
    kept is the last one in the alphabet, so that two runs agree. -#}
{% macro conform_ad_spend(source_name, fields) -%}
    select
        '{{ source_name }}' as source,
        spend_on as date_on,
        {{ fields.get("platform", "'" ~ source_name ~ "'") }} as platform,
        coalesce({{ fields.get("account_id", "null") }}, '(not set)') as account_id,
        coalesce({{ fields.get("campaign_id", "null") }}, '(not set)') as campaign_id,
        max(cast({{ fields.get("campaign_name", "null") }} as {{ type_of("text") }})) as campaign_name,
        max(cast({{ fields.get("campaign_type", "null") }} as {{ type_of("text") }})) as campaign_type,
        cast(sum(coalesce({{ fields["cost"] }}, 0)) as {{ type_of("money") }}) as original_spend,
        coalesce({{ fields["currency"] }}, '{{ var("reporting_currency") }}') as original_currency,
        cast(sum(coalesce({{ fields.get("clicks", "0") }}, 0)) as {{ type_of("bigint") }}) as clicks,
        cast(
            sum(coalesce({{ fields.get("impressions", "0") }}, 0)) as {{ type_of("bigint") }}
        ) as impressions,
        cast(
            sum(coalesce({{ fields.get("platform_conversions", "0") }}, 0)) as {{ type_of("double") }}
        ) as platform_conversions
    from {{ ref(fields["model"]) }}
    where spend_on is not null
    group by 1, 2, 3, 4, 5, 9
{%- endmacro %}

{#- Our id of an ad platform from whatever a team calls it in a spend file; an unknown name is kept as it is. -#}
{% macro canonical_platform(name) -%}
    {%- set aliases = {
        "google_ads": [
            "google",
            "google_ads",
            "googleads",
            "adwords",
            "google_adwords",
            "youtube",
        ],
        "meta_ads": [
            "meta",
            "meta_ads",
            "facebook",
            "facebook_ads",
            "fb",
            "instagram",
            "instagram_ads",
        ],
        "microsoft_ads": ["microsoft", "microsoft_ads", "bing", "bing_ads"],
        "linkedin_ads": ["linkedin", "linkedin_ads"],
        "reddit_ads": ["reddit", "reddit_ads"],
        "x_ads": ["x", "x_ads", "twitter", "twitter_ads"],
        "tiktok_ads": ["tiktok", "tiktok_ads"],
    } -%}
    case
        {%- for platform, names in aliases.items() %}
            when
                replace(replace(lower(trim({{ name }})), ' ', '_'), '-', '_')
                in ('{{ names | join("', '") }}')
            then '{{ platform }}'
        {%- endfor %}
        else coalesce(nullif(lower(trim({{ name }})), ''), '(not set)')
    end
{%- endmacro %}

{#- Rows of `reported` (source, date_on, campaign_id, spend) and of the unified model that do not agree, either way round. -#}
{% macro spend_differs(reported) -%}
    ,
    unified as (
        select source, date_on, campaign_id, sum(original_spend) as spend
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        group by source, date_on, campaign_id
    ),

    compared as (
        select source, date_on, campaign_id, spend as reported, 0 as unified
        from {{ reported }}
        union all
        select source, date_on, campaign_id, 0, spend
        from unified
    )

    select source, date_on, campaign_id, sum(reported) as reported, sum(unified) as unified
    from compared
    group by source, date_on, campaign_id
    having abs(sum(reported) - sum(unified)) > 0.000001
{%- endmacro %}
