-- The first time a deal stood in a stage, where its CRM keeps the history.
with
    pipedrive_deals as (select * from {{ ref("stg_pipedrive__deals") }}),

    pipedrive_moves as (
        select deal_id, stage_id, old_stage_id, changed_at from {{ ref("stg_pipedrive__stage_changes") }}
    ),

    -- A deal began in the stage its first move left, or never moved.
    pipedrive_beginnings as (
        select deals.deal_id, coalesce(moves.old_stage_id, deals.stage_id) as stage_id, deals.created_at
        from pipedrive_deals as deals
        left join pipedrive_moves as moves on deals.deal_id = moves.deal_id
        qualify row_number() over (partition by deals.deal_id order by moves.changed_at, moves.stage_id) = 1
    ),

    changes as (
        select 'salesforce' as source, deal_id, stage_id, changed_at
        from {{ ref("stg_salesforce__opportunity_history") }}
        where not coalesce(is_archived, false)
        union all
        select 'pipedrive', deal_id, stage_id, created_at
        from pipedrive_beginnings
        union all
        select 'pipedrive', deal_id, stage_id, changed_at
        from pipedrive_moves
        union all
        select 'pipedrive', deal_id, status, coalesce(won_at, lost_at)
        from pipedrive_deals
        where status in ('won', 'lost') and coalesce(won_at, lost_at) is not null
    )

select source, deal_id, stage_id, min(changed_at) as entered_at
from changes
where deal_id is not null and stage_id is not null
group by source, deal_id, stage_id
