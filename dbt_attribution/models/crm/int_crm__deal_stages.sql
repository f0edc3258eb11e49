select 'hubspot' as source, pipeline_id, stage_id, label, display_order, probability, is_closed, is_won
from {{ ref("stg_hubspot__deal_stages") }}
union all
-- Salesforce has one list of stages; record types only hide some of them.
select 'salesforce', 'default', stage_id, label, display_order, probability, is_closed, is_won
from {{ ref("stg_salesforce__opportunity_stages") }}
union all
select 'pipedrive', pipeline_id, stage_id, label, display_order, probability, false, false
from {{ ref("stg_pipedrive__stages") }}
union all
select 'pipedrive', pipeline_id, 'won', 'Won', max(display_order) + 1, 1, true, true
from {{ ref("stg_pipedrive__stages") }}
group by pipeline_id
union all
select 'pipedrive', pipeline_id, 'lost', 'Lost', max(display_order) + 2, 0, true, false
from {{ ref("stg_pipedrive__stages") }}
group by pipeline_id
