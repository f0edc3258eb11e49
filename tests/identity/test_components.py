"""Connected components: the SQL of the warehouse, the Python form and a plain union-find give the same labels."""

import hashlib

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attribution_platform.identity.components import component_labels, components_sql

NODES = st.integers(0, 40).map(lambda n: f"n{n}") | st.text(max_size=3)
CHAIN = [(f"c{n}", f"c{n + 1}") for n in range(400)]


def union_find(edges: list[tuple[str, str]]) -> dict[str, str]:
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for left, right in edges:
        if left != right:
            parent[root(left)] = root(right)
    members: dict[str, list[str]] = {}
    for node in parent:
        members.setdefault(root(node), []).append(hashlib.md5(node.encode(), usedforsecurity=False).hexdigest())
    return {node: min(members[root(node)]) for node in parent}


def in_python(edges: list[tuple[str, str]]) -> dict[str, str]:
    nodes, labels = component_labels([left for left, _ in edges], [right for _, right in edges])
    return dict(zip(nodes.to_pylist(), labels.to_pylist(), strict=True))


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as opened:
        opened.execute("create table edges (left_node varchar, right_node varchar)")
        yield opened


def in_sql(connection, edges: list[tuple[str, str]], rounds: int = 10) -> tuple[dict[str, str], int]:
    connection.execute("delete from edges")
    if edges:
        connection.executemany("insert into edges values (?, ?)", edges)
    chain = components_sql("edges", rounds)
    labels = connection.execute(f"with {chain} select node, label from component_labels").fetchall()
    open_edges = connection.execute(f"with {chain} select count(*) from component_open_edges").fetchone()[0]
    return dict(labels), open_edges


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(NODES, NODES), max_size=60))
@example([])
@example([("a", "a")])
@example(CHAIN)
@example([("hub", f"s{n}") for n in range(300)])
def test_all_forms_agree(connection, edges):
    labels, open_edges = in_sql(connection, edges)
    assert open_edges == 0
    assert labels == in_python(edges) == union_find(edges)


def test_too_few_rounds_leave_open_edges(connection):
    _, open_edges = in_sql(connection, CHAIN, rounds=1)
    assert open_edges > 0


def test_a_removed_edge_separates_and_touches_no_other_component():
    edges = [("a", "b"), ("b", "c"), ("x", "y")]
    before, after = in_python(edges), in_python([("a", "b"), ("x", "y")])
    assert before["a"] == before["c"]
    assert "c" not in after
    assert {node: after[node] for node in "xy"} == {node: before[node] for node in "xy"}


def test_ends_of_unequal_number_are_an_error():
    with pytest.raises(ValueError, match="2 left ends of edges, but 1 right"):
        component_labels(["a", "b"], ["c"])
