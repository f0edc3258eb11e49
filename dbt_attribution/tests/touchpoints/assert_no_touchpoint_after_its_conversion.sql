-- A row is a touch that could not have led to the conversion it stands before.
{{ config(meta={"dagster": {"ref": {"name": "fct_journey_touchpoints"}}}) }}
select journey_id, touchpoint_id, hours_before_conversion
from {{ ref("fct_journey_touchpoints") }}
where is_converting and hours_before_conversion < 0
