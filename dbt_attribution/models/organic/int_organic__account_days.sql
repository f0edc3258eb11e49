-- What a company's own posts and profiles brought on each network, one row an account and day.
select
    'linkedin' as network,
    organisation_id as account_id,
    date_on,
    impressions,
    unique_impressions as reach,
    clicks,
    likes + comments + shares as engagements
from {{ ref("stg_linkedin_pages__page_daily") }}
union all
select network, account_id, date_on, impressions, reach, clicks, engagements
from {{ ref("stg_meta_pages__account_daily") }}
union all
-- X has no account days: those of the posts of the last weeks add up to them, people counted for none.
select
    'x',
    account_id,
    date_on,
    cast(sum(impressions) as {{ type_of("bigint") }}),
    cast(null as {{ type_of("bigint") }}),
    cast(sum(url_clicks) as {{ type_of("bigint") }}),
    cast(sum(likes + replies + reposts) as {{ type_of("bigint") }})
from {{ ref("stg_x_posts__post_daily") }}
group by account_id, date_on
