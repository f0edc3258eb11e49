"""Does the platform build on any subset of its sources? Each source left out, then each alone.

    python -m benchmarks.source_subsets

One run pulls everything from the sandbox; then, for each subset, `attribution run --job rebuild` works on a fresh folder that holds
the landing files of that subset, with the other sources off. Prints a line a subset: exit code, seconds, tables, touchpoints and
conversions. Exit code 1 if any run failed.
"""

import argparse
import shutil
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from attribution_platform.settings import load_settings
from benchmarks.projects import Running, serve
from dlt_pipelines.pipeline import landing_file
from dlt_pipelines.sandbox.world import WorldConfig, build_world


def rebuild(whole: Running, part: Running, sources: list[str]) -> tuple[int, float]:
    """Exit code and seconds of a rebuild on these sources' landing files."""
    landing = part.project.data / "landing"
    landing.mkdir(parents=True, exist_ok=True)
    for source in sources:
        shutil.copy(landing_file(whole.project.data / "landing", source), landing)
    began = time.perf_counter()
    return part.finish("rebuild"), time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--days", type=int, default=45)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    world = build_world(
        WorldConfig(people=options.people, start_on=date(2026, 7, 1), days=options.days, seed=options.seed)
    )
    failed = 0
    with tempfile.TemporaryDirectory() as scratch, serve(world, Path(scratch)) as company:
        whole = company.project("whole")
        if whole.finish("full"):
            raise SystemExit(whole.output()[-3000:])
        sources = list(load_settings(whole.project.folder / "attribution.toml").enabled_sources)
        subsets = {f"without {name}": [other for other in sources if other != name] for name in sources}
        subsets |= {f"only {name}": [name] for name in sources}
        for name, kept in subsets.items():
            off = {f"ATTRIBUTION__SOURCES__{each.upper()}__ENABLED": "false" for each in sources if each not in kept}
            part = company.project(name.replace(" ", "_"), **off)
            code, seconds = rebuild(whole, part, kept)
            failed += code != 0
            counts = {table: rows for table, (rows, _) in part.project.digest().items()} if code in (0, 1) else {}
            print(
                f"{name:22s} exit {code}  {seconds:4.0f} s  {len(counts)} tables  "
                f"{counts.get('core.fct_touchpoints', 0)} touchpoints  {counts.get('core.fct_conversions', 0)} conversions",
                flush=True,
            )
            if code:
                print(part.output()[-1500:], flush=True)
            shutil.rmtree(part.project.folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
