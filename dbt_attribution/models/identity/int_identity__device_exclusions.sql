-- Persons a device must never resolve to, whichever rule would say so.
select distinct overrides.identifier as device_id, components.canonical_user_id
from {{ ref("int_identity__overrides") }} as overrides
inner join
    {{ ref("int_identity__person_components") }} as components
    on overrides.target_type = components.identifier_type
    and overrides.target = components.identifier
where overrides.action = 'exclude' and overrides.identifier_type = 'device_id'
