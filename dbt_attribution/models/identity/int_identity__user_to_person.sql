{{ config(materialized="view") }}
select
    resolution.identifier as user_id,
    resolution.canonical_user_id,
    identifiers.first_seen_at,
    identifiers.last_seen_at
from {{ ref("int_identity__resolution") }} as resolution
inner join
    {{ ref("int_identity__identifiers") }} as identifiers
    on resolution.identifier_type = identifiers.identifier_type
    and resolution.identifier = identifiers.identifier
where resolution.identifier_type = 'user_id' and resolution.match_tier <> 'blocked'
