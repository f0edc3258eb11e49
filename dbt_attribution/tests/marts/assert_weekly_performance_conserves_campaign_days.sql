-- A row is a model and conversion type whose weekly totals over the ad platforms are not those of the
-- campaigns' days.
{{ config(meta={"dagster": {"ref": {"name": "paid_budget__weekly_performance"}}}) }}
{{ periods_that_lose_campaign_days(ref("paid_budget__weekly_performance")) }}
