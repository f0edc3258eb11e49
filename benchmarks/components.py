"""Connected components of ten million edges: the SQL contraction of the warehouse against the Python form.

    python -m benchmarks.components [--edges 10000000] [--folder DIR]

Draws thirteen million nodes in some three million components with chains of two hundred nodes and thirty hubs, then labels them
by the macro `connected_components` in DuckDB and by `identity.components` in Python, each in a process of its own, and compares
every label. Reports seconds and peak memory.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attribution_platform.identity.components import component_labels, components_sql
from benchmarks.memory import peak_mb

MEMORY_LIMIT = "1300MB"


def draw(path: Path, edges: int) -> None:
    """Write the edges as Parquet: left_node, right_node."""
    rng = np.random.default_rng(7)
    nodes = int(edges * 1.297)
    opens = rng.random(nodes) < 0.23
    opens[0] = True
    # Chains: a stretch of two hundred nodes in every hundred thousand has no opening and hangs each node on the last.
    position = np.arange(nodes)
    in_chain = position % 100_000 < 200
    opens[in_chain] = position[in_chain] % 100_000 == 0
    start = np.maximum.accumulate(np.where(opens, position, 0))
    parent = np.where(in_chain, position - 1, start + (rng.random(nodes) * (position - start)).astype(np.int64))
    # Hubs: kiosks that five thousand members of other components hang on.
    left, right = position[~opens], parent[~opens]
    hub = rng.integers(0, nodes, 5_000 * 30)
    left, right = np.r_[left, hub], np.r_[right, np.repeat(rng.integers(0, nodes, 30), 5_000)]
    order = rng.permutation(len(left))[:edges]
    names = [pa.array(np.char.add("n", values[order].astype(str))) for values in (left, right)]
    pq.write_table(pa.table(names, names=["left_node", "right_node"]), path)


def label_in_sql(edges: Path, out: Path) -> None:
    with duckdb.connect(str(out.with_suffix(".duckdb"))) as connection:
        connection.execute(
            f"set threads = 2; set memory_limit = '{MEMORY_LIMIT}'; set preserve_insertion_order = false"
        )
        connection.execute(f"create or replace table edges as select * from '{edges}'")
        begun, worked = time.perf_counter(), time.process_time()
        connection.execute(
            f"copy (with {components_sql('edges')} select node, label from component_labels) to '{out}' (format parquet)"
        )
        seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    print(seconds, cpu)


def label_in_python(edges: Path, out: Path) -> None:
    ends = pq.read_table(edges).columns
    begun, worked = time.perf_counter(), time.process_time()
    nodes, labels = component_labels(*ends)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
    pq.write_table(pa.table({"node": nodes, "label": labels}), out)
    print(seconds, cpu)


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in ("sql", "python"):
        {"sql": label_in_sql, "python": label_in_python}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        print(peak_mb())
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edges", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="components_"))
    folder.mkdir(parents=True, exist_ok=True)
    edges = folder / "edges.parquet"
    draw(edges, options.edges)
    for form in ("python", "sql"):
        command = [sys.executable, "-m", "benchmarks.components", form, str(edges), str(folder / f"{form}.parquet")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr[-4000:])
        seconds, cpu, memory = map(float, done.stdout.split())
        print(f"{form:<8} {seconds:7.1f} s   {cpu:7.1f} CPU s   peak {memory:,.0f} MB")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"""select count(*) as nodes, count(distinct theirs.label) as components,
                sum((ours.label is distinct from theirs.label)::int) as different
            from '{folder}/sql.parquet' as ours full join '{folder}/python.parquet' as theirs using (node)"""
        ).fetchone()
    assert found is not None
    print(f"{found[0]:,} nodes, {found[1]:,} components, {found[2]:,} labels differ")


if __name__ == "__main__":
    main()
