with
    accepted as (
        select left_node, right_node from {{ ref("int_identity__person_edges") }} where not is_refused
    ),

    {{ connected_components("accepted") }},

    nodes as (
        select
            identifier_type,
            identifier,
            {{ identity_node("identifier_type", "identifier") }} as node,
            case identifier_type when 'user_id' then 1 when 'email_hash' then 2 else 3 end as strength
        from {{ ref("int_identity__identifiers") }}
        where identifier_type in ('user_id', 'email_hash', 'contact_id') and not is_blocked
    ),

    labelled as (
        select
            nodes.identifier_type,
            nodes.identifier,
            nodes.strength,
            coalesce(labels.label, md5(nodes.node)) as component_id
        from nodes
        left join component_labels as labels on nodes.node = labels.node
    )

select
    identifier_type,
    identifier,
    component_id,
    case
        when
            first_value(identifier_type) over (
                partition by component_id
                order by strength, identifier
                rows between unbounded preceding and unbounded following
            )
            = 'user_id'
        then
            first_value(identifier) over (
                partition by component_id
                order by strength, identifier
                rows between unbounded preceding and unbounded following
            )
        else
            first_value({{ anonymous_person("identifier_type", "identifier") }}) over (
                partition by component_id
                order by strength, identifier
                rows between unbounded preceding and unbounded following
            )
    end as canonical_user_id,
    count(*) over (partition by component_id) as component_size,
    sum(case when identifier_type = 'user_id' then 1 else 0 end) over (
        partition by component_id
    ) as user_count
from labelled
