{{ config(schema="intermediate") }}
-- The ad campaign behind a touch: by its click id where the platform tells, else by the name or id in the
-- tag. A paid touch that
-- matches neither keeps its own words, or its credit would leave the paid reports. fbclid stands on unpaid
-- links too: a touch
-- that is not paid needs a match.
with
    touches as (
        select
            touchpoint_id,
            platform,
            channel,
            campaign,
            click_id,
            channel like 'Paid%' or channel in ('Display', 'Cross-network') as is_paid
        from {{ ref("fct_touchpoints") }}
        where platform is not null
    ),

    platform_clicks as (
        select
            'google_ads' as platform, gclid as click_id, customer_id as account_id, campaign_id, campaign_name
        from {{ ref("stg_google_ads__click_view") }}
        union all
        -- Microsoft's click report carries no names.
        select 'microsoft_ads', msclkid, account_id, campaign_id, cast(null as {{ type_of("text") }})
        from {{ ref("stg_microsoft_ads__clicks") }}
    ),

    clicks as (
        select
            platform,
            click_id,
            min(account_id) as account_id,
            min(campaign_id) as campaign_id,
            min(campaign_name) as campaign_name
        from platform_clicks
        group by platform, click_id
    ),

    -- Every name a campaign ever had: a link made before it was renamed still carries the old one.
    keys as (
        select platform, lower(campaign_id) as campaign_key, account_id, campaign_id, 1 as trust, date_on
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        union all
        select platform, lower(campaign_name), account_id, campaign_id, 2, date_on
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        where campaign_name is not null
    ),

    campaigns_by_key as (
        select platform, campaign_key, account_id, campaign_id
        from keys
        qualify
            row_number() over (
                partition by platform, campaign_key order by trust, date_on desc, account_id, campaign_id
            )
            = 1
    ),

    matched as (
        select
            touches.touchpoint_id,
            touches.platform,
            touches.channel,
            touches.campaign,
            touches.is_paid,
            clicks.campaign_name as clicked_name,
            case
                when clicks.click_id is not null then clicks.account_id else by_key.account_id
            end as account_id,
            case
                when clicks.click_id is not null then clicks.campaign_id else by_key.campaign_id
            end as campaign_id,
            case
                when clicks.click_id is not null
                then 'click id'
                when by_key.campaign_id is not null
                then 'campaign'
                else 'none'
            end as match_method
        from touches
        left join clicks on touches.platform = clicks.platform and touches.click_id = clicks.click_id
        left join
            campaigns_by_key as by_key
            on touches.platform = by_key.platform
            and lower(touches.campaign) = by_key.campaign_key
    )

select
    matched.touchpoint_id,
    matched.platform,
    coalesce(matched.account_id, '(not set)') as account_id,
    coalesce(matched.campaign_id, '(not set)') as campaign_id,
    coalesce(campaigns.campaign_name, matched.clicked_name, matched.campaign, '(not set)') as campaign_name,
    coalesce(campaigns.campaign_type, '(not set)') as campaign_type,
    coalesce(campaigns.product, '(none)') as product,
    -- Spend and credit of a campaign must meet in one row, so the channel its spend is booked on wins.
    coalesce(campaigns.channel, matched.channel) as channel,
    matched.match_method
from matched
left join
    {{ ref("int_paid_budget__campaigns") }} as campaigns
    on matched.platform = campaigns.platform
    and matched.account_id = campaigns.account_id
    and matched.campaign_id = campaigns.campaign_id
where matched.is_paid or matched.match_method <> 'none'
