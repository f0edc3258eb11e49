"""A user's project in a folder of its own: settings, files to read, and the command line run on it as a user runs it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_files import write_files

REPOSITORY = Path(__file__).resolve().parents[2]
WORLD = WorldConfig(people=300, start_on=date(2026, 7, 1), days=45, seed=3)
SETTINGS = """
[project]
name = "e2e"
reporting_time_zone = "Europe/Berlin"
own_domains = ["shop.example"]
history_start = 2026-07-01
as_of = 2026-08-15T00:00:00Z

[attribution]
data_driven_min_conversions = 20
bootstrap_replicates = 50

[[conversions]]
name = "purchase"
kind = "file"

[[conversions]]
name = "signup"
kind = "event"
event_name = "sign_up"

[sources.files]
enabled = true
path = "inbox"
"""
# What a run says of itself (load ids, when it was loaded) differs; what it says of the data must not.
OWN_COLUMNS = ("_dlt_id", "_dlt_load_id", "_dlt_parent_id", "_dlt_root_id")
# Nor these, which remember runs: when a contract was pinned, what changed since the last run, which runs failed before an alarm,
# who was told of what.
OWN_TABLES = (
    "monitoring.contract_pins",
    "identity.identity_quality",
    "monitoring.drift_explanations",
    "monitoring.alert_history",
)
TABLES = """
    select table_schema, table_name, list(column_name order by ordinal_position) as columns
    from information_schema.columns
    where table_name not like '\\_dlt%' escape '\\'
    group by all order by all
"""


@dataclass(frozen=True)
class Project:
    """A folder with attribution.toml; everything a run makes is below `data`."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *arguments: str, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """`attribution …`, in a process of its own.

        Args:
            before: Python run first in that process: where a test lets it die.
        """
        code = f"{before}\nfrom attribution_platform.cli import main\nmain()"
        # Files, not pipes: what a killed run leaves behind for a moment would hold a pipe open.
        output, complaints = self.folder / "stdout.txt", self.folder / "stderr.txt"
        with output.open("w") as stdout, complaints.open("w") as stderr:
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                cwd=self.folder,
                env={**os.environ, "ATTRIBUTION_ENV": "ci", "ATTRIBUTION_HASH_KEY": "k" * 32, **environment},
                stdout=stdout,
                stderr=stderr,
                timeout=1800,
            )
        return subprocess.CompletedProcess(done.args, done.returncode, output.read_text(), complaints.read_text())

    def digest(self) -> dict[str, tuple[int, int]]:
        """Rows of every table and a sum of their hashes: equal for equal rows in any order."""
        found = {}
        with duckdb.connect(str(self.data / "warehouse.duckdb"), read_only=True) as connection:
            for schema, table, columns in connection.execute(TABLES).fetchall():
                if f"{schema}.{table}" in OWN_TABLES:
                    continue
                named = ", ".join(f'"{name}"' for name in columns if name not in OWN_COLUMNS)
                counted = connection.execute(
                    f'select count(*), coalesce(sum(hash({named})), 0)::varchar from "{schema}"."{table}"'
                ).fetchone()
                assert counted is not None
                found[f"{schema}.{table}"] = (int(counted[0]), int(counted[1].split(".")[0]))
        return found


def make_project(folder: Path) -> Project:
    """Settings and the five files of a small drawn company."""
    folder.mkdir(parents=True)
    (folder / "attribution.toml").write_text(SETTINGS)
    write_files(build_world(WORLD), folder / "inbox")
    return Project(folder)
