-- A row is a platform's day for which a spend file and the platform's own API both report cost: counted
-- twice. Take the platform
-- out of the file or switch the API source off.
{{ config(severity="warn", meta={"dagster": {"ref": {"name": "int_paid_budget__ad_spend_by_platform"}}}) }}
select platform, date_on
from {{ ref("int_paid_budget__ad_spend_by_platform") }}
where spend <> 0
group by platform, date_on
having count(distinct source) > 1
