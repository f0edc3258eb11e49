"""Connected components of an undirected graph whose nodes are texts, and the warehouse's form of the same.

A component's label is the smallest md5 of its nodes, in Python and in SQL alike: it depends on the component's members only, so
both warehouses and every run agree, and a removed edge changes no label but its own component's.
"""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

_MACRO = Path(__file__).parents[2] / "dbt_attribution" / "macros" / "identity" / "connected_components.sql"
_CHUNK = 1 << 18


def component_labels(
    left: pa.ChunkedArray | pa.Array | list[str], right: pa.ChunkedArray | pa.Array | list[str]
) -> tuple[pa.Array, pa.DictionaryArray]:
    """Label every node that has an edge to another node.

    Args:
        left: one end of each edge.
        right: the other end. An edge from a node to itself says nothing and is left out, with its node if it has no other.

    Returns:
        Distinct nodes, and beside each the smallest md5 (hex) among the nodes it is connected with.
    """
    ends = [
        pc.cast(pa.chunked_array([side]) if isinstance(side, list) else side, pa.string()) for side in (left, right)
    ]
    ends = [side if isinstance(side, pa.ChunkedArray) else pa.chunked_array([side]) for side in ends]
    if len(ends[0]) != len(ends[1]):
        raise ValueError(f"{len(ends[0])} left ends of edges, but {len(ends[1])} right ones")
    joining = pc.not_equal(ends[0], ends[1])
    ends = [side.filter(joining) for side in ends]
    n = len(ends[0])
    if not n:
        return pa.array([], pa.string()), pa.array([], pa.string()).dictionary_encode()
    coded = pa.chunked_array([*ends[0].chunks, *ends[1].chunks]).combine_chunks().dictionary_encode()
    nodes = coded.dictionary
    codes = coded.indices.to_numpy()
    del coded, ends
    count = len(nodes)
    graph = coo_matrix((np.ones(n, dtype=np.int8), (codes[:n], codes[n:])), shape=(count, count)).tocsr()
    del codes
    _, component = connected_components(graph, directed=False)
    del graph
    digests = _digests(nodes)
    # Members by component, the smallest digest first: a digest orders as its two big-endian halves do.
    order = np.lexsort((digests[:, 1], digests[:, 0], component))
    first = order[np.r_[True, np.diff(component[order]) != 0]]
    smallest = np.empty((len(first), 2), dtype=">u8")
    smallest[component[first]] = digests[first]
    hexes = pa.array([row.tobytes().hex() for row in smallest], pa.string())
    # A dictionary: written out, thirteen million labels are 400 MB.
    return nodes, pa.DictionaryArray.from_arrays(pa.array(component), hexes)


def _digests(nodes: pa.Array) -> np.ndarray:
    """The md5 of each text, as two unsigned numbers."""
    out = np.empty((len(nodes), 2), dtype=">u8")
    for start in range(0, len(nodes), _CHUNK):
        texts = nodes.slice(start, _CHUNK).to_pylist()
        digest = b"".join(hashlib.md5(text.encode(), usedforsecurity=False).digest() for text in texts)
        out[start : start + len(texts)] = np.frombuffer(digest, dtype=">u8").reshape(-1, 2)
    return out


def components_sql(edges: str, rounds: int = 8) -> str:
    """The warehouse's macro rendered for a relation: a chain of CTEs ending in `component_labels (node, label)`.

    The macro uses nothing but ANSI SQL and md5, so that one text serves DuckDB and Snowflake.
    """
    from jinja2 import Environment

    # SQL from our own file: escaping for HTML would break it.
    environment = Environment(autoescape=False)  # noqa: S701
    template = environment.from_string(_MACRO.read_text() + "{{ connected_components(edges, rounds) }}")
    return template.render(edges=edges, rounds=rounds, target={"type": "duckdb"})
