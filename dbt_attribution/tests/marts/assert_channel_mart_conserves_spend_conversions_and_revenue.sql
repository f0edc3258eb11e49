-- A row is a total of the mart that is not that of its sources, for a model and conversion type; spend day
-- by day.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__channel_daily"}}}) }}
{{ conservation("mart_attribution__channel_daily", ["date_on"]) }}
