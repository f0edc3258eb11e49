"""``python -m dlt_pipelines.sandbox``: builds a world, serves it, and prints what to export to read it."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from dlt_pipelines.sandbox.world import WorldConfig, build_world


def main(arguments: list[str] | None = None) -> int:
    """Runs until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m dlt_pipelines.sandbox", description=__doc__)
    parser.add_argument("--people", type=int, default=2000, help="people in the world")
    parser.add_argument("--days", type=int, default=120, help="days of history")
    parser.add_argument("--seed", type=int, default=7, help="equal seeds give equal worlds")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--ga4-export", type=Path, help="folder to write GA4's export files to")
    parser.add_argument("--backend", help="SQLAlchemy URL of a database to fill as the product's backend")
    parser.add_argument("--stay-days", type=int, default=0, help="people come and go after so many days; 0: all stay")
    parser.add_argument(
        "--fault", action="append", default=[], help="what breaks, e.g. gclid_stripped:/sale@2026-09-10"
    )
    options = parser.parse_args(arguments)
    world = build_world(
        WorldConfig(
            people=options.people,
            days=options.days,
            seed=options.seed,
            faults=tuple(options.fault),
            stay_days=options.stay_days,
        )
    )
    if options.ga4_export:
        write_export(world, options.ga4_export)
    if options.backend:
        world.to_backend(options.backend)
    with SandboxServer(world, port=options.port) as server:
        for name, value in server.environment().items():
            print(f"export {name}={shlex.quote(value)}")
        if options.backend:
            print(f"export BACKEND_DATABASE_URL={shlex.quote(options.backend)}")
        print(f"# sandbox at {server.url}; Ctrl-C ends it", flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
