"""When a metric's drift check is a warning: an alarm of a total lasts. Where nobody could look it has no result at all."""

import dagster as dg
import pandas as pd
import pytest

from asset_checks.drift import build_drift_checks, judge_metric
from attribution_platform.resources.warehouse import DuckDBWarehouse
from attribution_platform.watch import ANOMALY_TYPES, METRICS, SIGNAL_TYPES


def signals(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["segment", "status", "recovered_on"])
    return table.assign(
        recovered_on=pd.to_datetime(table["recovered_on"]), first_bad_on=pd.Timestamp("2026-05-04"), direction="down"
    )


@pytest.mark.parametrize(
    ("rows", "passed", "words"),
    [
        ([("all", "ok", None)], True, ""),
        ([("all", "alarm", None), ("platform=a", "ok", None)], False, "down since 2026-05-04: all"),
        ([("all", "alarm", "2026-05-20")], True, ""),
        ([("all", "ok", None), ("browser=Safari", "alarm", None)], True, ""),
        ([("all", "insufficient volume", None)], None, "insufficient volume"),
        ([("all", "insufficient history", None)], None, "insufficient history"),
        ([("all", "insufficient volume", None), ("platform=a", "ok", None)], True, ""),
        ([], None, "no data"),
    ],
)
def test_judgement(rows, passed, words):
    assert judge_metric(signals(*rows)) == (passed, words)


def test_a_metric_that_nobody_can_judge_is_skipped_neither_green_nor_a_warning(tmp_path):
    warehouse = DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), landing_dir=str(tmp_path))
    rows = [("click_id_capture", "ok", None), ("event_volume", "alarm", None), ("survey_agreement", "stale", None)]
    table = signals(*(("all", status, None) for _, status, _ in rows)).assign(metric=[metric for metric, *_ in rows])
    table = table.reindex(columns=list(SIGNAL_TYPES))
    warehouse.replace_table("monitoring", "drift_signals", table, SIGNAL_TYPES)
    learning = pd.DataFrame({"date": [pd.Timestamp("2026-05-20")], "status": "insufficient history"})
    warehouse.replace_table("monitoring", "day_anomalies", learning.reindex(columns=list(ANOMALY_TYPES)), ANOMALY_TYPES)

    assets = [dg.AssetSpec(["monitoring", name]) for name in ("drift_signals", "day_anomalies")]
    checks = build_drift_checks()
    selection = dg.AssetSelection.checks(*(key for check in checks for key in check.check_keys))
    job = dg.define_asset_job("checks", selection=selection)
    job_def = dg.Definitions(
        assets=assets, asset_checks=checks, jobs=[job], resources={"warehouse": warehouse}
    ).resolve_job_def("checks")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job_def.execute_in_process(instance=instance)
    assert result.success
    seen = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert seen == {"click_id_capture_does_not_drift": True, "event_volume_does_not_drift": False}
    assert len(METRICS) > len(seen)
