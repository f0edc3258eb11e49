{{ config(schema="intermediate") }}
-- Since when a device's user was known, by evidence of that time. A backend's device row carries its first
-- sight
-- and the user who logged in at any time since: by its last sight the login had happened, on its first it
-- need not
-- have, and counting from there made every newest week look worse than all before it (.57 of devices known
-- fell to .45
-- in a world where nothing changed).
select
    logins.device_id,
    min(
        case when links.source = 'device_fingerprints' then links.last_seen_at else links.first_seen_at end
    ) as known_at
from {{ ref("int_identity__device_logins") }} as logins
inner join
    {{ ref("int_identity__observed_links") }} as links
    on logins.device_id = links.identifier
    and logins.user_id = links.target
where not logins.is_refused and links.link_kind in ('device_user', 'vendor_merge')
group by logins.device_id
