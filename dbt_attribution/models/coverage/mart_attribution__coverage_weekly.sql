{#- Process-behaviour charts people read: natural limits are mean ± 2.66 × mean moving range (Wheeler), refined up to the 25th
    week of a phase and then frozen. A rolling window would swallow the very fault it should show. -#}
{%- set fewest_points = 8 -%}
{%- set frozen_after = 25 -%}
with
    days as (select * from {{ ref("mart_attribution__coverage_daily") }}),

    bounds as (select min(date_on) as first_on, max(date_on) as last_on from days),

    weeks as (
        select
            days.metric,
            days.segment_type,
            days.segment,
            cast({{ week_start("days.date_on") }} as date) as week_on,
            {{ stable_sum("days.numerator") }} as numerator,
            {{ stable_sum("days.denominator") }} as denominator
        from days
        cross join bounds
        -- Complete weeks only: half a week has half the volume and another mix of weekdays.
        where
            {{ week_start("days.date_on") }} >= bounds.first_on
            and {{ add_days(week_start("days.date_on"), 6) }} <= bounds.last_on
        group by 1, 2, 3, 4
    ),

    phased as (
        select
            weeks.*,
            {{ ratio("weeks.numerator", "weeks.denominator") }} as rate,
            max(cast({{ week_start("phases.phase_start_on") }} as date)) as phase_start_on
        from weeks
        left join
            {{ ref("chart_phase") }} as phases
            on phases.metric in (weeks.metric, '*')
            and phases.segment_type in (weeks.segment_type, '*')
            and phases.segment in (weeks.segment, '*')
            and cast({{ week_start("phases.phase_start_on") }} as date) <= weeks.week_on
        group by
            weeks.metric, weeks.segment_type, weeks.segment, weeks.week_on, weeks.numerator, weeks.denominator
    ),

    -- What is charted: the rate, or the count of a metric that has no denominator.
    numbered as (
        select
            *,
            coalesce(phase_start_on, min(week_on) over (partition by metric, segment_type, segment)) as phase_on,
            case when denominator is null then numerator else rate end as charted
        from phased
    ),

    moved as (
        select
            *,
            row_number() over (
                partition by metric, segment_type, segment, phase_on order by week_on
            ) as phase_week,
            charted - lag(charted) over (
                partition by metric, segment_type, segment order by week_on
            ) as week_over_week,
            abs(
                charted - lag(charted) over (
                    partition by metric, segment_type, segment, phase_on order by week_on
                )
            ) as moving_range
        from numbered
    ),

    limits as (
        select
            metric,
            segment_type,
            segment,
            phase_on,
            {{ stable_mean("charted") }} as centre,
            {{ stable_mean("moving_range") }} as mean_moving_range,
            count(charted) as points
        from moved
        where phase_week <= {{ frozen_after }}
        group by metric, segment_type, segment, phase_on
    ),

    charted as (
        select
            moved.metric,
            moved.segment_type,
            moved.segment,
            moved.week_on,
            moved.numerator,
            moved.denominator,
            moved.rate,
            moved.numerator / 7.0 as daily_average,
            moved.week_over_week,
            moved.moving_range,
            moved.phase_on,
            limits.points,
            limits.centre,
            greatest(limits.centre - 2.66 * limits.mean_moving_range, 0) as lower_limit,
            limits.centre + 2.66 * limits.mean_moving_range as upper_limit,
            moved.charted,
            coalesce(moved.denominator, moved.numerator) as volume
        from moved
        inner join
            limits
            on moved.metric = limits.metric
            and moved.segment_type = limits.segment_type
            and moved.segment = limits.segment
            and moved.phase_on = limits.phase_on
    )

select
    metric,
    segment_type,
    segment,
    week_on,
    numerator,
    denominator,
    rate,
    daily_average,
    week_over_week,
    moving_range,
    phase_on,
    centre,
    lower_limit,
    upper_limit,
    case when charted < lower_limit then 'low' when charted > upper_limit then 'high' end as signal,
    case
        when volume < {{ var("min_volume") }}
        then 'insufficient volume'
        when points < {{ fewest_points }}
        then 'insufficient history'
        when charted < lower_limit or charted > upper_limit
        then 'signal'
        else 'ok'
    end as status
from charted
