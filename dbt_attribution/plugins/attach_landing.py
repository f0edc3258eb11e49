"""dbt-duckdb plugin: attach every landing file read-only under its own name.

A profile's `attach:` list fails when one file is missing, and a source that was never extracted has no file. Attaching
what is there keeps any subset of sources working, for dbt itself and for every adapter opened beside it.
"""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection


class Plugin(BasePlugin):
    def initialize(self, config: dict[str, Any]) -> None:
        self._folder = Path(config["folder"])

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        for path in sorted(self._folder.glob("landing_*.duckdb")):
            quoted = str(path).replace("'", "''")
            conn.execute(f"attach if not exists '{quoted}' as {path.stem} (read_only)")
