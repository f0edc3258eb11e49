-- The first time each person did each thing.
select
    resolution.canonical_user_id,
    events.event_name,
    min(events.occurred_at) as first_at,
    max(events.occurred_at) as last_at,
    count(*) as event_count
from {{ ref("int_events__unified") }} as events
inner join
    {{ ref("int_identity__resolution") }} as resolution
    on resolution.identifier_type = case
        when events.user_id is not null
        then 'user_id'
        when events.device_id is not null
        then 'device_id'
        else 'email_hash'
    end
    and resolution.identifier = coalesce(events.user_id, events.device_id, events.email_hash)
    and events.occurred_at >= resolution.valid_from
    and (resolution.valid_to is null or events.occurred_at < resolution.valid_to)
where not events.is_bot and resolution.match_tier <> 'blocked'
group by resolution.canonical_user_id, events.event_name
