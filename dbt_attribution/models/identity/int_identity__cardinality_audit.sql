{%- set reasons = {
    "blocked_value": "One of the two values is a placeholder or malformed (seeds/identity_blocklist.csv).",
    "excluded_by_override": "The override table forbids it.",
    "settled_by_override": "The override table already says whose identifier this is.",
    "settled_by_external_id": "The contact carries a user id, which outranks its e-mail.",
    "contact_has_several_users": "One contact names more than one user.",
    "contact_has_several_emails": "One contact carries more than one e-mail, and no user id decides.",
    "user_has_several_contacts": "More than one contact of the same system names this user.",
    "email_verified_by_several_users": "More than one user verified this address.",
    "email_verified_by_another_user": "Another user verified this address.",
    "email_has_several_users": "More than one user gave this address and none verified it.",
    "merged_into_several_users": "The vendor merged the id into more than one user.",
    "merged_device_has_several_users": "The vendor merged the device into one user, but several logged in on it.",
    "several_overrides": "The override table attaches the identifier to more than one person.",
    "click_tokens_lead_to_several_persons": "Its click ids were seen on devices of more than one person.",
    "click_token_on_several_identifiers": "This click id was seen on more than two devices or contacts, so it is not of one click.",
    "click_token_sightings_too_far_apart": "The two devices showed this click id more than half an hour apart.",
    "device_has_several_emails": "Addresses of more than one person were given on the device.",
    "sightings_over_"
    ~ fingerprint_window_days()
    ~ "_days_apart": "Between the two devices the fingerprint was out of sight for longer.",
    "fingerprints_lead_to_several_persons": "The fingerprints of this device belong to more than one person.",
    "fingerprint_on_too_many_devices": "Its one user logged in on less than a fifth of the devices with this fingerprint.",
    "fingerprint_has_several_users": "More than one user logged in on devices with this fingerprint.",
    "fingerprint_on_devices_at_once": "Devices with this fingerprint were in use at the same time, and few of them saw its one user log in.",
    "fingerprint_says_another_person": "The fingerprint of this device leads to somebody else than the address given on it.",
    "addresses_on_fingerprint_differ": "Devices with the same fingerprint gave addresses of several persons, and no login says whose it is.",
    "email_says_another_person": "The address given on this device leads to somebody else than its fingerprint.",
    "landing_not_unique": "The sign-up matches more than one device, or the device more than one sign-up.",
} -%}
select
    identifier_type,
    identifier,
    user_id,
    tier,
    refusal_reason,
    case
        refusal_reason
        {%- for reason, text in reasons.items() %} when '{{ reason }}' then '{{ text }}' {%- endfor %}
    end as explanation,
    evidence_count,
    count(*) over (partition by identifier_type, identifier, tier) as refused_edges,
    rule_version
from {{ ref("int_identity__device_graph") }}
where is_refused
