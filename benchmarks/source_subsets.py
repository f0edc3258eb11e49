"""Does the platform build on any subset of its sources? Each of them alone, each left out, all and none.

    python -m benchmarks.source_subsets --landing landing [--only "only x_ads,without ga4"] [--part 1/8] [--results subsets.json]

Everything is pulled from the sandbox once, into a folder that later calls find again. For each subset, dbt then builds the whole
project, its tests included, on a fresh warehouse beside that subset's landing files, with the other sources off: what is missing
must be empty tables, not errors. Prints a line a subset: exit code, seconds of processor time, tables, touchpoints, conversions
and days of spend. Results gather in a file, so that the 46 subsets may be run in parts. Exit code 1 if any build failed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from attribution_platform.layout import DBT_PROJECT_DIR, PROJECT_ROOT
from attribution_platform.settings import load_settings
from attribution_platform.transformation import WITHOUT_UNIT_TESTS, build_arguments, dbt_executable
from dlt_pipelines import http
from dlt_pipelines.config import ExtractionWindow
from dlt_pipelines.pipeline import landing_file, run_source
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from tests.extraction.every_source import every_source

CRMS = ("hubspot", "salesforce", "pipedrive")
COUNTED = ("core.fct_touchpoints", "core.fct_conversions", "intermediate.int_paid_budget__ad_spend_by_platform")
START = date(2026, 7, 1)


def subsets() -> dict[str, tuple[str, ...]]:
    """Sources by the subset's name."""
    everything = tuple(SOURCES)
    found = {"all": everything, "none": ()}
    found |= {f"only {name}": (name,) for name in everything}
    found |= {f"without {name}": tuple(other for other in everything if other != name) for name in everything}
    return found


def pull(landing: Path, people: int, days: int) -> None:
    """Every source's landing file, unless it is there already."""
    missing = [name for name in SOURCES if not landing_file(landing, name).exists()]
    if not missing:
        return
    http.sleep = lambda seconds: None
    world = build_world(WorldConfig(people=people, days=days, start_on=START, platforms=tuple(PLATFORMS)))
    end = START + timedelta(days=days)
    window = ExtractionWindow(start=START, end=end, now=datetime(end.year, end.month, end.day, tzinfo=UTC))
    with SandboxServer(world) as server, tempfile.TemporaryDirectory() as folder:
        configs, variables = every_source(world, server, Path(folder))
        os.environ |= variables
        for name in missing:
            run_source(
                SOURCES[name],
                configs[name],
                window,
                Hasher(b"a key for benchmarks only"),
                landing_dir=landing,
                pipelines_dir=Path(folder) / "dlt",
            )


def build(landing: Path, sources: tuple[str, ...], variables: dict[str, Any], target: Path) -> dict[str, Any]:
    """Exit code, seconds, counts and, where it failed, the end of dbt's output."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "landing").mkdir()
        for name in sources:
            landing_file(folder / "landing", name).symlink_to(landing_file(landing, name).resolve())
        crm = next((name for name in CRMS if name in sources), "")
        given = variables | {"enabled_sources": list(sources), "primary_crm": crm}
        environment = {
            **os.environ,
            "ATTRIBUTION_WAREHOUSE_PATH": str(folder / "warehouse.duckdb"),
            "ATTRIBUTION_LANDING_DIR": str(folder / "landing"),
            "ATTRIBUTION_DBT_PLUGINS": str(DBT_PROJECT_DIR / "plugins"),
        }
        command = [dbt_executable(), "--no-use-colors", *build_arguments("build", given), *WITHOUT_UNIT_TESTS]
        command += ["--target-path", str(target), "--log-path", str(folder / "logs")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command, cwd=DBT_PROJECT_DIR, env=environment, capture_output=True, text=True, check=False
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found: dict[str, Any] = {
            "exit": done.returncode,
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "summary": next((line for line in reversed(done.stdout.splitlines()) if "PASS=" in line), "")[-80:],
        }
        if done.returncode:
            found["output"] = (done.stdout + done.stderr)[-3000:]
        with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
            names = {f"{schema}.{name}" for schema, name in connection.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall()}  # fmt: skip
            found["tables"] = len(names)
            for table in names.intersection(COUNTED):
                (found[table],) = connection.execute(f"select count(*) from {table}").fetchone() or (0,)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landing", type=Path, required=True, help="folder of the landing files; filled if empty")
    parser.add_argument("--only", default="", help="names of subsets; all when left out")
    parser.add_argument("--part", default="1/1", help="which part of the subsets, such as 2/8")
    parser.add_argument("--results", type=Path, default=Path("data/source_subsets.json"))
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    pull(options.landing, options.people, options.days)
    variables = load_settings(PROJECT_ROOT / "attribution.toml").dbt_vars()
    number, parts = map(int, options.part.split("/"))
    wanted = options.only.split(",") if options.only else list(subsets())[number - 1 :: parts]
    results: dict[str, Any] = json.loads(options.results.read_text()) if options.results.exists() else {}
    failed = 0
    with tempfile.TemporaryDirectory() as target:
        for name in wanted:
            found = build(options.landing, subsets()[name], variables, Path(target))
            failed += found["exit"] != 0
            results[name] = found
            options.results.parent.mkdir(parents=True, exist_ok=True)
            options.results.write_text(json.dumps(results, indent=1))
            counts = ", ".join(f"{found.get(table, 'no')} {table.partition('.')[2]}" for table in COUNTED)
            print(
                f"{name:24s} exit {found['exit']}  {found['cpu']:4.0f} s  {found['tables']} tables  {counts}  "
                f"{found['summary']}\n{found.get('output', '')}".rstrip(),
                flush=True,
            )
    print(
        f"{len(results)} of {len(subsets())} subsets built so far, {sum(r['exit'] == 0 for r in results.values())} well"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
