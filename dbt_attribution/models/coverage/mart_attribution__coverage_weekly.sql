{#- Process-behaviour charts people read, complete weeks only: natural limits are mean ± 2.66 × mean moving range (Wheeler),
    refined up to the 24th week of a phase and then frozen. A rolling window would swallow the very fault it should show. Phases
    and frozen limits are remembered in monitoring.chart_phase, so that history restated later does not move them. -#}
{%- set fewest_points = 8 -%}
{%- set frozen_after = 24 -%}
{%- set long_run = 8 -%}
{%- set chart = "metric, segment_type, segment" -%}
with
    days as (select * from {{ ref("mart_attribution__coverage_daily") }}),

    bounds as (select min(date_on) as first_on, max(date_on) as last_on from days),

    -- Half a week has half the volume and another mix of weekdays.
    weeks as (
        select
            days.metric,
            days.kind,
            days.segment_type,
            days.segment,
            cast({{ week_start("days.date_on") }} as date) as week_on,
            count(*) as days,
            {{ stable_sum("days.numerator") }} as numerator,
            {{ stable_sum("days.denominator") }} as denominator,
            {{ stable_sum("days.volume") }} as volume,
            {{ stable_mean("coalesce(days.rate, days.numerator)") }} as seven_day_average
        from days
        cross join bounds
        where
            {{ week_start("days.date_on") }} >= bounds.first_on
            and {{ add_days(week_start("days.date_on"), 6) }} <= bounds.last_on
        group by 1, 2, 3, 4, 5
    ),

    -- What is charted: the rate, or the count of a metric that has no denominator.
    valued as (
        select
            *,
            {{ ratio("numerator", "denominator") }} as rate,
            case
                when kind = 'count' then numerator else {{ ratio("numerator", "denominator") }}
            end as charted,
            -- The threshold is units a day, and a day without a row has none.
            coalesce(volume >= 7 * {{ min_volume("metric") }}, true) as has_volume
        from weeks
    ),

    begun as (
        select
            valued.metric,
            valued.segment_type,
            valued.segment,
            valued.week_on,
            cast({{ week_start("phases.phase_start_on") }} as date) as phase_on,
            phases.reason,
            phases.centre as frozen_centre,
            phases.mean_moving_range as frozen_moving_range,
            phases.baseline_points as frozen_points
        from valued
        inner join
            {{ ref("int_coverage__chart_phases") }} as phases
            on phases.metric in (valued.metric, '*')
            and phases.segment_type in (valued.segment_type, '*')
            and phases.segment in (valued.segment, '*')
            and cast({{ week_start("phases.phase_start_on") }} as date) <= valued.week_on
        qualify
            row_number() over (
                partition by valued.metric, valued.segment_type, valued.segment, valued.week_on
                order by
                    phases.phase_start_on desc,
                    case when phases.metric = '*' then 1 else 0 end,
                    case when phases.segment_type = '*' then 1 else 0 end,
                    case when phases.segment = '*' then 1 else 0 end,
                    case when phases.centre is null then 1 else 0 end,
                    phases.decided_at,
                    phases.reason
            )
            = 1
    ),

    phased as (
        select
            valued.*,
            coalesce(
                begun.phase_on,
                min(valued.week_on) over (partition by valued.metric, valued.segment_type, valued.segment)
            ) as phase_on,
            coalesce(begun.reason, 'first complete week') as phase_reason,
            begun.frozen_centre,
            begun.frozen_moving_range,
            begun.frozen_points,
            lag(valued.charted) over (
                partition by valued.metric, valued.segment_type, valued.segment order by valued.week_on
            ) as previous
        from valued
        left join
            begun
            on valued.metric = begun.metric
            and valued.segment_type = begun.segment_type
            and valued.segment = begun.segment
            and valued.week_on = begun.week_on
    ),

    -- A week with too few units takes no part: its noise would widen the limits of all others.
    points as (
        select
            {{ chart }},
            week_on,
            phase_on,
            charted,
            frozen_centre,
            frozen_moving_range,
            frozen_points,
            row_number() over (partition by {{ chart }}, phase_on order by week_on) as point_number,
            abs(
                charted - lag(charted) over (partition by {{ chart }}, phase_on order by week_on)
            ) as moving_range
        from phased
        where has_volume and charted is not null
    ),

    limits as (
        select
            {{ chart }},
            phase_on,
            count(*) as baseline_points,
            {{ stable_mean("charted") }} as centre,
            {{ stable_mean("moving_range") }} as mean_moving_range
        from points
        where point_number <= {{ frozen_after }}
        group by {{ chart }}, phase_on
    ),

    limited as (
        select
            points.*,
            coalesce(points.frozen_points, limits.baseline_points) as baseline_points,
            coalesce(points.frozen_centre, limits.centre) as centre,
            coalesce(points.frozen_moving_range, limits.mean_moving_range) as mean_moving_range
        from points
        inner join
            limits
            on points.metric = limits.metric
            and points.segment_type = limits.segment_type
            and points.segment = limits.segment
            and points.phase_on = limits.phase_on
    ),

    sided as (
        select
            *,
            centre - 2.66 * mean_moving_range as lower_limit,
            centre + 2.66 * mean_moving_range as upper_limit,
            -- Equal rates differ in their last bits from their own mean; that is no side.
            case when charted > centre + 1e-8 then 1 when charted < centre - 1e-8 then -1 else 0 end as side
        from limited
    ),

    turned as (
        select
            *,
            case
                when side = lag(side) over (partition by {{ chart }}, phase_on order by week_on) then 0 else 1
            end as is_turn
        from sided
    ),

    runs as (
        select
            *,
            sum(is_turn) over (
                partition by {{ chart }}, phase_on
                order by week_on
                rows between unbounded preceding and current row
            ) as run_number
        from turned
    ),

    judged as (
        select
            *,
            row_number() over (partition by {{ chart }}, phase_on, run_number order by week_on) as run_length
        from runs
    ),

    signalled as (
        select
            *,
            case
                when baseline_points < {{ fewest_points }}
                then null
                when charted < lower_limit - 1e-8
                then 'low'
                when charted > upper_limit + 1e-8
                then 'high'
                when run_length >= {{ long_run }} and side = -1
                then 'run_low'
                when run_length >= {{ long_run }} and side = 1
                then 'run_high'
            end as signal
        from judged
    )

select
    -- -------- dimensions
    phased.metric,
    phased.kind,
    phased.segment_type,
    phased.segment,
    phased.week_on,

    -- -------- figures
    phased.days,
    phased.numerator,
    phased.denominator,
    phased.rate,
    phased.volume,
    phased.seven_day_average,
    phased.charted - phased.previous as week_over_week,

    -- -------- chart
    signalled.moving_range,
    signalled.mean_moving_range,
    signalled.centre,
    -- No metric here can be negative.
    case when signalled.lower_limit < 0 then 0 else signalled.lower_limit end as lower_limit,
    signalled.upper_limit,
    coalesce(signalled.baseline_points, 0) as baseline_points,
    coalesce(signalled.baseline_points >= {{ frozen_after }}, false) as are_limits_frozen,
    phased.phase_on,
    phased.phase_reason,
    signalled.run_length,
    signalled.signal,
    case
        when not phased.has_volume
        then 'insufficient volume'
        when coalesce(signalled.baseline_points, 0) < {{ fewest_points }}
        then 'insufficient history'
        when signalled.signal is not null
        then 'signal'
        else 'ok'
    end as status
from phased
left join
    signalled
    on phased.metric = signalled.metric
    and phased.segment_type = signalled.segment_type
    and phased.segment = signalled.segment
    and phased.week_on = signalled.week_on
