with
    primary_roles as (
        select deal_id, contact_id
        from {{ ref("stg_salesforce__opportunity_contacts") }}
        where not coalesce(is_archived, false) and contact_id is not null
        qualify
            row_number() over (
                partition by deal_id order by case when is_primary then 0 else 1 end, created_at, role_id
            )
            = 1
    ),

    deals as (
        select
            'hubspot' as source,
            deal_id,
            pipeline_id,
            stage_id,
            -- A deal's primary contact is the first in the vendor's list.
            {{ extract_group("contact_ids", "([0-9A-Za-z-]+)") }} as contact_id,
            deal_name_hash,
            product,
            amount,
            currency,
            is_archived,
            created_at,
            closed_at,
            updated_at
        from {{ ref("stg_hubspot__deals") }}
        union all
        select
            'salesforce',
            deals.deal_id,
            'default',
            deals.stage_id,
            roles.contact_id,
            deals.deal_name_hash,
            deals.product,
            deals.amount,
            deals.currency,
            deals.is_archived,
            deals.created_at,
            cast(deals.closed_on as {{ type_of("timestamp") }}),
            deals.updated_at
        from {{ ref("stg_salesforce__opportunities") }} as deals
        left join primary_roles as roles on deals.deal_id = roles.deal_id
        union all
        select
            'pipedrive',
            deal_id,
            pipeline_id,
            -- Winning and losing are no stages in Pipedrive.
            case when status in ('won', 'lost') then status else stage_id end,
            contact_id,
            deal_name_hash,
            product,
            amount,
            currency,
            coalesce(is_deleted, false) or status = 'deleted',
            created_at,
            coalesce(won_at, lost_at, cast(expected_close_on as {{ type_of("timestamp") }})),
            updated_at
        from {{ ref("stg_pipedrive__deals") }}
    )

select
    source,
    deal_id,
    pipeline_id,
    stage_id,
    contact_id,
    deal_name_hash,
    product,
    amount,
    currency,
    source = '{{ primary_crm() }}' as is_primary_crm,
    coalesce(is_archived, false) as is_archived,
    created_at,
    closed_at,
    updated_at
from deals
