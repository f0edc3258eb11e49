{{ config(severity="warn") }}
-- A person with more identifiers than this is nearly always a placeholder or a public machine that got
-- through.
select canonical_user_id, count(distinct identifier_type || ':' || identifier) as identifiers
from {{ ref("int_identity__resolution") }}
where match_tier <> 'blocked'
group by canonical_user_id
having count(distinct identifier_type || ':' || identifier) > 50
