"""Rule credit in the warehouse on ten million touches, against one window pass over the same rows.

    python benchmarks/rule_credit.py [--touches 10000000] [--folder DIR]

Draws journeys into a DuckDB file, builds `int_attribution__journeys` and the rule views with dbt from the project as it is,
then times: the window pass (number the touches of every journey and write the rows), credit and revenue of all rule models
summed by channel, the same after another half-life, and the long rows written out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import yaml

from benchmarks.memory import peak_mb

PROJECT = Path(__file__).resolve().parents[1] / "dbt_attribution"
MEAN_LENGTH = 4
POSITIONS = "int_attribution__journeys"
RULES = ("int_attribution__first_touch", "int_attribution__last_touch", "int_attribution__multi_touch")
ALL_RULES = " union all ".join(f"select * from intermediate.{view}" for view in RULES)


def draw(warehouse: Path, touches: int) -> None:
    """Journeys of one to seven touches, five channels, revenue with cents."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema core")
        connection.execute(
            f"""create table core.fct_conversions as
            select md5(i::varchar) as conversion_id, (hash(i) % 10000 / 100)::decimal(20, 6) as revenue
            from range({touches // MEAN_LENGTH}) as t(i)"""
        )
        connection.execute(
            """create table core.fct_journey_touchpoints as
            select conversion_id as journey_id, conversion_id, md5(conversion_id || k) as touchpoint_id,
                ['Direct', 'Email', 'Paid Search', 'Display', 'Organic Search'][1 + (hash(conversion_id, k) % 5)::int]
                    as channel,
                'campaign ' || (hash(conversion_id, k) % 50) as campaign, k::int as position, n::int as journey_length,
                (n - k) * 30 + (hash(conversion_id, k) % 30)::double as hours_before_conversion,
                timestamp '2026-01-01' - to_hours(((n - k) * 30)::int) as occurred_at
            from (select conversion_id, 1 + (hash(conversion_id) % 7)::int as n from core.fct_conversions),
                unnest(range(1, n + 1)) as steps(k)"""
        )


def build(warehouse: Path, folder: Path, **variables: float) -> None:
    """The positions and the rule views, as the project has them."""
    (folder / "landing").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "ATTRIBUTION_WAREHOUSE_PATH": str(warehouse),
        "ATTRIBUTION_LANDING_DIR": str(folder / "landing"),
        "ATTRIBUTION_DBT_PLUGINS": str(PROJECT / "plugins"),
    }
    command = [str(Path(sys.executable).parent / "dbt"), "run", "--target-path", str(folder / "target")]
    command += ["--select", POSITIONS, *RULES, "--vars", yaml.safe_dump(variables)]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL)


def timed(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    """Seconds of one statement."""
    begun = time.perf_counter()
    connection.execute(sql).fetchall()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--touches", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rule_credit_"))
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = folder / "rules.duckdb"
    warehouse.unlink(missing_ok=True)
    draw(warehouse, options.touches)
    build(warehouse, folder)
    summed = f"select model_type, channel, sum(credit), sum(credited_revenue) from ({ALL_RULES}) group by all"
    rows: list[tuple[str, float]] = []
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set threads = 2")
        count = connection.execute("select count(*) from core.fct_journey_touchpoints").fetchone()
        window = timed(
            connection,
            """create or replace table passed as select *,
            row_number() over (partition by journey_id order by occurred_at, touchpoint_id) as n
            from core.fct_journey_touchpoints""",
        )
        rows.append(("all rule models, credit and revenue by channel", timed(connection, summed)))
        rows.append(
            (
                "the long rows of all rule models, written",
                timed(connection, f"create or replace table long as {ALL_RULES}"),
            )
        )
    build(warehouse, folder, half_life_days=3)
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set threads = 2")
        rows.append(("the same by channel after another half-life", timed(connection, summed)))
    assert count is not None
    print(f"{count[0]:,} touches; one window pass, written: {window:.1f} s")
    for what, seconds in rows:
        print(f"{what:<52} {seconds:6.1f} s  {seconds / window:5.2f} x")
    print(f"peak memory {peak_mb():,.0f} MB")


if __name__ == "__main__":
    main()
