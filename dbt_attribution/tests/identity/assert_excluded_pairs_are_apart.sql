{{ config(severity="warn") }}

-- An exclude row forbids the link between the two. Where other links still join them, more rows are needed:
-- those named here.
select distinct overrides.identifier, overrides.target, mine.canonical_user_id
from {{ ref("identity_overrides") }} as overrides
inner join
    {{ ref("int_identity__resolution") }} as mine
    on overrides.identifier_type = mine.identifier_type
    and overrides.identifier = mine.identifier
inner join
    {{ ref("int_identity__resolution") }} as theirs
    on overrides.target_type = theirs.identifier_type
    and overrides.target = theirs.identifier
    and mine.canonical_user_id = theirs.canonical_user_id
where overrides.action = 'exclude'
