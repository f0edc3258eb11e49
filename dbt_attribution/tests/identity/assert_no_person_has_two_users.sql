-- Only the manual table may say that two accounts are one human being.
select persons.canonical_user_id, persons.user_count
from {{ ref("int_identity__persons") }} as persons
left join
    (
        select distinct components.canonical_user_id
        from {{ ref("int_identity__overrides") }} as overrides
        inner join
            {{ ref("int_identity__person_components") }} as components
            on overrides.target_type = components.identifier_type
            and overrides.target = components.identifier
        where overrides.action = 'include'
    ) as by_hand
    on persons.canonical_user_id = by_hand.canonical_user_id
where persons.user_count > 1 and by_hand.canonical_user_id is null
