-- The contraction is unrolled to a fixed number of rounds: an accepted edge between two components means
-- that it
-- needs one more.
select edges.left_node, edges.right_node
from {{ ref("int_identity__person_edges") }} as edges
inner join
    {{ ref("int_identity__person_components") }} as lefts
    on edges.identifier_type = lefts.identifier_type
    and edges.identifier = lefts.identifier
inner join
    {{ ref("int_identity__person_components") }} as rights
    on edges.target_type = rights.identifier_type
    and edges.target = rights.identifier
where not edges.is_refused and lefts.component_id <> rights.component_id
