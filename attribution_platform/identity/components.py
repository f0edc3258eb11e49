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
    sides = [_chunks(side) for side in (left, right)]
    n, of_right = (sum(map(len, side)) for side in sides)
    if n != of_right:
        raise ValueError(f"{n} left ends of edges, but {of_right} right ones")
    # Chunk by chunk against one dictionary: joining the ends into one array first copies every text, 0.5 GB at ten million edges.
    coded = pa.chunked_array([*sides[0], *sides[1]], pa.string()).dictionary_encode()
    nodes = coded.chunk(0).dictionary if coded.num_chunks else pa.array([], pa.string())
    codes = np.empty(2 * n, dtype=np.int32)
    position = 0
    for chunk in coded.chunks:
        codes[position : position + len(chunk)] = chunk.indices.to_numpy()
        position += len(chunk)
    del coded, sides
    tails, heads = codes[:n], codes[n:]
    joining = tails != heads
    if not joining.all():
        tails, heads = tails[joining], heads[joining]
        kept = np.zeros(len(nodes), dtype=bool)
        kept[tails] = kept[heads] = True
        renumbered = (np.cumsum(kept) - 1).astype(np.int32)
        tails, heads, nodes = renumbered[tails], renumbered[heads], nodes.filter(pa.array(kept))
    del codes, joining
    count = len(nodes)
    if not count:
        return nodes, nodes.dictionary_encode()
    graph = coo_matrix((np.ones(len(tails), dtype=np.int8), (tails, heads)), shape=(count, count)).tocsr()
    del tails, heads
    components, component = connected_components(graph, directed=False)
    del graph
    # A dictionary: written out, thirteen million labels are 400 MB.
    return nodes, pa.DictionaryArray.from_arrays(pa.array(component), _smallest(nodes, component, components))


def _chunks(side: pa.ChunkedArray | pa.Array | list[str]) -> list[pa.Array]:
    if isinstance(side, list):
        side = pa.array(side, pa.string())
    texts = pc.cast(side, pa.string())
    return list(texts.chunks) if isinstance(texts, pa.ChunkedArray) else [texts]


def _smallest(nodes: pa.Array, component: np.ndarray, components: int) -> pa.Array:
    """The smallest md5 (hex) of each component. Half a digest singles out the candidates: sorting whole ones took 0.6 GB more."""
    halves = np.empty(len(nodes), dtype=np.uint64)
    for start in range(0, len(nodes), _CHUNK):
        texts = nodes.slice(start, _CHUNK).to_pylist()
        digest = b"".join(_md5(text).digest()[:8] for text in texts)
        halves[start : start + len(texts)] = np.frombuffer(digest, dtype=">u8")
    smallest = np.full(components, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(smallest, component, halves)
    candidates = np.flatnonzero(halves == smallest[component])
    del halves, smallest
    labels = [""] * components
    for start in range(0, len(candidates), _CHUNK):
        chosen = candidates[start : start + _CHUNK]
        for where, text in zip(component[chosen].tolist(), nodes.take(pa.array(chosen)).to_pylist(), strict=True):
            label = _md5(text).hexdigest()
            labels[where] = min(labels[where], label) if labels[where] else label
    return pa.array(labels, pa.string())


def _md5(text: str) -> "hashlib._Hash":
    return hashlib.md5(text.encode(), usedforsecurity=False)


def components_sql(edges: str, rounds: int = 10) -> str:
    """The warehouse's macro rendered for a relation: a chain of CTEs ending in `component_labels (node, label)`.

    The macro uses nothing but ANSI SQL, md5 and hash, which DuckDB and Snowflake both have, so that one text serves both.
    """
    from jinja2 import Environment

    # SQL from our own file: escaping for HTML would break it.
    environment = Environment(autoescape=False)  # noqa: S701
    template = environment.from_string(_MACRO.read_text() + "{{ connected_components(edges, rounds) }}")
    return template.render(edges=edges, rounds=rounds, target={"type": "duckdb"})
