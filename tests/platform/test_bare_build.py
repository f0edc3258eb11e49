"""dbt alone builds every model with nothing to read: a source that is on but was never loaded, and all others off.

`benchmarks/source_subsets.py` builds each source alone and each left out, data and dbt's tests included; that takes an hour.
"""

import os
import subprocess

import duckdb

from attribution_platform.layout import DBT_PROJECT_DIR, PROJECT_ROOT
from attribution_platform.settings import load_settings
from attribution_platform.transformation import build_arguments, dbt_executable


def test_every_model_builds_without_any_source(tmp_path):
    (tmp_path / "landing").mkdir()
    variables = load_settings(PROJECT_ROOT / "attribution.toml").dbt_vars() | {"enabled_sources": ["x_posts"]}
    command = [dbt_executable(), "--no-use-colors", *build_arguments("build", variables)]
    command += ["--exclude-resource-type", "unit_test", "test"]
    command += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    environment = {
        **os.environ,
        "ATTRIBUTION_WAREHOUSE_PATH": str(tmp_path / "warehouse.duckdb"),
        "ATTRIBUTION_LANDING_DIR": str(tmp_path / "landing"),
        "ATTRIBUTION_DBT_PLUGINS": str(DBT_PROJECT_DIR / "plugins"),
    }
    done = subprocess.run(
        command, cwd=DBT_PROJECT_DIR, env=environment, capture_output=True, text=True, check=False, timeout=450
    )
    assert done.returncode == 0, done.stdout[-6000:]
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        for table in ("core.fct_touchpoints", "core.fct_conversions", "marts.mart_attribution__reach_daily"):
            assert connection.execute(f"select count(*) from {table}").fetchone() == (0,), table
