-- Typing the same e-mail to two accounts would make one person of both; two rows on one pair say yes and no.
with
    overrides as (
        select distinct action, identifier_type, identifier, target_type, target
        from {{ ref("identity_overrides") }}
    )

select identifier_type, identifier, 'included with several users' as contradiction
from overrides
where action = 'include' and identifier_type <> 'user_id' and target_type = 'user_id'
group by identifier_type, identifier
having count(*) > 1
union all
select identifier_type, identifier, 'included with and excluded from the same' as contradiction
from overrides
group by identifier_type, identifier, target_type, target
having count(*) > 1
