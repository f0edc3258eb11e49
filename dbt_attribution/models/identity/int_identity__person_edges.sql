-- Edges between identifiers that belong to one human being: e-mail, contact and user. Each points from the
-- weaker
-- identifier to the stronger one, an identifier keeps at most one user, and a contact bridges only when it
-- has none of its
-- own, so that no chain of accepted edges can join two users. Devices are shared by households and stay out
-- of this graph.
with
    links as (
        select
            link_kind,
            source,
            identifier_type,
            identifier,
            target_type,
            target,
            is_verified,
            evidence_count,
            first_seen_at,
            last_seen_at,
            is_blocked,
            is_excluded,
            not is_blocked and not is_excluded as is_usable
        from {{ ref("int_identity__observed_links") }}
        where link_kind in ('user_email', 'contact_user', 'contact_email')
    ),

    settled_by_hand as (
        select distinct identifier_type, identifier
        from {{ ref("int_identity__overrides") }}
        where action = 'include'
    ),

    -- -------- external_id: one contact a user and one user a contact, within each system
    user_contacts as (
        select source, target as user_id, count(distinct identifier) as contacts
        from links
        where link_kind = 'contact_user' and is_usable
        group by source, target
    ),

    contact_users as (
        select identifier as contact_id, count(distinct target) as users
        from links
        where link_kind = 'contact_user' and is_usable
        group by identifier
    ),

    contact_edges as (
        select
            links.identifier_type,
            links.identifier,
            links.target_type,
            links.target,
            'external_id' as tier,
            sum(links.evidence_count) as evidence_count,
            min(links.first_seen_at) as first_seen_at,
            max(links.last_seen_at) as last_seen_at,
            min(
                case
                    when links.is_blocked
                    then 'blocked_value'
                    when links.is_excluded
                    then 'excluded_by_override'
                    when by_hand.identifier is not null
                    then 'settled_by_override'
                    when contact_users.users > 1
                    then 'contact_has_several_users'
                    when user_contacts.contacts > 1
                    then 'user_has_several_contacts'
                end
            ) as refusal_reason
        from links
        left join contact_users on links.identifier = contact_users.contact_id
        left join
            user_contacts on links.source = user_contacts.source and links.target = user_contacts.user_id
        left join
            settled_by_hand as by_hand
            on links.identifier_type = by_hand.identifier_type
            and links.identifier = by_hand.identifier
        where links.link_kind = 'contact_user'
        group by links.identifier_type, links.identifier, links.target_type, links.target
    ),

    -- -------- verified_email and email_only
    email_pairs as (
        select
            identifier_type,
            identifier,
            target_type,
            target,
            max(case when is_verified then 1 else 0 end) as verified,
            sum(evidence_count) as evidence_count,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at,
            max(case when is_blocked then 1 else 0 end) as blocked,
            max(case when is_excluded then 1 else 0 end) as excluded
        from links
        where link_kind = 'user_email'
        group by identifier_type, identifier, target_type, target
    ),

    email_users as (
        select identifier as email_hash, count(*) as users, sum(verified) as verified_users
        from email_pairs
        where blocked = 0 and excluded = 0
        group by identifier
    ),

    email_edges as (
        select
            pairs.identifier_type,
            pairs.identifier,
            pairs.target_type,
            pairs.target,
            case when pairs.verified = 1 then 'verified_email' else 'email_only' end as tier,
            pairs.evidence_count,
            pairs.first_seen_at,
            pairs.last_seen_at,
            case
                when pairs.blocked = 1
                then 'blocked_value'
                when pairs.excluded = 1
                then 'excluded_by_override'
                when by_hand.identifier is not null
                then 'settled_by_override'
                when email_users.verified_users > 1
                then 'email_verified_by_several_users'
                when pairs.verified = 0 and email_users.verified_users = 1
                then 'email_verified_by_another_user'
                when pairs.verified = 0 and email_users.users > 1
                then 'email_has_several_users'
            end as refusal_reason
        from email_pairs as pairs
        left join email_users on pairs.identifier = email_users.email_hash
        left join
            settled_by_hand as by_hand
            on pairs.identifier_type = by_hand.identifier_type
            and pairs.identifier = by_hand.identifier
    ),

    -- -------- a contact that no user id settles follows its one e-mail
    settled_contacts as (select identifier as contact_id from contact_edges where refusal_reason is null),

    contact_emails as (
        select identifier as contact_id, count(distinct target) as emails
        from links
        where link_kind = 'contact_email' and is_usable
        group by identifier
    ),

    contacts_kept_from_user as (
        select distinct kept.identifier as contact_id, email_edges.identifier as email_hash
        from {{ ref("int_identity__overrides") }} as kept
        inner join email_edges on kept.target_type = 'user_id' and kept.target = email_edges.target
        where
            kept.action = 'exclude'
            and kept.identifier_type = 'contact_id'
            and email_edges.refusal_reason is null
    ),

    contact_email_edges as (
        select
            links.identifier_type,
            links.identifier,
            links.target_type,
            links.target,
            'email_only' as tier,
            sum(links.evidence_count) as evidence_count,
            min(links.first_seen_at) as first_seen_at,
            max(links.last_seen_at) as last_seen_at,
            min(
                case
                    when links.is_blocked
                    then 'blocked_value'
                    when links.is_excluded or kept.contact_id is not null
                    then 'excluded_by_override'
                    when by_hand.identifier is not null
                    then 'settled_by_override'
                    when settled_contacts.contact_id is not null
                    then 'settled_by_external_id'
                    when contact_emails.emails > 1
                    then 'contact_has_several_emails'
                end
            ) as refusal_reason
        from links
        left join settled_contacts on links.identifier = settled_contacts.contact_id
        left join contact_emails on links.identifier = contact_emails.contact_id
        left join
            contacts_kept_from_user as kept
            on links.identifier = kept.contact_id
            and links.target = kept.email_hash
        left join
            settled_by_hand as by_hand
            on links.identifier_type = by_hand.identifier_type
            and links.identifier = by_hand.identifier
        where links.link_kind = 'contact_email'
        group by links.identifier_type, links.identifier, links.target_type, links.target
    ),

    manual_edges as (
        select
            identifier_type,
            identifier,
            target_type,
            target,
            'manual_override' as tier,
            1 as evidence_count,
            cast(null as {{ type_of("timestamp") }}) as first_seen_at,
            cast(null as {{ type_of("timestamp") }}) as last_seen_at,
            cast(null as {{ type_of("text") }}) as refusal_reason
        from {{ ref("int_identity__overrides") }}
        where action = 'include' and identifier_type <> 'device_id'
    ),

    judged as (
        select *
        from manual_edges
        union all
        select *
        from contact_edges
        union all
        select *
        from email_edges
        union all
        select *
        from contact_email_edges
    )

select
    identifier_type,
    identifier,
    target_type,
    target,
    {{ identity_node("identifier_type", "identifier") }} as left_node,
    {{ identity_node("target_type", "target") }} as right_node,
    tier,
    cast(evidence_count as bigint) as evidence_count,
    first_seen_at,
    last_seen_at,
    refusal_reason is not null as is_refused,
    refusal_reason
from judged
