with
    edges as (
        select
            identifier_type,
            identifier,
            case
                when target_type = 'user_id' then target else {{ anonymous_person("target_type", "target") }}
            end as user_id,
            tier,
            evidence_count,
            first_seen_at,
            last_seen_at,
            is_refused,
            refusal_reason
        from {{ ref("int_identity__person_edges") }}

        union all

        select
            'device_id',
            device_id,
            user_id,
            tier,
            evidence_count,
            first_seen_at,
            last_seen_at,
            is_refused,
            refusal_reason
        from {{ ref("int_identity__device_logins") }}

        union all

        select
            identifier_type,
            identifier,
            canonical_user_id,
            tier,
            evidence_count,
            first_seen_at,
            last_seen_at,
            is_refused,
            refusal_reason
        from {{ ref("int_identity__device_inferences") }}
    )

select
    identifier_type,
    identifier,
    user_id,
    tier,
    evidence_count,
    first_seen_at as valid_from,
    -- Only a shared device's edge ends; all others hold until the evidence goes.
    case when tier = 'cookie_interval' then last_seen_at end as valid_to,
    is_refused,
    refusal_reason,
    {{ identity_rule_version() }} as rule_version
from edges
