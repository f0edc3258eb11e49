{{ config(schema="intermediate") }}
-- The ad campaign behind a touch: by its click id where the platform tells, else by the name or id in the tag.
with
    touches as (
        select touchpoint_id, platform, campaign, click_id
        from {{ ref("fct_touchpoints") }}
        where platform is not null
    ),

    clicks as (
        select gclid, min(campaign_id) as campaign_id
        from {{ ref("stg_google_ads__click_view") }}
        group by gclid
    ),

    matches as (
        select touches.touchpoint_id, campaigns.platform, campaigns.account_id, campaigns.campaign_id, 1 as trust
        from touches
        inner join clicks on touches.click_id = clicks.gclid
        inner join
            {{ ref("int_paid_budget__campaigns") }} as campaigns
            on campaigns.platform = 'google_ads'
            and clicks.campaign_id = campaigns.campaign_id

        union all

        select touches.touchpoint_id, campaigns.platform, campaigns.account_id, campaigns.campaign_id, 2
        from touches
        inner join
            {{ ref("int_paid_budget__campaigns") }} as campaigns
            on touches.platform = campaigns.platform
            and lower(touches.campaign) in (lower(campaigns.campaign_name), lower(campaigns.campaign_id))
    )

select
    matches.touchpoint_id,
    campaigns.platform,
    campaigns.account_id,
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.campaign_type,
    campaigns.product
from matches
inner join
    {{ ref("int_paid_budget__campaigns") }} as campaigns
    on matches.platform = campaigns.platform
    and matches.account_id = campaigns.account_id
    and matches.campaign_id = campaigns.campaign_id
qualify
    row_number() over (
        partition by matches.touchpoint_id order by matches.trust, campaigns.account_id, campaigns.campaign_id
    )
    = 1
