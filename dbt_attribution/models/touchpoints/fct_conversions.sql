select
    -- -------- ids
    conversions.conversion_id,
    conversions.canonical_user_id,
    coalesce(conversions.user_id, persons.user_id) as user_id,
    persons.organisation_id,
    conversions.subscription_id,
    conversions.source,
    conversions.source_id,

    -- -------- text
    conversions.conversion_type,
    conversions.product,

    -- -------- numerics
    cast(conversions.original_revenue * rates.rate_to_reporting as {{ type_of("money") }}) as revenue,
    '{{ var("reporting_currency") }}' as currency,
    cast(conversions.original_revenue as {{ type_of("money") }}) as original_revenue,
    conversions.original_currency,
    cast(conversions.lookback_days as integer) as lookback_days,

    -- -------- times
    conversions.converted_at,
    {{ reporting_date("conversions.converted_at") }} as converted_on
from {{ ref("int_conversions__unified") }} as conversions
left join
    {{ ref("int_identity__persons") }} as persons on conversions.canonical_user_id = persons.canonical_user_id
left join
    {{ ref("int_fx__rates") }} as rates
    on conversions.original_currency = rates.currency
    and cast(conversions.converted_at as date) >= rates.valid_from
    and (rates.valid_to is null or cast(conversions.converted_at as date) < rates.valid_to)
