"""The sessions model built alone on events a caller writes."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

PROJECT = Path(__file__).parents[2] / "dbt_attribution"

_TEXTS = (
    "event_id",
    "source",
    "device_id",
    "user_id",
    "email_hash",
    "fingerprint_id",
    "event_name",
    "page_url",
    "page_host",
    "page_path",
    "referrer",
    "referrer_domain",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "gad_source",
    "srsltid",
    "msclkid",
    "fbclid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "rdt_cid",
    "user_agent_hash",
    "ip_hash",
    "device_category",
    "browser",
    "country",
)
EVENTS = ", ".join(f"{name} varchar" for name in _TEXTS) + (
    ", occurred_at timestamp, value double, is_bot boolean default false, surface varchar default 'web'"
)
RESOLUTION = (
    "identifier_type varchar, identifier varchar, canonical_user_id varchar, match_tier varchar, "
    "valid_from timestamp, valid_to timestamp"
)


@dataclass(frozen=True)
class SessionsProject:
    """A dbt project with the session models and tables in place of what it reads."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "w.duckdb"

    def connect(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.warehouse))

    def fill(self, events: pd.DataFrame) -> None:
        """Replace the events; a column not given is null. Nobody is resolved."""
        with self.connect() as connection:
            connection.execute("create schema if not exists upstream")
            connection.execute(f"create or replace table upstream.int_events__unified ({EVENTS})")
            connection.execute(f"create or replace table upstream.int_identity__resolution ({RESOLUTION})")
            connection.execute("create or replace table upstream.identity_blocklist as select 'null' as value")
            connection.register("frame", events)
            names = ", ".join(events.columns)
            connection.execute(f"insert into upstream.int_events__unified ({names}) select {names} from frame")

    def build(self, full_refresh: bool = True, **variables: Any) -> pd.DataFrame:
        """Build the models; returns the sessions by start.

        Raises:
            AssertionError: dbt failed; the message is the end of its output.
        """
        self.run(full_refresh, **variables)
        with self.connect() as connection:
            return connection.execute(
                "select * from intermediate.int_sessions__detected order by started_at, session_id"
            ).df()

    def run(self, full_refresh: bool = True, **variables: Any) -> None:
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", "build"]
        command += ["--exclude-resource-type", "unit_test", "--vars", yaml.safe_dump(variables or {}).strip()]
        command += ["--full-refresh"] if full_refresh else []
        environment = {
            **os.environ,
            "ATTRIBUTION_WAREHOUSE_PATH": str(self.warehouse),
            "ATTRIBUTION_LANDING_DIR": str(self.folder / "landing"),
            "ATTRIBUTION_DBT_PLUGINS": str(PROJECT / "plugins"),
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=560
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def make_sessions_project(folder: Path) -> SessionsProject:
    """The real models and macros in a folder of their own."""
    (folder / "landing").mkdir(parents=True)
    for name in ("macros", "profiles.yml", "dbt_project.yml"):
        (folder / name).symlink_to(PROJECT / name)
    # dbt does not follow links below its model paths.
    shutil.copytree(PROJECT / "models" / "sessions", folder / "models" / "sessions")
    stubs = folder / "models" / "stubs"
    stubs.mkdir()
    for table in ("int_events__unified", "int_identity__resolution", "identity_blocklist"):
        sql = f"{{{{ config(materialized='view') }}}}\nselect * from upstream.{table}\n"
        (stubs / f"{table}.sql").write_text(sql)
    return SessionsProject(folder)
