{{ config(materialized="view") }}
select
    canonical_user_id, identifier as distinct_id, match_tier, confidence, evidence_count, valid_from, valid_to
from {{ ref("int_identity__resolution") }}
where identifier_type = 'device_id' and match_tier <> 'blocked'
