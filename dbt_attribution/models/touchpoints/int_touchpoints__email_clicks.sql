{{ config(schema="intermediate") }}
-- Clicks in e-mails that the web tracking did not see: no session of that person came by Email within half
-- an hour.
with
    clicks as (
        select
            activity.activity_id as click_id,
            'mailchimp' as source,
            activity.email_hash,
            activity.occurred_at,
            coalesce(campaigns.title, activity.campaign_id) as campaign,
            activity.campaign_id as artifact_id
        from {{ ref("stg_mailchimp__email_activity") }} as activity
        left join
            {{ ref("stg_mailchimp__campaigns") }} as campaigns on activity.campaign_id = campaigns.campaign_id
        where activity.action = 'click'

        union all

        select
            events.email_event_id,
            'klaviyo',
            events.email_hash,
            events.occurred_at,
            coalesce(events.campaign_name, campaigns.name, events.message_id),
            coalesce(campaigns.campaign_id, events.message_id)
        from {{ ref("stg_klaviyo__events") }} as events
        left join {{ ref("stg_klaviyo__campaigns") }} as campaigns on events.message_id = campaigns.message_id
        where events.action = 'click' and not coalesce(events.is_machine, false)

        union all

        select
            email_event_id,
            'hubspot',
            email_hash,
            occurred_at,
            coalesce(campaign_name, campaign_id),
            campaign_id
        from {{ ref("stg_hubspot__email_events") }}
        where action = 'click' and not coalesce(is_filtered, false)

        union all

        select email_event_id, 'files', email_hash, occurred_at, campaign, campaign
        from {{ ref("stg_files__email_events") }}
        where action in ('click', 'clicked')
    ),

    persons as (
        select clicks.*, resolution.canonical_user_id
        from clicks
        inner join
            {{ ref("int_identity__resolution") }} as resolution
            on resolution.identifier_type = 'email_hash'
            and clicks.email_hash = resolution.identifier
            and clicks.occurred_at >= resolution.valid_from
            and (resolution.valid_to is null or clicks.occurred_at < resolution.valid_to)
        where resolution.match_tier <> 'blocked' and clicks.occurred_at is not null
    ),

    email_sessions as (
        select sessions.canonical_user_id, sessions.started_at
        from {{ ref("int_sessions__detected") }} as sessions
        inner join
            {{ ref("int_sessions__channels") }} as channels on sessions.session_id = channels.session_id
        where channels.channel = 'Email'
    ),

    seen_on_the_web as (
        select distinct persons.source, persons.click_id
        from persons
        inner join
            email_sessions
            on persons.canonical_user_id = email_sessions.canonical_user_id
            -- The vendor's redirect stamps the click a little before or after the page loads.
            and email_sessions.started_at >= {{ add_seconds("persons.occurred_at", -300) }}
            and email_sessions.started_at <= {{ add_seconds("persons.occurred_at", 1800) }}
    ),

    unseen as (
        select
            persons.*,
            lag(persons.occurred_at) over (
                partition by persons.canonical_user_id, persons.source, persons.campaign
                order by persons.occurred_at, persons.click_id
            ) as previous_at
        from persons
        left join
            seen_on_the_web
            on persons.source = seen_on_the_web.source
            and persons.click_id = seen_on_the_web.click_id
        where seen_on_the_web.click_id is null
    )

select click_id, source, canonical_user_id, occurred_at, campaign, artifact_id
from unseen
-- Several links of one mailing clicked in one sitting are one touch.
where previous_at is null or {{ seconds_between("previous_at", "occurred_at") }} > 1800
