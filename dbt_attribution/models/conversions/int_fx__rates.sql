-- Units of the reporting currency for one unit of each currency, valid from a day until the next known rate
-- of either
-- of the two. History before the first known rate is converted at the first.
with
    known as (
        select rate_on, upper(trim(currency)) as currency, cast(rate_to_eur as double) as rate_to_eur
        from {{ ref("fx_rates") }}
    ),

    days as (
        select rate_on
        from known
        union
        select cast('1900-01-01' as date)
    ),

    currencies as (
        select currency
        from known
        union
        select 'EUR'
        union
        select '{{ var("reporting_currency") }}'
    ),

    -- Books rarely quote every currency on the same days: each day reads the last rate known by then.
    filled as (
        select
            days.rate_on,
            currencies.currency,
            case
                when currencies.currency = 'EUR'
                then cast(1 as double)
                else
                    coalesce(
                        last_value(known.rate_to_eur ignore nulls) over (
                            partition by currencies.currency
                            order by days.rate_on
                            rows between unbounded preceding and current row
                        ),
                        first_value(known.rate_to_eur ignore nulls) over (
                            partition by currencies.currency
                            order by days.rate_on
                            rows between unbounded preceding and unbounded following
                        )
                    )
            end as rate_to_eur
        from days
        cross join currencies
        left join known on days.rate_on = known.rate_on and currencies.currency = known.currency
    ),

    crossed as (
        select
            rates.currency,
            rates.rate_on,
            -- Money that needs no conversion needs no rate either.
            case
                when rates.currency = reporting.currency
                then cast(1 as double)
                else rates.rate_to_eur / reporting.rate_to_eur
            end as rate_to_reporting
        from filled as rates
        inner join
            filled as reporting
            on rates.rate_on = reporting.rate_on
            and reporting.currency = '{{ var("reporting_currency") }}'
    ),

    changes as (
        select *, lag(rate_to_reporting) over (partition by currency order by rate_on) as previous_rate
        from crossed
        where rate_to_reporting is not null
    )

select
    currency,
    rate_on as valid_from,
    lead(rate_on) over (partition by currency order by rate_on) as valid_to,
    rate_to_reporting
from changes
where previous_rate is null or rate_to_reporting <> previous_rate
