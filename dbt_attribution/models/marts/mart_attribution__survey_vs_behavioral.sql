-- What people said against what was seen, week by week, with how far the two agree.
with
    pairs as (
        select
            cast({{ week_start("answered_on") }} as date) as week_on,
            said_channel,
            coalesce(seen_channel, '(none)') as seen_channel,
            count(*) as responses
        from {{ ref("int_attribution__survey_responses") }}
        group by 1, 2, 3
    ),

    weeks as (
        select
            week_on,
            sum(responses) as total,
            sum(case when said_channel = seen_channel then responses else 0 end) as agreeing
        from pairs
        group by week_on
    ),

    said as (select week_on, said_channel as channel, sum(responses) as n from pairs group by 1, 2),

    seen as (select week_on, seen_channel as channel, sum(responses) as n from pairs group by 1, 2),

    -- Agreement that chance alone would bring (Cohen 1960).
    chance as (
        select
            weeks.week_on,
            coalesce(sum(cast(said.n as double) * seen.n), 0) / (max(weeks.total) * max(weeks.total)) as expected
        from weeks
        left join said on weeks.week_on = said.week_on
        left join seen on said.week_on = seen.week_on and said.channel = seen.channel
        group by weeks.week_on
    )

select
    pairs.week_on,
    pairs.said_channel,
    pairs.seen_channel,
    pairs.responses,
    weeks.total as responses_of_week,
    {{ ratio("weeks.agreeing", "weeks.total") }} as agreement,
    {{ ratio("(cast(weeks.agreeing as double) / weeks.total - chance.expected)", "(1 - chance.expected)") }} as kappa
from pairs
inner join weeks on pairs.week_on = weeks.week_on
inner join chance on pairs.week_on = chance.week_on
