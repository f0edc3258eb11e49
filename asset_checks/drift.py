"""Drift as asset checks: one check a coverage metric, a warning while an alarm lasts or too little is there to judge.

Only totals and the cuts a person is responsible for (platform, source, tier, conversion type) turn a check; finer cuts say where.
"""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.assets.monitoring import as_table, open_alarms
from attribution_platform.monitoring.detect import ALARM, FINE_CUTS, LOW_VOLUME, OK
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.transformation import WAREHOUSE_POOL
from attribution_platform.watch import ANOMALIES, METRICS, SIGNALS

QUERY = "select * from monitoring.drift_signals order by metric, segment, date, scheme"
NEWEST = "select * from monitoring.day_anomalies order by date desc limit 1"


def judge_metric(signals: pd.DataFrame) -> tuple[bool, str]:
    """Whether a metric is in order, and in one sentence why not.

    Args:
        signals: the metric's rows of drift_signals. No row at all is nothing to judge, as without a survey; fine cuts do not count.
    """
    if signals.empty:
        return True, "no data"
    signals = signals[~signals["segment"].str.partition("=")[0].isin(FINE_CUTS)]
    lasting = open_alarms(signals)
    if len(lasting):
        first = lasting.sort_values(["first_bad_on", "segment"]).iloc[0]
        where = f"{len(lasting)} series, first {first['segment']}" if len(lasting) > 1 else str(first["segment"])
        return False, f"{first['direction']} since {str(first['first_bad_on'])[:10]}: {where}"
    if signals["status"].isin([OK, ALARM]).any():
        return True, ""
    reasons = sorted(set(signals["status"])) or ["no total of it"]
    # Never green: nobody looked.
    return False, LOW_VOLUME if LOW_VOLUME in reasons else ", ".join(reasons)


def build_drift_checks() -> list[dg.AssetChecksDefinition]:
    asset = dg.AssetKey([keys.MONITORING, SIGNALS])

    @dg.multi_asset_check(
        name="drift",
        specs=[
            dg.AssetCheckSpec(name=f"{metric}_does_not_drift", asset=asset, description=meaning)
            for metric, meaning in METRICS.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def _checks(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
        signals = warehouse.query(QUERY)
        for metric in METRICS:
            own = signals[signals["metric"] == metric]
            passed, sentence = judge_metric(own)
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

    @dg.asset_check(
        asset=anomalies,
        pool=WAREHOUSE_POOL,
        description="The newest day resembles the days the isolation forest learned; calibrated to one false alarm a year.",
    )
    def the_day_as_a_whole_is_ordinary(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        newest = warehouse.query(NEWEST)
        status = str(newest["status"].iloc[0]) if len(newest) else "no data"
        return dg.AssetCheckResult(
            # Still learning is not green either.
            passed=status == OK,
            severity=dg.AssetCheckSeverity.WARN,
            description=str(newest["contributors"].iloc[0]) if status == ALARM else None if status == OK else status,
            metadata={"newest": dg.MetadataValue.md(str(newest.to_markdown(index=False)))},
        )

    return [_checks, the_day_as_a_whole_is_ordinary]
