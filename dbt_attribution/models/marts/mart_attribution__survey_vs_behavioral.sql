-- What people said against what was seen, week by week, with how far the two agree. Answers that cannot be
-- compared are shown,
-- and left out of both figures.
with
    pairs as (
        select
            cast({{ week_start("answered_on") }} as date) as week_on,
            said_channel,
            coalesce(seen_channel, '(none)') as seen_channel,
            count(*) as responses,
            sum(case when is_comparable then 1 else 0 end) as comparable
        from {{ ref("int_attribution__survey_responses") }}
        group by 1, 2, 3
    ),

    weeks as (
        select
            week_on,
            sum(responses) as total,
            sum(comparable) as comparable,
            sum(case when said_channel = seen_channel then comparable else 0 end) as agreeing
        from pairs
        group by week_on
    ),

    said as (select week_on, said_channel as channel, sum(comparable) as n from pairs group by 1, 2),

    seen as (select week_on, seen_channel as channel, sum(comparable) as n from pairs group by 1, 2),

    -- Agreement that chance alone would bring (Cohen 1960).
    chance as (
        select said.week_on, sum(cast(said.n as double) * seen.n) as products
        from said
        inner join seen on said.week_on = seen.week_on and said.channel = seen.channel
        group by said.week_on
    ),

    rates as (
        select
            weeks.week_on,
            weeks.total,
            weeks.comparable,
            {{ ratio("weeks.agreeing", "weeks.comparable") }} as agreement,
            {{
                ratio(
                    "coalesce(chance.products, 0)", "(cast(weeks.comparable as double) * weeks.comparable)"
                )
            }} as expected
        from weeks
        left join chance on weeks.week_on = chance.week_on
    ),

    agreements as (select *, {{ ratio("(agreement - expected)", "(1 - expected)") }} as kappa from rates),

    -- Large-sample standard error of kappa (Fleiss, Cohen and Everitt 1969, formula 13). A cell (i, j)
    -- needs how often i was
    -- seen and how often j was said. Rounded only at the end: a root near zero would magnify it.
    spread as (
        select
            pairs.week_on,
            sum(
                cast(pairs.comparable as double)
                / agreements.comparable
                * power(
                    case when pairs.said_channel = pairs.seen_channel then 1 else 0 end
                    - (coalesce(seen.n, 0) + coalesce(said.n, 0))
                    * (1 - agreements.kappa)
                    / agreements.comparable,
                    2
                )
            ) as cells
        from pairs
        inner join agreements on pairs.week_on = agreements.week_on
        left join seen on pairs.week_on = seen.week_on and pairs.said_channel = seen.channel
        left join said on pairs.week_on = said.week_on and pairs.seen_channel = said.channel
        where pairs.comparable > 0
        group by pairs.week_on
    ),

    intervals as (
        select
            agreements.*,
            -- Rounding can leave a hair below zero where all agree.
            case
                when agreements.kappa is not null
                then
                    sqrt(
                        greatest(
                            0,
                            spread.cells
                            - power(agreements.kappa - agreements.expected * (1 - agreements.kappa), 2)
                        )
                        / nullif(agreements.comparable, 0)
                    )
                    / nullif(1 - agreements.expected, 0)
            end as kappa_error
        from agreements
        left join spread on agreements.week_on = spread.week_on
    )

select
    pairs.week_on,
    pairs.said_channel,
    pairs.seen_channel,
    pairs.responses,
    cast(intervals.total as {{ type_of("bigint") }}) as responses_of_week,
    cast(intervals.comparable as {{ type_of("bigint") }}) as comparable_of_week,
    intervals.agreement,
    round(intervals.kappa, 6) as kappa,
    -- Where all agree, or one person answered, the formula gives an interval without width: none is more
    -- honest.
    case
        when intervals.kappa_error > 0.000001
        then round(greatest(-1, intervals.kappa - 1.959964 * intervals.kappa_error), 6)
    end as kappa_low,
    case
        when intervals.kappa_error > 0.000001
        then round(least(1, intervals.kappa + 1.959964 * intervals.kappa_error), 6)
    end as kappa_high,
    case
        when intervals.comparable < {{ var("min_volume") }} then 'insufficient volume' else 'ok'
    end as status
from pairs
inner join intervals on pairs.week_on = intervals.week_on
