-- Every type in the file counts, configured or not: a team that starts from files has said what converted.
-- Settings fill in what a row leaves open.
with
    conversions as (
        select *, coalesce(nullif(trim(conversion_type), ''), 'conversion') as type_name
        from {{ ref("stg_files__conversions") }}
    )

select
    conversion_id as source_id,
    'files' as source,
    type_name as conversion_type,
    user_id,
    cast(null as {{ type_of("text") }}) as contact_id,
    email_hash,
    device_id,
    cast(null as {{ type_of("text") }}) as subscription_id,
    cast(
        coalesce(
            nullif(trim(product), ''), {{ file_conversion_setting("type_name", "product") }}
        ) as {{ type_of("text") }}
    ) as product,
    converted_at,
    cast(
        coalesce(
            revenue, {{ file_conversion_setting("type_name", "revenue_value") }}
        ) as {{ type_of("money") }}
    ) as revenue,
    currency
from conversions
