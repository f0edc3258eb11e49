"""Events of the product analytics vendors into DuckDB: rows a second of CPU, and peak memory of the process that loads.

    python -m benchmarks.event_exports [--people 3000] [--days 120]

The sandbox's world is written or served first, then each vendor is loaded by a process of its own: PostHog from Parquet and
from JSON lines, Mixpanel's stream and Amplitude's zips over loopback. CPU time is told beside wall time, since the sandbox
shares the machine. Prints a line a vendor.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dlt_pipelines.config import ExtractionWindow
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors import mixpanel
from dlt_pipelines.sandbox.vendors.posthog_export import write_batch_export
from dlt_pipelines.sandbox.world import WorldConfig, build_world


def load(source: str, given: dict[str, object], folder: Path) -> dict[str, float]:
    """Load one source in this process."""
    from dlt_pipelines.pipeline import run_source
    from dlt_pipelines.privacy import Hasher
    from dlt_pipelines.registry import SOURCES

    config = SOURCES[source].config_model.model_validate({"enabled": True, **given})
    first = WorldConfig().start_on
    end = first + timedelta(days=400)
    window = ExtractionWindow(start=first, end=end, now=datetime(end.year, end.month, end.day, tzinfo=UTC))
    if source == "mixpanel":
        # The sandbox refuses days to come, as Mixpanel does.
        window = window.model_copy(update={"now": datetime.fromisoformat(str(os.environ["WORLD_END"]))})
    began, used = time.perf_counter(), time.process_time()
    result = run_source(
        SOURCES[source],
        config,
        window,
        Hasher(b"a key for benchmarks only"),
        landing_dir=folder / "landing",
        pipelines_dir=folder / "dlt",
        resources=("events",),
    )
    return {
        "rows": result.rows["events"],
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--load", nargs=3, metavar=("SOURCE", "SETTINGS", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.load:
        source, settings, folder = chosen.load
        print(json.dumps(load(source, json.loads(settings), Path(folder))))
        return
    world = build_world(WorldConfig(people=chosen.people, days=chosen.days))
    end = world.config.start_on + timedelta(days=chosen.days)
    print(f"{'source':<22}{'rows':>10}{'rows/s CPU':>12}{'rows/s wall':>13}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as name, SandboxServer(world) as server:
        folder = Path(name)
        for form in ("parquet", "jsonl"):
            write_batch_export(world, folder / form, form)
        urls = server.base_urls
        cases = {
            "posthog parquet": ("posthog", {"events_path": str(folder / "parquet" / "events")}),
            "posthog jsonl.gz": ("posthog", {"events_path": str(folder / "jsonl" / "events")}),
            "mixpanel export": (
                "mixpanel",
                {"base_url": urls["mixpanel"], "project_id": mixpanel.PROJECT, "days_per_request": 30},
            ),
            "amplitude zips": ("amplitude", {"base_url": urls["amplitude"], "hours_per_request": 168}),
        }
        environment = {**os.environ, **server.credentials(), "WORLD_END": f"{end}T00:00:00+00:00"}
        for label, (source, settings) in cases.items():
            command = [sys.executable, "-m", "benchmarks.event_exports", "--load", source, json.dumps(settings)]
            done = subprocess.run(
                [*command, str(folder / label)], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                print(f"{label:<22}failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            seen = json.loads(done.stdout.strip().splitlines()[-1])
            rate, wall = seen["rows"] / seen["cpu"], seen["rows"] / seen["wall"]
            print(f"{label:<22}{seen['rows']:>10,}{rate:>12,.0f}{wall:>13,.0f}{seen['peak_mb']:>9,.0f}", flush=True)


if __name__ == "__main__":
    main()
