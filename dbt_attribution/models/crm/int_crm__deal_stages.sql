select 'hubspot' as source, pipeline_id, stage_id, label, display_order, probability, is_closed, is_won
from {{ ref("stg_hubspot__deal_stages") }}
union all
-- Salesforce has one list of stages; record types only hide some of them.
select 'salesforce', 'default', stage_id, label, display_order, probability, is_closed, is_won
from {{ ref("stg_salesforce__opportunity_stages") }}
