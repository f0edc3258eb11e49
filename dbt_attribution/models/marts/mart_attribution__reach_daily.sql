-- Organic beside paid: how often each channel was shown and clicked, and what that cost.
with
    shown as (
        select
            spend.date_on,
            campaigns.channel,
            spend.platform,
            true as is_paid,
            spend.impressions,
            spend.clicks,
            spend.spend
        from {{ ref("int_paid_budget__ad_spend_by_platform") }} as spend
        inner join
            {{ ref("int_paid_budget__campaigns") }} as campaigns
            on spend.platform = campaigns.platform
            and spend.account_id = campaigns.account_id
            and spend.campaign_id = campaigns.campaign_id
        union all
        select date_on, 'Organic Social', network, false, impressions, clicks, 0
        from {{ ref("int_organic__account_days") }}
        union all
        select date_on, 'Organic Search', 'google', false, impressions, clicks, 0
        from {{ ref("int_organic__search_days") }}
    )

select
    date_on,
    channel,
    platform,
    is_paid,
    cast(sum(impressions) as {{ type_of("bigint") }}) as impressions,
    cast(sum(clicks) as {{ type_of("bigint") }}) as clicks,
    cast(sum(spend) as {{ type_of("money") }}) as spend,
    {{ ratio("sum(clicks)", "sum(impressions)") }} as click_rate,
    {{ ratio("1000 * sum(spend)", "sum(case when is_paid then impressions end)") }} as cost_per_mille
from shown
group by date_on, channel, platform, is_paid
