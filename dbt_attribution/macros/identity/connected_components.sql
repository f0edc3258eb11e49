{#- Connected components of an undirected graph, by contraction, in plain SQL.

    `edges` names a relation or CTE with text columns `left_node` and `right_node`. The macro writes a chain of CTEs to put
    behind `with`; the last one, `component_labels (node, label)`, holds every node that has an edge to another node, and
    `component_open_edges` the edges between components not yet merged, empty once the rounds sufficed.

    A round hooks every node to its smallest neighbour, jumps one pointer, and keeps only the edges between different
    representatives (Bögeholz, Brand and Todor 2020, "In-database connected component analysis": in a random order a round is expected to
    take a fixed share of the nodes; ten million edges with chains and hubs need six rounds).
    Nodes are numbered in the order of a hash: with names in order a chain of n nodes would lose two nodes a round. Which hash
    does not matter, since the label, the smallest md5 of the members, is taken at the end, once; sorting and carrying 32
    characters a node through the rounds took half of the time. Unrolled, because a recursive CTE on Snowflake knows neither
    UNION nor USING KEY; no number of rounds is enough for certain, so tests/identity/assert_components_are_closed.sql asks.

    DuckDB would otherwise write a step out anew for each of its uses, and their number doubles every round. -#}
{% macro connected_components(edges, rounds=10) -%}
    {%- set once = "" if target.type == "snowflake" else "materialized" -%}
    component_nodes as {{ once }} (
        select node, row_number() over (order by hash(node)) as node_number
        from
            (
                select left_node as node
                from {{ edges }}
                where left_node <> right_node
                union
                select right_node as node
                from {{ edges }}
                where left_node <> right_node
            ) as joined_nodes
    ),
    component_halves as {{ once }} (
        select nodes.node_number as left_number, edges.right_node
        from {{ edges }} as edges
        inner join component_nodes as nodes on edges.left_node = nodes.node
        where edges.left_node <> edges.right_node
    ),
    component_edges_0 as {{ once }} (
        select
            least(halves.left_number, nodes.node_number) as low_node,
            greatest(halves.left_number, nodes.node_number) as high_node
        from component_halves as halves
        inner join component_nodes as nodes on halves.right_node = nodes.node
    ),
    {%- for round in range(rounds) %}
        component_hooks_{{ round }} as {{ once }} (
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
        component_jumps_{{ round }} as {{ once }} (
            select hooks.node, next_hooks.label
            from component_hooks_{{ round }} as hooks
            inner join component_hooks_{{ round }} as next_hooks on hooks.label = next_hooks.node
        ),
        -- One end at a time: in one join of three, a planner that guesses few rows crosses the two lists of
        -- nodes first, 5 GB for a million edges.
        component_halves_{{ round }} as {{ once }} (
            select jumps.label as low_label, edges.high_node
            from component_edges_{{ round }} as edges
            inner join component_jumps_{{ round }} as jumps on edges.low_node = jumps.node
        ),
        component_edges_{{ round + 1 }} as {{ once }} (
            select distinct
                least(halves.low_label, jumps.label) as low_node,
                greatest(halves.low_label, jumps.label) as high_node
            from component_halves_{{ round }} as halves
            inner join component_jumps_{{ round }} as jumps on halves.high_node = jumps.node
            where halves.low_label <> jumps.label
        ),
    {%- endfor %}
    component_open_edges as (select low_node, high_node from component_edges_{{ rounds }}),
    -- What a node of one round became in the last: read backwards, so that each step touches only the nodes
    -- that were left in its round.
    component_roots_{{ rounds }} as (select node, label from component_jumps_{{ rounds - 1 }}),
    {%- for round in range(rounds - 1, 0, -1) %}
        component_roots_{{ round }} as {{ once }} (
            select jumps.node, coalesce(roots.label, jumps.label) as label
            from component_jumps_{{ round - 1 }} as jumps
            left join component_roots_{{ round + 1 }} as roots on jumps.label = roots.node
        ),
    {%- endfor %}
    component_names as {{ once }} (
        select nodes.node, roots.label as root
        from component_nodes as nodes
        inner join component_roots_1 as roots on nodes.node_number = roots.node
    ),
    component_digests as {{ once }} (select root, min(md5(node)) as label from component_names group by root),
    component_labels as (
        select names.node, digests.label
        from component_names as names
        inner join component_digests as digests on names.root = digests.root
    )
{%- endmacro %}
