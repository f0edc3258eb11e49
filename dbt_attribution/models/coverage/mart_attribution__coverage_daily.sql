{#- One row a metric, segment and day, as counts: rates are made where they are read, so that days add up to weeks.

    Each metric is a relation with date_on, numerator, denominator and one column per segment type it is cut by. -#}
{%- set cuts = {
    "behavioural_coverage": ["conversion_type"],
    "direct_only_rate": ["conversion_type"],
    "click_id_capture": ["platform", "landing_page", "browser", "device"],
    "click_id_capture_of_ad_clicks": ["platform"],
    "utm_completeness": ["channel"],
    "identity_tier_share": ["tier"],
    "cookie_user_coverage": ["device", "browser", "country"],
    "bot_share": ["source"],
    "event_volume": ["source"],
    "survey_agreement": ["source"],
    "spend_reconciliation": ["platform"],
    "model_divergence": ["conversion_type"],
} -%}
with
    journeys as (
        select
            conversions.converted_on as date_on,
            conversions.conversion_type,
            max(case when touches.origin = 'touch' then 1 else 0 end) as is_touched,
            min(case when touches.channel = 'Direct' then 1 else 0 end) as is_direct_only
        from {{ ref("fct_conversions") }} as conversions
        inner join
            {{ ref("fct_journey_touchpoints") }} as touches on conversions.conversion_id = touches.conversion_id
        group by conversions.conversion_id, conversions.converted_on, conversions.conversion_type
    ),

    visits as (
        select
            {{ reporting_date("sessions.started_at") }} as date_on,
            channels.platform,
            channels.channel,
            channels.click_id,
            coalesce(sessions.page_path, '(not set)') as landing_page,
            coalesce(sessions.browser, agents.browser, '(not set)') as browser,
            coalesce(sessions.device_category, agents.device_type, '(not set)') as device,
            coalesce(sessions.country, '(not set)') as country,
            sessions.utm_source,
            sessions.utm_medium,
            sessions.utm_campaign,
            persons.user_id,
            persons.tier
        from {{ ref("int_sessions__detected") }} as sessions
        inner join {{ ref("int_sessions__channels") }} as channels on sessions.session_id = channels.session_id
        left join
            {{ ref("int_identity__persons") }} as persons on sessions.canonical_user_id = persons.canonical_user_id
        left join
            {{ ref("int_channel__user_agent_enrichment") }} as agents
            on sessions.user_agent_hash = agents.user_agent_hash
    ),

    -- Sessions an ad platform sent, by tag or by click id, on platforms that put an id on every click.
    platform_visits as (
        select *
        from visits
        where
            platform in ('google_ads', 'meta_ads', 'microsoft_ads', 'linkedin_ads', 'reddit_ads', 'x_ads', 'tiktok_ads')
            and (channel like 'Paid%' or channel in ('Display', 'Cross-network'))
    ),

    landed as (
        select date_on, platform, count(click_id) as captured
        from platform_visits
        group by date_on, platform
    ),

    tiers as (select distinct tier from visits where tier is not null),

    visits_of_day as (select date_on, count(*) as visits from visits group by date_on),

    behavioural_coverage as (
        select date_on, conversion_type, sum(is_touched) as numerator, count(*) as denominator
        from journeys
        group by date_on, conversion_type
    ),

    direct_only_rate as (
        select date_on, conversion_type, sum(is_direct_only) as numerator, count(*) as denominator
        from journeys
        group by date_on, conversion_type
    ),

    click_id_capture as (
        select
            date_on, platform, landing_page, browser, device, count(click_id) as numerator, count(*) as denominator
        from platform_visits
        group by date_on, platform, landing_page, browser, device
    ),

    click_id_capture_of_ad_clicks as (
        select
            spend.date_on,
            spend.platform,
            max(coalesce(landed.captured, 0)) as numerator,
            sum(spend.clicks) as denominator
        from {{ ref("int_paid_budget__ad_spend_by_platform") }} as spend
        left join landed on spend.date_on = landed.date_on and spend.platform = landed.platform
        where spend.source <> 'files'
        group by spend.date_on, spend.platform
    ),

    utm_completeness as (
        select
            date_on,
            channel,
            sum(
                case
                    when utm_source is not null and utm_medium is not null and utm_campaign is not null then 1 else 0
                end
            ) as numerator,
            count(*) as denominator
        from visits
        where coalesce(utm_source, utm_medium, utm_campaign) is not null
        group by date_on, channel
    ),

    -- A tier nobody came in on a day has a share of zero that day, not a hole.
    identity_tier_share as (
        select
            days.date_on,
            tiers.tier,
            count(visits.tier) as numerator,
            max(days.visits) as denominator
        from visits_of_day as days
        cross join tiers
        left join visits on days.date_on = visits.date_on and tiers.tier = visits.tier
        group by days.date_on, tiers.tier
    ),

    cookie_user_coverage as (
        select date_on, device, browser, country, count(user_id) as numerator, count(*) as denominator
        from visits
        group by date_on, device, browser, country
    ),

    bot_share as (
        select
            {{ reporting_date("occurred_at") }} as date_on,
            source,
            sum(case when is_bot then 1 else 0 end) as numerator,
            count(*) as denominator
        from {{ ref("int_events__unified") }}
        group by 1, 2
    ),

    -- A count, not a rate: it has no denominator.
    event_volume as (
        select date_on, source, denominator as numerator, cast(null as {{ type_of("double") }}) as denominator
        from bot_share
    ),

    survey_agreement as (
        select
            answered_on as date_on,
            source,
            sum(case when said_channel = seen_channel then 1 else 0 end) as numerator,
            count(*) as denominator
        from {{ ref("int_attribution__survey_responses") }}
        group by answered_on, source
    ),

    campaign_spend as (
        select date_on, platform, sum(spend) as spend
        from {{ ref("mart_attribution__campaign_daily") }}
        where
            model_type = (select min(model_type) from {{ ref("int_attribution__reporting_axes") }})
            and conversion_type = (
                select min(conversion_type)
                from {{ ref("int_attribution__reporting_axes") }}
                where model_type = (select min(model_type) from {{ ref("int_attribution__reporting_axes") }})
            )
        group by date_on, platform
    ),

    spend_reconciliation as (
        select
            spend.date_on,
            spend.platform,
            max(coalesce(campaign_spend.spend, 0)) as numerator,
            sum(spend.spend) as denominator
        from {{ ref("int_paid_budget__ad_spend_by_platform") }} as spend
        left join
            campaign_spend on spend.date_on = campaign_spend.date_on and spend.platform = campaign_spend.platform
        group by spend.date_on, spend.platform
    ),

    model_divergence as (
        select date_on, conversion_type, sum(divergence_score) as numerator, count(*) as denominator
        from {{ ref("mart_attribution__model_comparison") }}
        group by date_on, conversion_type
    ),

    long as (
        {% for metric, segments in cuts.items() %}
            {# A share of tiers is cut by tier alone: over all tiers it is 1 by construction. #}
            {% set kinds = (segments if metric == "identity_tier_share" else ["all"] + segments) %}
            {% for kind in kinds %}
                select
                    '{{ metric }}' as metric,
                    '{{ kind }}' as segment_type,
                    {{ "'all'" if kind == "all" else "coalesce(" ~ kind ~ ", '(not set)')" }} as segment,
                    date_on,
                    cast(sum(numerator) as {{ type_of("double") }}) as numerator,
                    cast(sum(denominator) as {{ type_of("double") }}) as denominator
                from {{ metric }}
                group by 1, 2, 3, 4
                {% if not loop.last %}
                    union all
                {% endif %}
            {% endfor %}
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    -- A page address of a million variants is no segment: the twenty busiest stay, the rest are one.
    busiest as (
        select metric, segment_type, segment
        from long
        group by metric, segment_type, segment
        qualify
            row_number() over (
                partition by metric, segment_type order by sum(coalesce(denominator, numerator)) desc, segment
            )
            <= 20
    )

select
    long.metric,
    long.segment_type,
    case when busiest.segment is null then '(other)' else long.segment end as segment,
    long.date_on,
    {{ stable_sum("long.numerator") }} as numerator,
    {{ stable_sum("long.denominator") }} as denominator,
    {{ ratio(stable_sum("long.numerator"), stable_sum("long.denominator")) }} as rate
from long
left join
    busiest
    on long.metric = busiest.metric
    and long.segment_type = busiest.segment_type
    and long.segment = busiest.segment
where long.date_on is not null
group by 1, 2, 3, 4
