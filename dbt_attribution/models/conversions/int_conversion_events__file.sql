-- Every type in the file counts, configured or not: a team that starts from files has said what converted.
select
    conversion_id as source_id,
    'files' as source,
    coalesce(nullif(trim(conversion_type), ''), 'conversion') as conversion_type,
    user_id,
    cast(null as {{ type_of("text") }}) as contact_id,
    email_hash,
    device_id,
    cast(null as {{ type_of("text") }}) as subscription_id,
    product,
    converted_at,
    revenue,
    currency
from {{ ref("stg_files__conversions") }}
