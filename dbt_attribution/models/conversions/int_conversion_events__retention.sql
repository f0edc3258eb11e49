{#- Under so many subscriptions a curve is noise; the field's usual exponent stands in and the row says so. -#}
{%- set enough_subscriptions = 100 -%}
{%- set usual_exponent = 0.1 -%}
{%- set days = var("retention_days") -%}
-- A signal for each of the first days of a subscription: what happened where the day has passed, what a
-- power curve
-- expects where it has not. Platforms optimise on values reported within days; renewal is months away.
--
-- Retention falls like a power of time, S(d) = a * d^b (Fader and Hardie 2007 on why it falls ever slower);
-- a and b by
-- least squares of the logarithms over the days that enough subscriptions have lived through.
with
    digits as (
        {%- for digit in range(10) %}
            select {{ digit }} as digit
            {% if not loop.last %}
                union all
            {% endif %}
        {%- endfor %}
    ),

    numbered_days as (
        select tens.digit * 10 + ones.digit as day_number
        from digits as tens
        cross join digits as ones
        where tens.digit * 10 + ones.digit between 1 and {{ days }}
    ),

    subscriptions as (
        select subscription_id, user_id, organisation_id, product, amount, currency, started_at, cancelled_at
        from {{ ref("stg_backend__subscriptions") }}
        where subscription_id is not null and started_at is not null
    ),

    -- The newest thing the source has told is what "now" means: the same rows give the same signals on any
    -- day.
    clock as (
        select
            max(
                greatest(started_at, coalesce(cancelled_at, started_at), coalesce(updated_at, started_at))
            ) as now_at
        from {{ ref("stg_backend__subscriptions") }}
    ),

    observed as (
        select
            subscriptions.*,
            numbered_days.day_number,
            {{ add_days("subscriptions.started_at", "numbered_days.day_number") }} as signal_at,
            {{ add_days("subscriptions.started_at", "numbered_days.day_number") }}
            <= clock.now_at as is_observed,
            case
                when
                    subscriptions.cancelled_at
                    <= {{ add_days("subscriptions.started_at", "numbered_days.day_number") }}
                then 0
                else 1
            end as retained
        from subscriptions
        cross join numbered_days
        cross join clock
    ),

    daily as (
        select day_number, count(*) as subscriptions, avg(cast(retained as double)) as retention
        from observed
        where is_observed
        group by day_number
        having count(*) >= {{ enough_subscriptions }}
    ),

    fitted as (
        select
            count(*) as days,
            least(0, regr_slope(ln(retention), ln(day_number))) as exponent,
            regr_intercept(ln(retention), ln(day_number)) as log_level
        from daily
        where retention > 0
    ),

    curve as (
        select
            numbered_days.day_number,
            case when fitted.days >= 3 then 'fitted' else 'usual' end as curve,
            case
                when fitted.days >= 3
                then least(1, exp(fitted.log_level + fitted.exponent * ln(numbered_days.day_number)))
                else exp(-{{ usual_exponent }} * ln(numbered_days.day_number))
            end as expected_retention
        from numbered_days
        cross join fitted
    ),

    -- One that is known to have lived to its last observed day is expected to live on from there.
    lived as (
        select subscription_id, max(day_number) as last_day, min(retained) as still_there
        from observed
        where is_observed
        group by subscription_id
    )

select
    -- -------- ids
    observed.subscription_id,
    cast(observed.day_number as integer) as day_number,
    observed.user_id,
    observed.organisation_id,

    -- -------- text
    observed.product,
    observed.currency,
    curve.curve,

    -- -------- numerics
    observed.is_observed,
    round(cast(curve.expected_retention as double), 9) as expected_retention,
    round(
        cast(
            case
                when observed.is_observed
                then observed.retained
                when coalesce(lived.still_there, 1) = 0
                then 0
                else least(1, curve.expected_retention / coalesce(past.expected_retention, 1))
            end as double
        ),
        9
    ) as retention_signal,
    observed.amount,

    -- -------- timestamps
    observed.signal_at
from observed
inner join curve on observed.day_number = curve.day_number
left join lived on observed.subscription_id = lived.subscription_id
left join curve as past on lived.last_day = past.day_number
