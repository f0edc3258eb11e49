-- Searches that showed the site, rare queries included.
select
    site_url,
    searched_on as date_on,
    cast(sum(clicks) as {{ type_of("bigint") }}) as clicks,
    cast(sum(impressions) as {{ type_of("bigint") }}) as impressions,
    -- A mean of means is weighted by what each is the mean of.
    round(sum(position * impressions) / nullif(sum(impressions), 0), 6) as position
from {{ ref("stg_search_console__site_daily") }}
group by site_url, searched_on
