-- The first time a deal stood in a stage, where its CRM keeps the history.
with
    changes as (
        select 'salesforce' as source, deal_id, stage_id, changed_at
        from {{ ref("stg_salesforce__opportunity_history") }}
        where not coalesce(is_archived, false)
    )

select source, deal_id, stage_id, min(changed_at) as entered_at
from changes
where deal_id is not null and stage_id is not null
group by source, deal_id, stage_id
