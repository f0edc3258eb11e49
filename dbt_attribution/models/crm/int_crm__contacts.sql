-- People as the CRMs know them. HubSpot's and Salesforce's ids are unlike any other's and stand as they are.
with
    contacts as (
        select
            'hubspot' as source,
            contact_id,
            email_hash,
            user_id,
            organisation_id,
            gclid,
            lifecycle_stage,
            customer_source,
            hs_analytics_source as original_source,
            first_url,
            is_archived,
            created_at,
            updated_at
        from {{ ref("stg_hubspot__contacts") }}
        union all
        select
            'salesforce',
            contact_id,
            email_hash,
            user_id,
            organisation_id,
            gclid,
            'contact',
            customer_source,
            lead_source,
            first_url,
            is_archived,
            created_at,
            updated_at
        from {{ ref("stg_salesforce__contacts") }}
        union all
        -- A converted lead lives on as the contact it became.
        select
            'salesforce',
            coalesce(converted_contact_id, lead_id),
            email_hash,
            user_id,
            organisation_id,
            gclid,
            'lead',
            customer_source,
            lead_source,
            first_url,
            is_archived,
            created_at,
            updated_at
        from {{ ref("stg_salesforce__leads") }}
        union all
        select
            'pipedrive',
            contact_id,
            email_hash,
            user_id,
            organisation_id,
            gclid,
            'contact',
            customer_source,
            null,
            first_url,
            is_archived,
            created_at,
            updated_at
        from {{ ref("stg_pipedrive__persons") }}
    )

select
    source,
    contact_id,
    email_hash,
    user_id,
    organisation_id,
    gclid,
    lifecycle_stage,
    customer_source,
    original_source,
    first_url,
    source = '{{ primary_crm() }}' as is_primary_crm,
    coalesce(is_archived, false) as is_archived,
    created_at,
    updated_at
from contacts
-- A contact that was a lead before is one row: what the contact says, since when the lead was known.
qualify
    row_number() over (
        partition by source, contact_id
        order by case lifecycle_stage when 'lead' then 1 else 0 end, created_at, updated_at
    )
    = 1
