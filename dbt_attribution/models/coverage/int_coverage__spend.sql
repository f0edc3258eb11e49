{{ config(schema="intermediate") }}
-- Ad clicks against captured visits, the price of a click, and spend in the marts against spend as unified.
with
    spend as (
        select
            date_on,
            platform,
            sum(spend) as spend,
            sum(clicks) as clicks,
            -- A file's clicks are whatever the team counted; only a platform's own clicks bear a click id
            -- each.
            sum(case when source = 'files' then 0 else clicks end) as platform_clicks
        from {{ ref("int_paid_budget__ad_spend_by_platform") }}
        group by date_on, platform
    ),

    -- A landing page loaded twice repeats its click id; the platform counted one click.
    captured as (
        select
            {{ reporting_date("detected.started_at") }} as date_on,
            channels.platform,
            count(distinct channels.click_id) as clicks
        from {{ ref("int_sessions__channels") }} as channels
        inner join
            {{ ref("int_sessions__detected") }} as detected on channels.session_id = detected.session_id
        where channels.channel like 'Paid%' or channels.channel in ('Display', 'Cross-network')
        group by 1, 2
    ),

    -- Spend repeats in the mart for every model and conversion type; any one pair tells.
    axis as (
        select model_type, conversion_type
        from {{ ref("int_attribution__reporting_axes") }}
        qualify row_number() over (order by model_type, conversion_type) = 1
    ),

    marts as (
        select mart.date_on, mart.platform, sum(mart.spend) as spend
        from {{ ref("mart_attribution__campaign_daily") }} as mart
        inner join axis on mart.model_type = axis.model_type and mart.conversion_type = axis.conversion_type
        group by mart.date_on, mart.platform
    ),

    compared as (
        select
            spend.date_on,
            spend.platform,
            spend.spend,
            spend.clicks,
            spend.platform_clicks,
            coalesce(marts.spend, 0) as mart_spend,
            coalesce(captured.clicks, 0) as captured_clicks
        from spend
        left join marts on spend.date_on = marts.date_on and spend.platform = marts.platform
        left join captured on spend.date_on = captured.date_on and spend.platform = captured.platform
    ),

    totals as (
        select
            date_on,
            sum(spend) as spend,
            sum(mart_spend) as mart_spend,
            sum(platform_clicks) as platform_clicks,
            sum(case when platform_clicks > 0 then captured_clicks else 0 end) as captured_clicks
        from compared
        group by date_on
    )

{% for relation, segment_type, segment in [
        ("compared", "'platform'", "platform"),
        ("totals", "'all'", "'all'"),
    ] %}
        {{
            coverage_rows(
                "click_id_capture_of_ad_clicks",
                "ratio",
                "captured_clicks",
                "platform_clicks",
                "platform_clicks",
                segment_type,
                segment,
                relation,
            )
        }}
    where platform_clicks > 0
    union all
    {{
        coverage_rows(
            "spend_reconciliation", "ratio", "mart_spend", "spend", "null", segment_type, segment, relation
        )
    }}
    where spend <> 0
    union all
{% endfor %}
-- A cost counted twice with the same clicks shows here and nowhere else.
{{
    coverage_rows(
        "cost_per_click", "ratio", "spend", "clicks", "clicks", "'platform'", "platform", "compared"
    )
}}
where clicks > 0
