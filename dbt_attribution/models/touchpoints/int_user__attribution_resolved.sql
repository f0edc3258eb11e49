{{ config(schema="intermediate") }}
{%- set staleness_days = var("staleness_days") -%}
-- The one touch that stands for a user, an organisation or a subscription: the first before it began,
-- unless that is
-- stale; then the first that is not. A person who looked once and came back a year later was won by what
-- brought them
-- back.
with
    users as (
        select resolution.identifier as user_id, resolution.canonical_user_id
        from {{ ref("int_identity__resolution") }} as resolution
        where resolution.identifier_type = 'user_id' and resolution.match_tier <> 'blocked'
    ),

    organisation_members as (
        select organisation_id, canonical_user_id
        from {{ ref("int_identity__persons") }}
        where organisation_id is not null
    ),

    members as (
        select
            'user' as entity_type,
            accounts.user_id as entity_id,
            users.canonical_user_id,
            accounts.created_at as began_at
        from {{ ref("stg_backend__users") }} as accounts
        left join users on accounts.user_id = users.user_id

        union all

        select
            'organisation',
            organisations.organisation_id,
            organisation_members.canonical_user_id,
            organisations.created_at
        from {{ ref("stg_backend__organisations") }} as organisations
        left join organisation_members on organisations.organisation_id = organisation_members.organisation_id

        union all

        -- Whoever subscribed, else everybody of the organisation that did.
        select
            'subscription',
            subscriptions.subscription_id,
            coalesce(users.canonical_user_id, organisation_members.canonical_user_id),
            subscriptions.started_at
        from {{ ref("stg_backend__subscriptions") }} as subscriptions
        left join users on subscriptions.user_id = users.user_id
        left join
            organisation_members
            on subscriptions.user_id is null
            and subscriptions.organisation_id = organisation_members.organisation_id
    ),

    entities as (
        select entity_type, entity_id, min(began_at) as began_at
        from members
        where entity_id is not null
        group by entity_type, entity_id
    ),

    touches as (
        select
            members.entity_type,
            members.entity_id,
            entities.began_at,
            touches.*,
            touches.occurred_at >= {{ add_days("entities.began_at", -staleness_days) }} as is_fresh
        from members
        inner join
            entities on members.entity_type = entities.entity_type and members.entity_id = entities.entity_id
        inner join
            {{ ref("fct_touchpoints") }} as touches
            on members.canonical_user_id = touches.canonical_user_id
            and touches.occurred_at <= entities.began_at
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by entity_type, entity_id order by occurred_at, touchpoint_id
            ) as touch_number,
            row_number() over (
                partition by entity_type, entity_id
                order by case when is_fresh then 0 else 1 end, occurred_at, touchpoint_id
            ) as choice
        from touches
    )

select
    -- -------- ids
    entities.entity_type,
    entities.entity_id,
    chosen.canonical_user_id,
    chosen.touchpoint_id,

    -- -------- text
    case
        when chosen.touchpoint_id is null
        then 'no_touch'
        when not chosen.is_fresh
        then 'stale_first_touch'
        when chosen.touch_number = 1
        then 'first_touch'
        else 'first_fresh_touch'
    end as resolution_rule,
    chosen.channel,
    chosen.source,
    chosen.medium,
    chosen.campaign,
    chosen.platform,

    -- -------- timestamps
    chosen.occurred_at as touched_at,
    entities.began_at
from entities
left join
    ranked as chosen
    on entities.entity_type = chosen.entity_type
    and entities.entity_id = chosen.entity_id
    and chosen.choice = 1
