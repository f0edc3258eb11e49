-- A row is a total of the mart that is not that of its sources, for a model and conversion type; spend by
-- platform and day.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__campaign_daily"}}}) }}
{{ conservation("mart_attribution__campaign_daily", ["date_on", "platform"]) }}
