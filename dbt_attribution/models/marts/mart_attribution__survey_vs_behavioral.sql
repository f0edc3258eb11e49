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

    -- Standard error of kappa after Cohen (1960), large samples; it says little under some thirty answers.
    agreements as (
        select
            *,
            {{ ratio("(agreement - expected)", "(1 - expected)") }} as kappa,
            case
                when comparable > 0 and expected < 1
                then sqrt(agreement * (1 - agreement) / comparable) / (1 - expected)
            end as kappa_error
        from rates
    )

select
    pairs.week_on,
    pairs.said_channel,
    pairs.seen_channel,
    pairs.responses,
    cast(agreements.total as {{ type_of("bigint") }}) as responses_of_week,
    cast(agreements.comparable as {{ type_of("bigint") }}) as comparable_of_week,
    agreements.agreement,
    agreements.kappa,
    greatest(-1, agreements.kappa - 1.96 * agreements.kappa_error) as kappa_low,
    least(1, agreements.kappa + 1.96 * agreements.kappa_error) as kappa_high,
    case
        when agreements.comparable < {{ var("min_volume") }} then 'insufficient volume' else 'ok'
    end as status
from pairs
inner join agreements on pairs.week_on = agreements.week_on
