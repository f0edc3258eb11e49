-- A row is a model and conversion type whose totals in the mart are not those of its sources.
{{ config(meta={"dagster": {"ref": {"name": "mart_attribution__artifact_daily"}}}) }}
{{ conservation("mart_attribution__artifact_daily") }}
