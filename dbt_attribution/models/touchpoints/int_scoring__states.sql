{{ config(schema="intermediate") }}
{#- What is learned from: a moment every two weeks, the youngest a horizon ago so that its outcome is known. -#}
{%- set step_days = 14 -%}
{%- set steps = 12 -%}
{#- Enough to learn from; more people would only be read. Buyers and others are drawn apart and weighted back. -#}
{%- set enough = 50000 -%}
-- Journeys as they stood at a moment: those alive now (step 0), to be scored, and those of earlier moments,
-- to
-- learn
-- from. A journey begins after the person's last conversion of the type, or with the window.
with
    clock as (
        select max(moment) as now_at
        from
            (
                select max(occurred_at) as moment
                from {{ ref("fct_touchpoints") }}
                union all
                select max(converted_at) as moment
                from {{ ref("fct_conversions") }}
            ) as moments
    ),

    steps as (
        {% for step in range(steps + 1) %}
            select
                {{ step }} as step,
                {{ var("score_horizon_days") + step_days * (step - 1) if step else 0 }} as days_ago
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    ),

    types as (
        select conversion_type, max(lookback_days) as lookback_days
        from {{ ref("fct_conversions") }}
        group by conversion_type
    ),

    moments as (
        select
            types.conversion_type,
            types.lookback_days,
            steps.step,
            {{ add_days("clock.now_at", "-steps.days_ago") }} as snapshot_at
        from types
        cross join steps
        cross join clock
    ),

    buyers as (
        select conversion_type, canonical_user_id, count(*) as conversions
        from {{ ref("fct_conversions") }}
        group by conversion_type, canonical_user_id
    ),

    people as (
        select
            types.conversion_type,
            touched.canonical_user_id,
            buyers.conversions is not null as is_buyer,
            -- A number between 0 and 1 that any warehouse draws alike.
            {% for digit in range(1, 6) %}
                (position(substr(md5(touched.canonical_user_id), {{ digit }}, 1) in '0123456789abcdef') - 1)
                / {{ 16**digit }}.0
                {% if not loop.last %} + {% endif %}
            {% endfor %} as luck
        from (select distinct canonical_user_id from {{ ref("fct_touchpoints") }}) as touched
        cross join types
        left join
            buyers
            on types.conversion_type = buyers.conversion_type
            and touched.canonical_user_id = buyers.canonical_user_id
    ),

    groups as (
        select conversion_type, is_buyer, greatest(count(*) / {{ enough }}.0, 1.0) as stands_for
        from people
        group by conversion_type, is_buyer
    ),

    drawn as (
        select
            people.conversion_type,
            people.canonical_user_id,
            groups.stands_for,
            people.luck < 1.0 / groups.stands_for as is_drawn
        from people
        inner join
            groups on people.conversion_type = groups.conversion_type and people.is_buyer = groups.is_buyer
    ),

    last_conversions as (
        select
            moments.conversion_type,
            moments.step,
            conversions.canonical_user_id,
            max(conversions.converted_at) as converted_at
        from moments
        inner join
            {{ ref("fct_conversions") }} as conversions
            on moments.conversion_type = conversions.conversion_type
            and conversions.converted_at <= moments.snapshot_at
        group by moments.conversion_type, moments.step, conversions.canonical_user_id
    ),

    alive as (
        select
            moments.conversion_type,
            moments.step,
            moments.snapshot_at,
            drawn.canonical_user_id,
            drawn.stands_for,
            max(last_conversions.converted_at) as last_converted_at,
            min(touches.occurred_at) as first_touch_at,
            max(touches.occurred_at) as last_touch_at,
            count(*) as touches
        from moments
        inner join
            {{ ref("fct_touchpoints") }} as touches
            on touches.occurred_at <= moments.snapshot_at
            and touches.occurred_at > {{ add_days("moments.snapshot_at", "-moments.lookback_days") }}
        inner join
            drawn
            on moments.conversion_type = drawn.conversion_type
            and touches.canonical_user_id = drawn.canonical_user_id
            and (moments.step = 0 or drawn.is_drawn)
        left join
            last_conversions
            on moments.conversion_type = last_conversions.conversion_type
            and moments.step = last_conversions.step
            and touches.canonical_user_id = last_conversions.canonical_user_id
        where last_conversions.converted_at is null or touches.occurred_at > last_conversions.converted_at
        group by
            moments.conversion_type,
            moments.step,
            moments.snapshot_at,
            drawn.canonical_user_id,
            drawn.stands_for
    ),

    outcomes as (
        select
            alive.conversion_type,
            alive.step,
            alive.canonical_user_id,
            {{ value_at_first("conversions.conversion_id", "conversions.converted_at") }} as conversion_id
        from alive
        inner join
            (
                -- Two at one instant would leave the choice to chance.
                select conversion_type, canonical_user_id, converted_at, min(conversion_id) as conversion_id
                from {{ ref("fct_conversions") }}
                group by conversion_type, canonical_user_id, converted_at
            ) as conversions
            on alive.conversion_type = conversions.conversion_type
            and alive.canonical_user_id = conversions.canonical_user_id
            and conversions.converted_at > alive.snapshot_at
            and conversions.converted_at <= {{ add_days("alive.snapshot_at", var("score_horizon_days")) }}
        where alive.step > 0
        group by alive.conversion_type, alive.step, alive.canonical_user_id
    )

select
    -- -------- ids
    {{ hash_id(["alive.conversion_type", "alive.step", "alive.canonical_user_id"]) }} as state_id,
    alive.canonical_user_id,
    outcomes.conversion_id,

    -- -------- text
    alive.conversion_type,

    -- -------- numerics
    alive.step,
    cast(case when alive.step > 0 then {{ step_days }} * (alive.step - 1) end as integer) as days_before_last,
    cast(alive.stands_for as double) as stands_for,
    cast(alive.touches as integer) as touches,
    case when alive.step > 0 then outcomes.conversion_id is not null end as converts,
    alive.last_converted_at is not null as is_returning,

    -- -------- timestamps
    alive.first_touch_at,
    alive.last_touch_at,
    alive.last_converted_at,
    alive.snapshot_at
from alive
left join
    outcomes
    on alive.conversion_type = outcomes.conversion_type
    and alive.step = outcomes.step
    and alive.canonical_user_id = outcomes.canonical_user_id
