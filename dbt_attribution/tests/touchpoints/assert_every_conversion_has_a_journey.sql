-- A row is a conversion without a journey: its credit would be missing from every total.
{{ config(meta={"dagster": {"ref": {"name": "fct_journey_touchpoints"}}}) }}
select conversions.conversion_id
from {{ ref("fct_conversions") }} as conversions
left join
    (select distinct conversion_id from {{ ref("fct_journey_touchpoints") }}) as journeys
    on conversions.conversion_id = journeys.conversion_id
where journeys.conversion_id is null
