-- None of today's sources keeps merge records. One that does (PostHog's person merges, Segment's aliases)
-- unions its rows
-- in here and the tier works; an identified id merged into another user is refused where the edges are
-- judged.
select
    cast(null as {{ type_of("text") }}) as source,
    cast(null as {{ type_of("text") }}) as device_id,
    cast(null as {{ type_of("text") }}) as user_id,
    cast(null as {{ type_of("timestamp") }}) as merged_at
where 1 = 0
