"""Runs against the sandbox killed at random moments: does the next one end with the tables of a run nobody disturbed?

    python -m benchmarks.killed_runs --kills 10

Each run is `attribution run --job full` with the shipped settings in a process group of its own, which gets SIGKILL at a moment
drawn evenly over the length of an undisturbed run: dbt and every thread die with it. The kills follow each other in one folder,
so a later one also hits the recovery from an earlier one. Prints a line a kill and the tables that differ at the end; exit code 1
if any does.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from benchmarks.projects import Running, serve
from dlt_pipelines.sandbox.world import WorldConfig, build_world


def whole_run(running: Running) -> float:
    """Seconds of a run nobody disturbs."""
    began = time.perf_counter()
    if code := running.finish("full"):
        raise SystemExit(f"the run left {code}: {running.output()[-3000:]}")
    return time.perf_counter() - began


def kill_at(running: Running, moment: float) -> str:
    """Start a run and kill its process group after `moment` seconds; returns what it was at."""
    process = running.start("full")
    try:
        return f"the run was done ({process.wait(timeout=moment)}) by then"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        lines = running.output().strip().splitlines()
        return lines[-1].strip() if lines else "before its first line"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--days", type=int, default=45)
    parser.add_argument("--seed", type=int, default=7, help="of the world and of the moments")
    options = parser.parse_args()
    config = WorldConfig(people=options.people, start_on=date(2026, 7, 1), days=options.days, seed=options.seed)
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch, serve(build_world(config), Path(scratch)) as company:
        whole = company.project("whole")
        seconds = whole_run(whole)
        wanted = whole.project.digest()
        print(f"undisturbed: {len(wanted)} tables in {seconds:.0f} s", flush=True)
        killed = company.project("killed")
        for number in range(1, options.kills + 1):
            moment = draw.uniform(0.02, 0.98) * seconds
            print(f"kill {number} at {moment:.1f} s: {kill_at(killed, moment)}", flush=True)
        print(f"last run: {whole_run(killed):.0f} s", flush=True)
        found = killed.project.digest()
    differing = sorted(table for table in wanted.keys() | found.keys() if wanted.get(table) != found.get(table))
    print(
        f"{len(wanted) - len(differing)} of {len(wanted)} tables equal" + "".join(f"\n  {name}" for name in differing)
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
