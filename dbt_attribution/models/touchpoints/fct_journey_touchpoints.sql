-- One journey a conversion, and one a person and conversion type that did not convert. A touch may stand in
-- several
-- journeys: every conversion in whose window it lies.
with
    touches as (select * from {{ ref("fct_touchpoints") }}),

    conversions as (select * from {{ ref("fct_conversions") }}),

    converting as (
        select
            {{ hash_id(["'converting'", "conversions.conversion_id"]) }} as journey_id,
            conversions.conversion_id,
            conversions.canonical_user_id,
            conversions.conversion_type,
            touches.touchpoint_id,
            touches.channel,
            touches.campaign,
            touches.artifact_id,
            touches.origin,
            touches.occurred_at,
            conversions.converted_at
        from conversions
        inner join
            touches
            on conversions.canonical_user_id = touches.canonical_user_id
            and touches.occurred_at <= conversions.converted_at
            and touches.occurred_at
            >= {{ add_days("conversions.converted_at", "-conversions.lookback_days") }}
    ),

    -- A conversion nobody saw coming is Direct: left out, its credit would vanish from every total.
    untouched as (
        select
            {{ hash_id(["'converting'", "conversions.conversion_id"]) }} as journey_id,
            conversions.conversion_id,
            conversions.canonical_user_id,
            conversions.conversion_type,
            {{ hash_id(["'none'", "conversions.conversion_id"]) }} as touchpoint_id,
            'Direct' as channel,
            cast(null as {{ type_of("text") }}) as campaign,
            cast(null as {{ type_of("text") }}) as artifact_id,
            'none' as origin,
            conversions.converted_at as occurred_at,
            conversions.converted_at
        from conversions
        left join
            (select distinct conversion_id from converting) as touched
            on conversions.conversion_id = touched.conversion_id
        where touched.conversion_id is null
    ),

    conversion_types as (
        select conversion_type, max(lookback_days) as lookback_days from conversions group by conversion_type
    ),

    last_touches as (
        select canonical_user_id, max(occurred_at) as last_touch_at from touches group by canonical_user_id
    ),

    unconverted as (
        select
            last_touches.canonical_user_id,
            last_touches.last_touch_at,
            conversion_types.conversion_type,
            conversion_types.lookback_days
        from last_touches
        cross join conversion_types
        left join
            (select distinct canonical_user_id, conversion_type from conversions) as converted
            on last_touches.canonical_user_id = converted.canonical_user_id
            and conversion_types.conversion_type = converted.conversion_type
        where converted.canonical_user_id is null
    ),

    not_converting as (
        select
            {{ hash_id(["'open'", "unconverted.conversion_type", "unconverted.canonical_user_id"]) }}
            as journey_id,
            cast(null as {{ type_of("text") }}) as conversion_id,
            unconverted.canonical_user_id,
            unconverted.conversion_type,
            touches.touchpoint_id,
            touches.channel,
            touches.campaign,
            touches.artifact_id,
            touches.origin,
            touches.occurred_at,
            cast(null as {{ type_of("timestamp") }}) as converted_at
        from unconverted
        inner join
            touches
            on unconverted.canonical_user_id = touches.canonical_user_id
            and touches.occurred_at
            >= {{ add_days("unconverted.last_touch_at", "-unconverted.lookback_days") }}
    ),

    journeys as (
        select *
        from converting
        union all
        select *
        from untouched
        union all
        select *
        from not_converting
    ),

    {{ kept_touches("journeys") }}

select
    -- -------- ids
    journey_id,
    conversion_id,
    canonical_user_id,
    touchpoint_id,
    artifact_id,

    -- -------- text
    conversion_type,
    channel,
    campaign,
    origin,

    -- -------- numerics
    cast(
        row_number() over (partition by journey_id order by occurred_at, touchpoint_id) as integer
    ) as position,
    cast(count(*) over (partition by journey_id) as integer) as journey_length,
    cast(frequency as integer) as frequency,
    {{ seconds_between("occurred_at", "converted_at") }} / 3600.0 as hours_before_conversion,
    conversion_id is not null as is_converting,

    -- -------- timestamps
    occurred_at
from kept
