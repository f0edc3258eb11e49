-- Users and the addresses that product analytics vendors keep with them.
with devices as (select distinct device_id from {{ ref("stg_posthog__events") }} where device_id is not null)

select 'posthog' as source, ids.distinct_id as user_id, persons.email_hash, persons.created_at
from {{ ref("stg_posthog__persons") }} as persons
inner join {{ ref("stg_posthog__person_distinct_ids") }} as ids on persons.person_id = ids.person_id
left join devices on ids.distinct_id = devices.device_id
where persons.email_hash is not null and devices.device_id is null

union all

select 'mixpanel', profiles.distinct_id, profiles.email_hash, profiles.created_at
from {{ ref("stg_mixpanel__profiles") }} as profiles
left join devices on profiles.distinct_id = devices.device_id
where profiles.email_hash is not null and devices.device_id is null
