{#- Connected components of an undirected graph, by contraction, in plain SQL.

    `edges` names a relation or CTE with text columns `left_node` and `right_node`. The macro writes a chain of CTEs to put
    behind `with`; the last one, `component_labels (node, label)`, holds every node that has an edge to another node, and
    `component_open_edges` the edges between components not yet merged, empty once the rounds sufficed.

    A round hooks every node to its smallest neighbour, jumps one pointer, and keeps only the edges between different
    representatives (as Splink does). Nodes are ranked by the md5 of their name: with names in order a chain of n nodes
    would lose two nodes a round, in hashed order it shrinks about threefold. Unrolled, because a recursive CTE on
    Snowflake knows neither UNION nor USING KEY. The label is the smallest md5 of the component. -#}
{% macro connected_components(edges, rounds=8) -%}
    component_edges_0 as (
        select distinct
            least(md5(left_node), md5(right_node)) as low_node,
            greatest(md5(left_node), md5(right_node)) as high_node
        from {{ edges }}
        where left_node <> right_node
    ),
    {%- for round in range(rounds) %}
        component_hooks_{{ round }} as (
            select node, least(node, min(neighbour)) as label
            from
                (
                    select low_node as node, high_node as neighbour
                    from component_edges_{{ round }}
                    union all
                    select high_node as node, low_node as neighbour
                    from component_edges_{{ round }}
                ) as neighbours
            group by node
        ),
        component_jumps_{{ round }} as (
            select hooks.node, coalesce(next_hooks.label, hooks.label) as label
            from component_hooks_{{ round }} as hooks
            left join component_hooks_{{ round }} as next_hooks on hooks.label = next_hooks.node
        ),
        component_edges_{{ round + 1 }} as (
            select distinct
                least(low_jumps.label, high_jumps.label) as low_node,
                greatest(low_jumps.label, high_jumps.label) as high_node
            from component_edges_{{ round }} as edges
            inner join component_jumps_{{ round }} as low_jumps on edges.low_node = low_jumps.node
            inner join component_jumps_{{ round }} as high_jumps on edges.high_node = high_jumps.node
            where low_jumps.label <> high_jumps.label
        ),
        component_labels_{{ round }} as (
            {%- if loop.first %}select node, label from component_jumps_0
            {%- else %}
                select labels.node, coalesce(jumps.label, labels.label) as label
                from component_labels_{{ round - 1 }} as labels
                left join component_jumps_{{ round }} as jumps on labels.label = jumps.node
            {%- endif %}
        ),
    {%- endfor %}
    component_open_edges as (select low_node, high_node from component_edges_{{ rounds }}),
    component_labels as (
        select nodes.node, labels.label
        from
            (
                select left_node as node
                from {{ edges }}
                where left_node <> right_node
                union
                select right_node as node
                from {{ edges }}
                where left_node <> right_node
            ) as nodes
        inner join component_labels_{{ rounds - 1 }} as labels on md5(nodes.node) = labels.node
    )
{%- endmacro %}
