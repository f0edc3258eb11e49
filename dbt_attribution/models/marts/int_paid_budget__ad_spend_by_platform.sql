{{ config(schema="intermediate") }}
with
    platforms as (
        {% for source_name, fields in ad_platform_maps().items() %}
            {{ conform_ad_spend(source_name, fields) }}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    channels as (
        select
            platforms.source,
            platforms.platform,
            platforms.account_id,
            platforms.campaign_id,
            platforms.date_on,
            platforms.original_currency,
            rules.channel
        from platforms
        inner join
            {{ ref("platforms") }} as rules
            on rules.platform in (platforms.platform, '*')
            and rules.campaign_type in (platforms.campaign_type, '*')
        -- The most specific rule decides: platform before none, campaign type before none.
        qualify
            row_number() over (
                partition by
                    platforms.source,
                    platforms.platform,
                    platforms.account_id,
                    platforms.campaign_id,
                    platforms.date_on,
                    platforms.original_currency
                order by
                    case when rules.platform = '*' then 1 else 0 end,
                    case when rules.campaign_type = '*' then 1 else 0 end
            )
            = 1
    ),

    products as (
        select platforms.platform, platforms.campaign_name, rules.product
        from (select distinct platform, campaign_name from platforms) as platforms
        inner join
            {{ ref("campaign_products") }} as rules
            on rules.platform in (platforms.platform, '*')
            and lower(platforms.campaign_name) like rules.campaign_pattern
        qualify
            row_number() over (
                partition by platforms.platform, platforms.campaign_name
                order by length(rules.campaign_pattern) desc, rules.product
            )
            = 1
    )

select
    -- -------- ids
    platforms.source,
    platforms.platform,
    platforms.account_id,
    platforms.campaign_id,

    -- -------- text
    platforms.campaign_name,
    platforms.campaign_type,
    channels.channel,
    products.product,

    -- -------- numerics
    cast(platforms.original_spend * rates.rate_to_reporting as {{ type_of("money") }}) as spend,
    '{{ var("reporting_currency") }}' as currency,
    platforms.original_spend,
    platforms.original_currency,
    platforms.clicks,
    platforms.impressions,
    platforms.platform_conversions,

    -- -------- dates
    platforms.date_on
from platforms
inner join
    channels
    on platforms.source = channels.source
    and platforms.platform = channels.platform
    and platforms.account_id = channels.account_id
    and platforms.campaign_id = channels.campaign_id
    and platforms.date_on = channels.date_on
    and platforms.original_currency = channels.original_currency
left join
    products on platforms.platform = products.platform and platforms.campaign_name = products.campaign_name
left join
    {{ ref("int_fx__rates") }} as rates
    on platforms.original_currency = rates.currency
    and platforms.date_on >= rates.valid_from
    and (rates.valid_to is null or platforms.date_on < rates.valid_to)
