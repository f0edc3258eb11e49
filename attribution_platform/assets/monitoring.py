"""The watch on the tracking as assets: what drifts, the phases of the charts, and what became of every alert."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd
import sqlalchemy as sa

from attribution_platform import keys
from attribution_platform.alerting.history import ALERT_HISTORY, ALERT_HISTORY_TYPES, alert_history
from attribution_platform.alerting.store import AlertStore
from attribution_platform.monitoring.detect import ALARM
from attribution_platform.operations import database_engine
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL
from attribution_platform.watch import (
    ANOMALIES,
    ANOMALY_TYPES,
    EXPLANATION_TYPES,
    EXPLANATIONS,
    PHASES,
    SIGNAL_TYPES,
    SIGNALS,
    anomalies,
    explanations,
    judge,
    last_whole_day,
    record_phases,
)

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


def failed_runs(instance: dg.DagsterInstance) -> pd.DataFrame:
    """The last failed runs: occurred_on, kind, what."""
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=200)
    rows = [
        {
            "occurred_on": record.create_timestamp.date(),
            "kind": "run failed",
            "what": f"{record.dagster_run.job_name} {record.dagster_run.run_id[:8]}",
        }
        for record in records
    ]
    return pd.DataFrame(rows, columns=["occurred_on", "kind", "what"])


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

    @dg.asset(
        key=[keys.MONITORING, EXPLANATIONS],
        deps=[[keys.MONITORING, SIGNALS]],
        group_name="coverage",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Every alarm explained: since when, how much, which segment, and what changed upstream then.",
    )
    def drift_explanations(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult:
        explained = explanations(warehouse, settings, failed_runs(context.instance))
        warehouse.replace_table(keys.MONITORING, EXPLANATIONS, explained, EXPLANATION_TYPES)
        latest = explained.sort_values("date", kind="stable").tail(20)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(explained),
                "latest": dg.MetadataValue.md("\n".join(f"- {each}" for each in latest["sentence"]) or "none"),
            }
        )

    @dg.asset(
        key=[keys.MONITORING, ANOMALIES],
        deps=[["marts", "mart_attribution__coverage_daily"]],
        group_name="coverage",
        kinds={"python", "scikitlearn"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Days that are odd as a whole though no single chart says so, with the metrics that make them so.",
    )
    def day_anomalies(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        found = anomalies(warehouse, settings)
        warehouse.replace_table(keys.MONITORING, ANOMALIES, found, ANOMALY_TYPES)
        odd = found[found["status"] == ALARM].tail(20)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(found),
                "statuses": {str(name): int(count) for name, count in found["status"].value_counts().items()},
                "latest": dg.MetadataValue.md(str(odd.to_markdown(index=False)) if len(odd) else "none"),
            }
        )

    key = dg.AssetKey([keys.MONITORING, ALERT_HISTORY])

    @dg.asset(
        key=key,
        group_name="coverage",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="What became of every alert by the end of the run before: one row a state of a series, from when until when.",
        check_specs=[
            dg.AssetCheckSpec(
                "event_id_is_unique", asset=key, description="One row an event of an alert, and none without id."
            ),
            dg.AssetCheckSpec(
                "the_platforms_database_answers",
                asset=key,
                description="The history could be read; else the last copy stays.",
            ),
        ],
    )
    def alert_history_table(
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult]:
        metadata: dict[str, dg.MetadataValue] = {}
        trouble = ""
        try:
            engine = database_engine(settings)
            history = alert_history(AlertStore(engine).events(limit=None))
            engine.dispose()
            warehouse.replace_table(keys.MONITORING, ALERT_HISTORY, history, ALERT_HISTORY_TYPES)
            firing = history[history["is_current"] & (history["state"] == "firing")] if len(history) else history
            shown = firing[["metric", "segment", "severity", "since_at", "message"]]
            metadata["firing"] = dg.MetadataValue.md(str(shown.to_markdown(index=False)) if len(shown) else "none")
        except sa.exc.SQLAlchemyError as error:
            # Credit must not wait for a database of messages. Its own words may hold its address: the type alone is said.
            trouble = f"the platform's database does not answer ({type(error).__name__}); the last copy stays"
            if not warehouse.columns(keys.MONITORING, ALERT_HISTORY):
                warehouse.replace_table(keys.MONITORING, ALERT_HISTORY, alert_history([]), ALERT_HISTORY_TYPES)
        counted = warehouse.query(
            f"select count(*) as row_count, count(distinct event_id) as keys from {keys.MONITORING}.{ALERT_HISTORY}"
        )
        rows, distinct = (int(counted[name].iloc[0]) for name in ("row_count", "keys"))
        yield dg.MaterializeResult(
            metadata={"dagster/row_count": rows, **metadata},
            check_results=[
                dg.AssetCheckResult(
                    check_name="event_id_is_unique",
                    passed=rows == distinct,
                    description=None if rows == distinct else f"{rows - distinct} rows repeat an id or have none",
                ),
                dg.AssetCheckResult(
                    check_name="the_platforms_database_answers",
                    passed=not trouble,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=trouble or None,
                ),
            ],
        )

    return [drift_signals, chart_phase, drift_explanations, day_anomalies, alert_history_table]
