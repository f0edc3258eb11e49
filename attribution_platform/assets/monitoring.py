"""The watch on the tracking as assets: what drifts, and the phases of the charts."""

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.monitoring.detect import ALARM
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL
from attribution_platform.watch import PHASES, SIGNAL_TYPES, SIGNALS, judge, last_whole_day, record_phases

SHOWN = ["metric", "segment", "direction", "first_bad_on", "date", "expected", "observed", "size_low", "size_high", "n"]


def open_alarms(signals: pd.DataFrame) -> pd.DataFrame:
    """Alarms that have not ended."""
    return signals[(signals["status"] == ALARM) & signals["recovered_on"].isna()]


def as_table(alarms: pd.DataFrame) -> str:
    """Alarms as Markdown, for metadata."""
    if alarms.empty:
        return "none"
    shown = alarms[SHOWN].assign(**{name: alarms[name].astype(str).str[:10] for name in ("first_bad_on", "date")})
    return str(shown.to_markdown(index=False, floatfmt=".4g"))


def build_monitoring_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=[keys.MONITORING, SIGNALS],
        deps=[["marts", "mart_attribution__coverage_daily"]],
        group_name="coverage",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Every coverage series judged day by day: its alarms with first bad day and size, or why there is no verdict.",
    )
    def drift_signals(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        signals = judge(warehouse, settings)
        warehouse.replace_table(keys.MONITORING, SIGNALS, signals, SIGNAL_TYPES)
        lasting = open_alarms(signals)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(signals),
                "judged_through": last_whole_day(settings).isoformat(),
                "statuses": {str(name): int(count) for name, count in signals["status"].value_counts().items()},
                "open_alarms": dg.MetadataValue.md(as_table(lasting)),
            }
        )

    @dg.asset(
        key=[keys.MONITORING, PHASES],
        deps=[["marts", "mart_attribution__coverage_weekly"]],
        group_name="coverage",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Phases of the weekly charts and the limits frozen in them; begun by a run of eight or by a person.",
    )
    def chart_phase(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        phases = record_phases(warehouse, settings)
        latest = phases.tail(20).drop(columns="decided_at").astype(str)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(phases),
                "latest": dg.MetadataValue.md(str(latest.to_markdown(index=False)) if len(latest) else "none"),
            }
        )

    return [drift_signals, chart_phase]
