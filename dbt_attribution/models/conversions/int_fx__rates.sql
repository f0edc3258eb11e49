-- Units of the reporting currency for one unit of each currency, valid from a day until the next known rate.
with
    rates as (
        select rate_on, currency, cast(rate_to_eur as double) as rate_to_eur
        from {{ ref("fx_rates") }}
        union
        select distinct rate_on, 'EUR', cast(1 as double)
        from {{ ref("fx_rates") }}
    ),

    reporting as (select rate_on, rate_to_eur from rates where currency = '{{ var("reporting_currency") }}')

select
    rates.currency,
    case
        when lag(rates.rate_on) over (partition by rates.currency order by rates.rate_on) is null
        -- History before the first rate is converted at the first rate.
        then cast('1900-01-01' as date)
        else rates.rate_on
    end as valid_from,
    lead(rates.rate_on) over (partition by rates.currency order by rates.rate_on) as valid_to,
    rates.rate_to_eur / reporting.rate_to_eur as rate_to_reporting
from rates
inner join reporting on rates.rate_on = reporting.rate_on
