-- Conversions that ad campaigns earned a share of, with the user, organisation and subscription behind each.
select
    -- -------- ids
    credit.conversion_id,
    conversions.canonical_user_id,
    conversions.user_id,
    conversions.organisation_id,
    conversions.subscription_id,
    campaigns.platform,
    campaigns.account_id,
    campaigns.campaign_id,

    -- -------- text
    campaigns.campaign_name,
    campaigns.campaign_type,
    campaigns.channel,
    credit.model_type,
    credit.conversion_type,
    credit.product,

    -- -------- dates
    credit.converted_on,

    -- -------- numerics
    {{ stable_sum("credit.credit") }} as credit,
    cast(sum(credit.credited_revenue) as {{ type_of("money") }}) as credited_revenue,
    max(credit.currency) as currency
from {{ ref("fct_attribution_credit") }} as credit
inner join
    {{ ref("int_paid_budget__touch_campaigns") }} as campaigns
    on credit.touchpoint_id = campaigns.touchpoint_id
inner join {{ ref("fct_conversions") }} as conversions on credit.conversion_id = conversions.conversion_id
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
