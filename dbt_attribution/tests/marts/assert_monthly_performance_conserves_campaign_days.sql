-- A row is a model and conversion type whose monthly totals over the ad platforms are not those of the
-- campaigns' days.
{{ config(meta={"dagster": {"ref": {"name": "paid_budget__monthly_performance"}}}) }}
{{ periods_that_lose_campaign_days(ref("paid_budget__monthly_performance")) }}
