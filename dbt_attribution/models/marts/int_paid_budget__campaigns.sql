{{ config(schema="intermediate") }}
-- One row a campaign, under the name and type it had last.
select
    platform,
    account_id,
    campaign_id,
    coalesce(campaign_name, campaign_id) as campaign_name,
    coalesce(campaign_type, '(not set)') as campaign_type,
    channel,
    coalesce(product, '(none)') as product
from {{ ref("int_paid_budget__ad_spend_by_platform") }}
qualify
    row_number() over (
        partition by platform, account_id, campaign_id order by date_on desc, campaign_name, source
    )
    = 1
