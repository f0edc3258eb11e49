-- A row is a journey whose positions do not run from 1 to its length: rules read them without looking at the
-- touches.
{{ config(meta={"dagster": {"ref": {"name": "fct_journey_touchpoints"}}}) }}
select journey_id, count(*) as touches, min(position) as first_position, max(position) as last_position
from {{ ref("fct_journey_touchpoints") }}
group by journey_id
having
    min(position) <> 1
    or max(position) <> count(*)
    or count(distinct position) <> count(*)
    or min(journey_length) <> count(*)
    or max(journey_length) <> count(*)
