-- What a channel does in converting journeys: opens, assists, closes.
with
    roles as (
        select
            conversion_type,
            conversion_id,
            channel,
            max(case when position = 1 then 1 else 0 end) as opens,
            max(case when position = journey_length then 1 else 0 end) as closes,
            max(case when position < journey_length then 1 else 0 end) as assists,
            count(*) as touches,
            min(hours_before_conversion) as hours_before_conversion
        from {{ ref("fct_journey_touchpoints") }}
        where conversion_id is not null
        group by 1, 2, 3
    )

select
    conversion_type,
    channel,
    count(*) as conversions_present,
    cast(sum(opens) as {{ type_of("bigint") }}) as conversions_opened,
    cast(sum(assists) as {{ type_of("bigint") }}) as conversions_assisted,
    cast(sum(closes) as {{ type_of("bigint") }}) as conversions_closed,
    cast(sum(touches) as {{ type_of("bigint") }}) as touches,
    {{ ratio("sum(assists)", "sum(closes)") }} as assist_ratio,
    {{ stable_mean("hours_before_conversion") }} as mean_hours_before_conversion
from roles
group by 1, 2
