{{ config(materialized="view") }}
select
    users.user_id,
    devices.distinct_id,
    devices.canonical_user_id,
    devices.match_tier,
    devices.valid_from,
    devices.valid_to
from {{ ref("int_identity__person_to_distinct_id") }} as devices
inner join
    {{ ref("int_identity__user_to_person") }} as users on devices.canonical_user_id = users.canonical_user_id
