{{ config(schema="intermediate") }}
-- Share of a day's visits by how surely we know whose they are. Every tier has a row every day: a tier that
-- vanishes is a share
-- of zero, not a gap in the chart.
with
    -- A visitor who logs in next week is not known today, and next week's chart must not say otherwise.
    sessions as (
        select
            {{ reporting_date("detected.started_at") }} as date_on,
            case
                when
                    detected.user_id is not null
                    or {{ reporting_date("known.known_at") }} <= {{ reporting_date("detected.started_at") }}
                then coalesce(persons.tier, 'unresolved')
                else 'not yet known'
            end as tier
        from {{ ref("int_sessions__detected") }} as detected
        left join {{ ref("int_coverage__known_devices") }} as known on detected.device_id = known.device_id
        left join
            {{ ref("int_identity__persons") }} as persons
            on detected.canonical_user_id = persons.canonical_user_id
    ),

    days as (select date_on, count(*) as visits from sessions where date_on is not null group by date_on),

    tiers as (select distinct tier from sessions),

    counted as (select date_on, tier, count(*) as visits from sessions group by date_on, tier),

    filled as (
        select days.date_on, tiers.tier, coalesce(counted.visits, 0) as visits, days.visits as all_visits
        from days
        cross join tiers
        left join counted on days.date_on = counted.date_on and tiers.tier = counted.tier
    )

    {{
        coverage_rows(
            "identity_tier_share",
            "proportion",
            "visits",
            "all_visits",
            "all_visits",
            "'tier'",
            "tier",
            "filled",
        )
    }}
