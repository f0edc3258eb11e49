"""The watch on a warehouse: coverage days in, signals out, phases by a person's word. About 3 s."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution_platform import keys, watch
from attribution_platform.drift import drift_file
from attribution_platform.resources.warehouse import DuckDBWarehouse
from attribution_platform.settings import MetricThresholds, Project, Settings, Thresholds

DAYS = {
    "metric": "varchar",
    "segment_type": "varchar",
    "segment": "varchar",
    "date_on": "date",
    "numerator": "double",
    "denominator": "double",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    project = Project(as_of="2026-06-04T22:30:00Z", reporting_time_zone="Europe/Berlin", data_dir=tmp_path)
    return Settings(config_path=tmp_path / "attribution.toml", project=project)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    made = DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), landing_dir=str(tmp_path))
    made.replace_table("marts", "mart_attribution__coverage_daily", coverage(), DAYS)
    return made


def coverage(days: int = 156, begin: int = 130) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    parts = []
    for segment, p in (("google_ads", np.where(np.arange(days) < begin, 0.8, 0.5)), ("meta_ads", np.full(days, 0.9))):
        units = rng.poisson(90, days)
        parts.append(
            pd.DataFrame(
                {
                    "metric": "click_id_capture",
                    "segment_type": "platform",
                    "segment": segment,
                    "date_on": pd.date_range("2026-01-01", periods=days),
                    "numerator": rng.binomial(units, p).astype(float),
                    "denominator": units.astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_the_day_that_runs_and_days_still_coming_in_are_not_judged(settings):
    # 22:30 UTC is the fifth of June in Berlin.
    assert watch.last_whole_day(settings) == date(2026, 6, 4)
    late = settings.model_copy(
        update={"alerts": settings.alerts.model_copy(update={"thresholds": Thresholds(settling_days=2)})}
    )
    assert watch.last_whole_day(late) == date(2026, 6, 2)


def test_signals_are_those_of_the_command_on_the_same_table(settings, warehouse, tmp_path):
    signals = watch.judge(warehouse, settings)
    assert signals[["segment", "status"]].values.tolist() == [
        ["platform=google_ads", "alarm"],
        ["platform=meta_ads", "ok"],
    ]
    assert abs((signals["first_bad_on"].iloc[0] - pd.Timestamp("2026-05-11")).days) <= 1
    days = coverage()
    days[days["date_on"] <= "2026-06-04"].to_csv(tmp_path / "in.csv", index=False)
    summary = drift_file(tmp_path / "in.csv", tmp_path / "out.csv")
    pd.testing.assert_frame_equal(signals, summary.signals)
    warehouse.replace_table(keys.MONITORING, watch.SIGNALS, signals, watch.SIGNAL_TYPES)


def test_a_persons_phase_ends_the_alarm_and_outlives_another(settings, warehouse):
    assert watch.start_phase(warehouse, settings, "click_id_capture", "platform=google_ads", date(2026, 5, 1), "x") == 1
    assert watch.start_phase(warehouse, settings, "*", "*", date(2026, 5, 11), "consent banner") == 2
    assert set(watch.known_phases(warehouse)["reason"]) == {"x", "consent banner"}
    assert set(watch.judge(warehouse, settings)["status"]) == {"insufficient history"}


def test_a_phase_of_a_chart_that_is_not_there_says_what_there_is(settings, warehouse):
    with pytest.raises(watch.WatchError, match="known: click_id_capture"):
        watch.start_phase(warehouse, settings, "capture", "all", date(2026, 5, 1), "x")
    with pytest.raises(watch.WatchError, match="platform=google_ads"):
        watch.start_phase(warehouse, settings, "click_id_capture", "browser=Safari", date(2026, 5, 1), "x")
    with pytest.raises(watch.WatchError, match="reason"):
        watch.start_phase(warehouse, settings, "click_id_capture", "platform=*", date(2026, 5, 1), " ")


def test_a_metrics_own_threshold_wins_over_everybodys():
    options = watch.detect_options(Thresholds(h=5, metrics={"bot_share": MetricThresholds(h=9, min_volume=3)}))
    assert (options.of("x", "all").h, options.of("bot_share", "all").h) == (5, 9)
    assert options.of("bot_share", "all").min_volume == 3
    assert options.of("x", "browser=Safari").h == 7


def test_thresholds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match=r"metrics\.a: min_baseline_days"):
        Thresholds(metrics={"a": MetricThresholds(min_baseline_days=90)})
