{{ config(schema="intermediate") }}
-- What people said brought them, in our channels, beside the first touch we saw.
with
    answers as (
        select
            'user_id' as identifier_type,
            user_id as identifier,
            'backend' as source,
            customer_source,
            created_at
        from {{ ref("stg_backend__users") }}
        union all
        select 'contact_id', contact_id, source, customer_source, created_at
        from {{ ref("int_crm__contacts") }}
        -- A contact kept in two CRMs carries one answer, copied.
        where is_primary_crm
        union all
        select 'contact_id', contact_id, 'files', customer_source, created_at
        from {{ ref("stg_files__contacts") }}
    ),

    persons as (
        select
            resolution.canonical_user_id,
            answers.source,
            answers.created_at,
            lower(trim(answers.customer_source)) as response
        from answers
        inner join
            {{ ref("int_identity__resolution") }} as resolution
            on answers.identifier_type = resolution.identifier_type
            and answers.identifier = resolution.identifier
        where trim(answers.customer_source) <> '' and answers.created_at is not null
        -- A person asked twice has answered once: the first answer is closest to the event.
        qualify
            row_number() over (
                partition by resolution.canonical_user_id
                order by answers.created_at, answers.source, answers.customer_source
            )
            = 1
    ),

    mapped as ({{ map_self_reported("persons") }}),

    -- What came after the answer cannot have been its reason.
    first_touches as (
        select persons.canonical_user_id, touches.channel
        from persons
        inner join
            {{ ref("fct_touchpoints") }} as touches
            on persons.canonical_user_id = touches.canonical_user_id
            and touches.occurred_at <= persons.created_at
        qualify
            row_number() over (
                partition by persons.canonical_user_id order by touches.occurred_at, touches.touchpoint_id
            )
            = 1
    )

select
    persons.canonical_user_id,
    persons.source,
    persons.response,
    mapped.said_channel,
    mapped.matched_phrase,
    mapped.matched_by,
    first_touches.channel as seen_channel,
    -- An answer we cannot map and a person we never saw touch anything disagree with nothing.
    mapped.said_channel <> 'Unassigned' and first_touches.channel is not null as is_comparable,
    persons.created_at as answered_at,
    {{ reporting_date("persons.created_at") }} as answered_on
from persons
left join mapped on persons.response = mapped.response
left join first_touches on persons.canonical_user_id = first_touches.canonical_user_id
