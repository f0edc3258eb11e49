-- All that the data-driven models see: distinct paths with counts.
select
    paths.path_id,
    paths.conversion_type,
    paths.path,
    cast(max(paths.path_length) as integer) as path_length,
    cast(sum(case when paths.is_converting then 1 else 0 end) as {{ type_of("bigint") }}) as conversions,
    cast(sum(case when paths.is_converting then 0 else 1 end) as {{ type_of("bigint") }}) as non_conversions,
    cast(coalesce(sum(conversions.revenue), 0) as {{ type_of("money") }}) as revenue
from {{ ref("int_credit__journey_paths") }} as paths
left join {{ ref("fct_conversions") }} as conversions on paths.conversion_id = conversions.conversion_id
group by paths.path_id, paths.conversion_type, paths.path
