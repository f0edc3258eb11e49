-- Paths to conversion: how often, how long, how many days, and what they brought.
with
    lags as (
        select
            paths.path_id,
            {{ stable_mean("touches.hours_before_conversion / 24.0") }} as days_to_conversion,
            round(
                cast(median(touches.hours_before_conversion / 24.0) as double), 9
            ) as median_days_to_conversion
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
    cast(paths.conversions as {{ type_of("bigint") }}) as conversions,
    cast(paths.non_conversions as {{ type_of("bigint") }}) as non_conversions,
    {{ ratio("paths.conversions", "(paths.conversions + paths.non_conversions)") }} as conversion_rate,
    paths.revenue,
    row_number() over (
        partition by paths.conversion_type order by paths.conversions desc, paths.revenue desc, paths.path
    ) as path_rank,
    {{ ratio("paths.conversions", "sum(paths.conversions) over (partition by paths.conversion_type)") }}
    as share_of_conversions,
    -- Touches before the last: what last touch would not see.
    cast(paths.conversions * (paths.path_length - 1) as {{ type_of("bigint") }}) as assists,
    lags.days_to_conversion,
    lags.median_days_to_conversion
from {{ ref("credit_paths") }} as paths
left join lags on paths.path_id = lags.path_id
