-- A row is a touch with less than no credit, or more than a whole conversion.
{{ config(meta={"dagster": {"ref": {"name": "fct_attribution_credit"}}}) }}
select conversion_id, touchpoint_id, model_type, credit
from {{ ref("fct_attribution_credit") }}
where credit <= 0 or credit > 1
