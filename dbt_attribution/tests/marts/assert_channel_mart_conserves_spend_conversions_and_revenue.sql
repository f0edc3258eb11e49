-- A row is a model and conversion type whose totals in the mart are not those of its sources.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__channel_daily"}}}) }}
{{ conservation("mart_attribution__channel_daily") }}
