-- A row is a currency without a rate: add it to seeds/fx_rates.csv.
{{ config(meta={"dagster": {"ref": {"name": "fct_conversions"}}}) }}
select distinct original_currency
from {{ ref("fct_conversions") }}
where revenue is null
