"""The identity models built alone on drawn events and accounts. Upstream is a table a caller fills; macros and seeds are real."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

PROJECT = Path(__file__).parents[2] / "dbt_attribution"

UPSTREAM: Mapping[str, str] = {
    "int_events__unified": "event_id varchar, source varchar, event_name varchar, device_id varchar, user_id varchar, "
    "email_hash varchar, fingerprint_id varchar, gclid varchar, dclid varchar, msclkid varchar, ip_hash varchar, "
    "user_agent_hash varchar, occurred_at timestamp, is_bot boolean default false",
    "stg_backend__users": "user_id varchar, email_hash varchar, is_email_verified boolean, organisation_id varchar, "
    "customer_source varchar, created_at timestamp, updated_at timestamp",
    "stg_files__contacts": "contact_id varchar, user_id varchar, email_hash varchar, customer_source varchar, "
    "created_at timestamp",
    "int_crm__contacts": "source varchar, contact_id varchar, user_id varchar, email_hash varchar, gclid varchar, "
    "organisation_id varchar, customer_source varchar, is_primary_crm boolean, is_archived boolean, created_at timestamp, "
    "updated_at timestamp",
    "identity_overrides": "action varchar, identifier_type varchar, identifier varchar, target_type varchar, "
    "target varchar, reason varchar",
    "int_identity__vendor_merges": "source varchar, device_id varchar, user_id varchar, merged_at timestamp",
    "int_identity__vendor_profiles": "source varchar, user_id varchar, email_hash varchar, created_at timestamp",
}


@dataclass(frozen=True)
class IdentityProject:
    """A dbt project with the identity models and stand-ins for everything before them."""

    folder: Path
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def warehouse(self) -> Path:
        return self.folder / "w.duckdb"

    def fill(self, tables: Mapping[str, pd.DataFrame | list[dict[str, Any]]]) -> None:
        """Replace every upstream table by the given rows; one not given is empty."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("create schema if not exists upstream")
            for table, columns in UPSTREAM.items():
                connection.execute(f"create or replace table upstream.{table} ({columns})")
                given = tables.get(table)
                if given is None or len(given) == 0:
                    continue
                connection.register("frame", given if isinstance(given, pd.DataFrame) else pd.DataFrame(given))
                names = ", ".join(connection.table("frame").columns)
                connection.execute(f"insert into upstream.{table} ({names}) select {names} from frame")
                connection.unregister("frame")

    def build(self, select: str = "+int_identity__persons +int_identity__cardinality_audit", **variables: Any) -> None:
        """Build models and seeds and run their data tests.

        Raises:
            AssertionError: dbt failed; the message is the end of its output.
        """
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", "build"]
        command += ["--indirect-selection", "buildable", "--exclude-resource-type", "unit_test"]
        command += ["--select", *select.split()]
        given = {"enabled_sources": [], **self.variables, **variables}
        command += ["--vars", yaml.safe_dump(given, default_flow_style=True).strip()]
        environment = {
            **os.environ,
            "ATTRIBUTION_WAREHOUSE_PATH": str(self.warehouse),
            "ATTRIBUTION_LANDING_DIR": str(self.folder / "landing"),
            "ATTRIBUTION_DBT_PLUGINS": str(PROJECT / "plugins"),
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=450
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]

    def query(self, sql: str) -> pd.DataFrame:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).df()


def make_identity_project(folder: Path) -> IdentityProject:
    """The real identity models, staging, macros and seeds, less what a caller fills."""
    (folder / "landing").mkdir(parents=True)
    for name in ("macros", "profiles.yml", "dbt_project.yml"):
        (folder / name).symlink_to(PROJECT / name)
    # dbt does not follow links below its model and test paths.
    for name in ("staging", "identity"):
        shutil.copytree(PROJECT / "models" / name, folder / "models" / name)
    shutil.copytree(PROJECT / "tests" / "generic", folder / "tests" / "generic")
    if (PROJECT / "tests" / "identity").exists():
        shutil.copytree(PROJECT / "tests" / "identity", folder / "tests" / "identity")
    (folder / "seeds").mkdir()
    for name in ("identity_blocklist.csv", "identity_tiers.csv"):
        (folder / "seeds" / name).symlink_to(PROJECT / "seeds" / name)
    seeds = yaml.safe_load((PROJECT / "seeds" / "_identity.yml").read_text())
    seeds["seeds"] = [seed for seed in seeds["seeds"] if seed["name"] != "identity_overrides"]
    (folder / "seeds" / "_identity.yml").write_text(yaml.safe_dump(seeds))
    stubs = folder / "models" / "stubs"
    stubs.mkdir()
    for table in UPSTREAM:
        for layer in ("staging", "identity"):
            (folder / "models" / layer / f"{table}.sql").unlink(missing_ok=True)
        sql = f"{{{{ config(materialized='view') }}}}\nselect * from upstream.{table}\n"
        (stubs / f"{table}.sql").write_text(sql)
    return IdentityProject(folder)
