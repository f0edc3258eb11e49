"""From the published signals to observations: drift of the coverage metrics, and sources silent by the data's own clock."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import duckdb
import pandas as pd

from attribution_platform.alerting.policy import FINE_CUTS
from attribution_platform.monitoring.alerts import (
    Health,
    Observation,
    Severity,
    observations_from_signals,
)
from attribution_platform.resources.warehouse import DUCKDB_CONFIG
from attribution_platform.settings import Settings

SIGNALS = "select * from monitoring.drift_signals order by metric, segment, date, scheme"
SHOWN_CUTS = 3


def read_published(settings: Settings, schema: str, table: str, sql: str) -> pd.DataFrame | None:
    """Rows of a query over one of the tables that readers see; None while there is no such table.

    Never opens the warehouse's own file: DuckDB lets in one process, and a run may be about to write.
    """
    if settings.warehouse.target == "snowflake":
        from attribution_platform.resources.factory import build_warehouse

        warehouse = build_warehouse(settings)
        return warehouse.query(sql) if warehouse.row_count(schema, table) else None
    if not settings.serving_path.exists():
        return None
    connection = duckdb.connect(str(settings.serving_path), read_only=True, config=DUCKDB_CONFIG)
    try:
        return connection.sql(sql).df()
    except duckdb.CatalogException:
        return None
    finally:
        connection.close()


def tracking_observations(settings: Settings) -> list[Observation]:
    """Every coverage series as the last published run judged it."""
    signals = read_published(settings, "monitoring", "drift_signals", SIGNALS)
    return [] if signals is None else drift_observations(signals, settings.alerts.critical_metrics)


def drift_observations(signals: pd.DataFrame, critical: Sequence[str]) -> list[Observation]:
    """Signals of `detect` as observations; a total that moved is told which of its parts moved with it.

    Args:
        signals: Rows of `monitoring.drift_signals`.
        critical: Metrics whose alerts are critical, `*` for any text.
    """
    metrics = {str(metric): _severity(str(metric), critical) for metric in signals["metric"].unique()}
    where = _parts_that_moved(signals)
    found = []
    for each in observations_from_signals(signals, metrics):
        parts = where.get(each.metric, [])
        if each.health is Health.BAD and parts and not each.segment.startswith(FINE_CUTS):
            each = Observation(**{**vars(each), "details": {"where": parts, **each.details}})
        found.append(each)
    return found


def _severity(metric: str, critical: Sequence[str]) -> Severity:
    is_critical = any(fnmatchcase(metric, pattern) for pattern in critical)
    return Severity.CRITICAL if is_critical else Severity.WARNING


def _parts_that_moved(signals: pd.DataFrame) -> dict[str, list[str]]:
    lasting = signals[(signals["status"] == "alarm") & signals["recovered_on"].isna()]
    lasting = lasting[lasting["segment"].str.startswith(FINE_CUTS)]
    lasting = lasting.assign(strength=lasting["z"].abs()).sort_values(["strength", "segment"], ascending=[False, True])
    return {
        str(metric): [str(segment) for segment in rows["segment"].head(SHOWN_CUTS)]
        for metric, rows in lasting.groupby("metric", sort=True)
    }
