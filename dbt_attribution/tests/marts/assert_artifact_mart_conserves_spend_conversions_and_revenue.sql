-- A row is a total of the mart that is not that of its sources, for a model and conversion type; spend day
-- by day.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__artifact_daily"}}}) }}
{{ conservation("mart_attribution__artifact_daily", ["date_on"]) }}
