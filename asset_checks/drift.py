"""Drift as asset checks: one check a coverage metric, a warning while an alarm lasts.

Only totals and the cuts a person is responsible for (platform, source, tier, conversion type) turn a check; finer cuts say where.
Where there is too little to judge the check has no result, and Dagster shows it as skipped: a green one would say that somebody
looked, and a warning that something is wrong.
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.assets.monitoring import as_table, open_alarms
from attribution_platform.monitoring.detect import ALARM, LOW_VOLUME, OK, is_fine_cut
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.transformation import WAREHOUSE_POOL
from attribution_platform.watch import ANOMALIES, METRICS, SIGNALS

QUERY = "select * from monitoring.drift_signals order by metric, segment, date, scheme"
NEWEST = "select * from monitoring.day_anomalies order by date desc limit 1"


def judge_metric(signals: pd.DataFrame) -> tuple[bool | None, str]:
    """Whether a metric is in order, None where nobody can tell, and in one sentence why.

    Args:
        signals: the metric's rows of drift_signals. No row at all is nothing to judge, as without a survey; fine cuts do not count.
    """
    if signals.empty:
        return None, "no data"
    signals = signals[~is_fine_cut(signals["segment"])]
    lasting = open_alarms(signals)
    if len(lasting):
        first = lasting.sort_values(["first_bad_on", "segment"]).iloc[0]
        where = f"{len(lasting)} series, first {first['segment']}" if len(lasting) > 1 else str(first["segment"])
        return False, f"{first['direction']} since {str(first['first_bad_on'])[:10]}: {where}"
    if signals["status"].isin([OK, ALARM]).any():
        return True, ""
    reasons = sorted(set(signals["status"])) or ["no total of it"]
    return None, LOW_VOLUME if LOW_VOLUME in reasons else ", ".join(reasons)


def build_drift_checks() -> list[dg.AssetChecksDefinition]:
    asset = dg.AssetKey([keys.MONITORING, SIGNALS])

    @dg.multi_asset_check(
        name="drift",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(name=f"{metric}_does_not_drift", asset=asset, description=meaning)
            for metric, meaning in METRICS.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def _checks(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        signals = warehouse.query(QUERY)
        wanted = {key.name for key in context.selected_asset_check_keys}
        for metric in METRICS:
            if f"{metric}_does_not_drift" not in wanted:
                continue
            own = signals[signals["metric"] == metric]
            passed, sentence = judge_metric(own)
            if passed is None:
                context.log.info(f"{metric}: no verdict, {sentence}")
                continue
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=f"{metric}_does_not_drift",
                passed=passed,
                severity=dg.AssetCheckSeverity.WARN,
                description=sentence or None,
                metadata={
                    "open_alarms": dg.MetadataValue.md(as_table(open_alarms(own))),
                    "series": {str(name): int(count) for name, count in own["status"].value_counts().items()},
                },
            )

    anomalies = dg.AssetKey([keys.MONITORING, ANOMALIES])

    @dg.multi_asset_check(
        name="day_as_a_whole",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                name="the_day_as_a_whole_is_ordinary",
                asset=anomalies,
                description="The newest day resembles those the isolation forest learned; calibrated to one false alarm a year.",
            )
        ],
        pool=WAREHOUSE_POOL,
    )
    def _day(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        newest = warehouse.query(NEWEST)
        status = str(newest["status"].iloc[0]) if len(newest) else "no data"
        if status not in (OK, ALARM):
            context.log.info(f"the newest day: no verdict, {status}")
            return
        yield dg.AssetCheckResult(
            asset_key=anomalies,
            check_name="the_day_as_a_whole_is_ordinary",
            passed=status == OK,
            severity=dg.AssetCheckSeverity.WARN,
            description=str(newest["contributors"].iloc[0]) if status == ALARM else None,
            metadata={"newest": dg.MetadataValue.md(str(newest.to_markdown(index=False)))},
        )

    return [_checks, _day]
