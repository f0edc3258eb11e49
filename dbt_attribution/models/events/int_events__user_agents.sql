{{ config(tags=["base"]) }}

with
    seen as (
        select user_agent
        from {{ ref("stg_backend__requests") }}
        union
        select user_agent
        from {{ ref("stg_files__events") }}
        union
        select user_agent
        from {{ ref("int_events__web") }}
    )

select md5(user_agent) as user_agent_hash, user_agent
from seen
where user_agent is not null and user_agent <> ''
