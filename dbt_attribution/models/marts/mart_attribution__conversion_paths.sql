-- Paths to conversion: how often, how long, how many days, and what they brought.
with
    lags as (
        select
            paths.path_id, {{ stable_mean("touches.hours_before_conversion / 24.0") }} as days_to_conversion
        from {{ ref("int_credit__journey_paths") }} as paths
        inner join
            {{ ref("fct_journey_touchpoints") }} as touches
            on paths.journey_id = touches.journey_id
            and touches.position = 1
        where paths.is_converting
        group by paths.path_id
    )

select
    paths.path_id,
    paths.conversion_type,
    paths.path,
    paths.path_length,
    paths.conversions,
    paths.non_conversions,
    {{ ratio("paths.conversions", "(paths.conversions + paths.non_conversions)") }} as conversion_rate,
    paths.revenue,
    lags.days_to_conversion
from {{ ref("credit_paths") }} as paths
left join lags on paths.path_id = lags.path_id
