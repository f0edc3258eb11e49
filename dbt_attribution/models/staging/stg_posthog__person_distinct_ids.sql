with
    source as (
        {{ raw_table("posthog", "person_distinct_ids", {"distinct_id": "text", "person_id": "text"}) }}
    )

select distinct_id, person_id
from source
