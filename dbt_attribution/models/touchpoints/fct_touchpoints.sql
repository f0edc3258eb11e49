with
    visits as (
        select
            {{ hash_id(["'session'", "sessions.session_id"]) }} as touchpoint_id,
            sessions.canonical_user_id,
            sessions.started_at as occurred_at,
            channels.channel,
            channels.channel_reason,
            channels.source,
            channels.medium,
            channels.campaign,
            -- The piece of content: the ad or link variant when tagged, else the page it led to.
            coalesce(sessions.utm_content, sessions.page_path) as artifact_id,
            channels.platform,
            channels.click_id_type,
            channels.click_id,
            sessions.session_id,
            'session' as origin
        from {{ ref("int_sessions__detected") }} as sessions
        inner join
            {{ ref("int_sessions__channels") }} as channels on sessions.session_id = channels.session_id
        -- A hop through a payment page or between our own domains is no new touch.
        where channels.channel <> 'Internal'
    ),

    email_clicks as (
        select
            {{ hash_id(["'email_click'", "source", "click_id"]) }} as touchpoint_id,
            canonical_user_id,
            occurred_at,
            'Email' as channel,
            'email_click' as channel_reason,
            source,
            'email' as medium,
            campaign,
            artifact_id,
            cast(null as {{ type_of("text") }}) as platform,
            cast(null as {{ type_of("text") }}) as click_id_type,
            cast(null as {{ type_of("text") }}) as click_id,
            cast(null as {{ type_of("text") }}) as session_id,
            'email_click' as origin
        from {{ ref("int_touchpoints__email_clicks") }}
    ),

    touches as (
        select *
        from visits
        union all
        select *
        from email_clicks
    )

select
    -- -------- ids
    touchpoint_id,
    canonical_user_id,
    session_id,
    artifact_id,

    -- -------- text
    channel,
    channel_reason,
    source,
    medium,
    campaign,
    platform,
    click_id_type,
    click_id,
    origin,

    -- -------- times
    occurred_at,
    {{ reporting_date("occurred_at") }} as occurred_on
from touches
