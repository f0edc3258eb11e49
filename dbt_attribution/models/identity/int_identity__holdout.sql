-- One in ten of the devices with one known user, as if nobody had ever logged in on them: what the weaker
-- tiers say
-- of them, beside who it was. The same rules as int_identity__device_inferences, asked again. An address
-- given on
-- the device still counts; that it is the user's may be known from that login alone, which flatters
-- email_only.
with
    logins as (select * from {{ ref("int_identity__device_logins") }}),

    held_out as (
        select device_id, canonical_user_id
        from logins
        where tier = 'cookie_single_user' and not is_refused and {{ in_holdout("device_id") }}
    ),

    remaining_logins as (
        select logins.*
        from logins
        left join held_out on logins.device_id = held_out.device_id
        where held_out.device_id is null
    ),

    inferred as ({{ infer_devices("remaining_logins") }}),

    best as (
        select inferred.identifier as device_id, inferred.canonical_user_id, inferred.tier
        from inferred
        inner join {{ ref("identity_tiers") }} as tiers on inferred.tier = tiers.tier
        inner join held_out on inferred.identifier = held_out.device_id
        where inferred.identifier_type = 'device_id' and not inferred.is_refused
        qualify
            row_number() over (
                partition by inferred.identifier
                order by tiers.tier_rank, inferred.evidence_count desc, inferred.canonical_user_id
            )
            = 1
    )

select
    held_out.device_id,
    held_out.canonical_user_id as known_user_id,
    coalesce(
        best.canonical_user_id, {{ anonymous_person("'device_id'", "held_out.device_id") }}
    ) as inferred_user_id,
    coalesce(best.tier, 'unresolved_analytics') as match_tier
from held_out
left join best on held_out.device_id = best.device_id
