-- A company's own posts on every network, with their figures so far.
select
    'linkedin' as network,
    organisation_id as account_id,
    post_id,
    text,
    cast(null as {{ type_of("text") }}) as url,
    impressions,
    unique_impressions as reach,
    clicks,
    likes + comments + shares as engagements,
    published_at,
    published_on
from {{ ref("stg_linkedin_pages__posts") }}
union all
select
    network,
    account_id,
    post_id,
    text,
    url,
    impressions,
    reach,
    clicks,
    reactions + comments + coalesce(shares, 0),
    published_at,
    published_on
from {{ ref("stg_meta_pages__posts") }}
union all
select
    'x',
    account_id,
    post_id,
    text,
    'https://x.com/i/web/status/' || post_id,
    impressions,
    cast(null as {{ type_of("bigint") }}),
    url_clicks,
    likes + replies + reposts + quotes,
    published_at,
    published_on
from {{ ref("stg_x_posts__posts") }}
