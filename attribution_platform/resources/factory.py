"""Resources by name, one choice per warehouse target."""

import os
from typing import Any

from attribution_platform.resources.warehouse import DuckDBWarehouse, SnowflakeWarehouse
from attribution_platform.settings import Settings, SettingsError
from attribution_platform.transformation import dbt_resource

SNOWFLAKE_VARIABLES = ("ACCOUNT", "USER", "PASSWORD", "ROLE", "WAREHOUSE", "DATABASE")


def build_warehouse(settings: Settings) -> DuckDBWarehouse | SnowflakeWarehouse:
    """The warehouse of `warehouse.target`.

    Raises:
        SettingsError: Snowflake is the target and a connection variable is unset.
    """
    if settings.warehouse.target == "duckdb":
        return DuckDBWarehouse(
            path=str(settings.warehouse_path),
            landing_dir=str(settings.landing_dir),
            memory_limit=settings.warehouse.duckdb_memory_limit,
        )
    missing = [f"SNOWFLAKE_{name}" for name in SNOWFLAKE_VARIABLES if not os.environ.get(f"SNOWFLAKE_{name}")]
    if missing:
        raise SettingsError(f"warehouse.target is snowflake, but the environment lacks: {', '.join(missing)}.")
    return SnowflakeWarehouse.model_validate(
        {name.lower(): os.environ[f"SNOWFLAKE_{name}"] for name in SNOWFLAKE_VARIABLES}
    )


def build_resources(settings: Settings) -> dict[str, Any]:
    return {
        "dbt": dbt_resource(settings),
        "warehouse": build_warehouse(settings),
    }
