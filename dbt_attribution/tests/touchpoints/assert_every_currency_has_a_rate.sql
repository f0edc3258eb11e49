-- A row is a currency that seeds/fx_rates.csv does not know, and how many conversions wait for it.
-- Add its rate from the day
-- of the first of them. When the reporting currency itself is named, no other currency can be converted into
-- it.
{{ config(meta={"dagster": {"ref": {"name": "fct_conversions"}}}) }}
with
    known as (
        select currency
        from {{ ref("fx_rates") }}
        union
        select 'EUR'
    )

select
    case
        when known.currency is null then conversions.original_currency else '{{ var("reporting_currency") }}'
    end as currency_without_a_rate,
    count(*) as conversions,
    min(conversions.converted_on) as first_converted_on
from {{ ref("fct_conversions") }} as conversions
left join known on conversions.original_currency = known.currency
where conversions.revenue is null
group by 1
