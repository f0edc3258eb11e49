"""Phases of the weekly charts: who may begin one, and what stays frozen."""

from datetime import date, datetime

import pandas as pd
import pytest

from attribution_platform.monitoring.phases import PHASE_COLUMNS, baselines_of_people, decision, phases_to_record

NOW = datetime(2026, 10, 1, 6)


def weekly(values: list[float], centre: float, points: int = 24, phase_on: str = "2026-01-05") -> pd.DataFrame:
    """A chart whose run lengths are worked out from the sides."""
    weeks = pd.date_range("2026-01-05", periods=len(values), freq="7D")
    sides = [1 if value > centre else -1 for value in values]
    run, lengths = 0, []
    for i, side in enumerate(sides):
        run = run + 1 if i and side == sides[i - 1] else 1
        lengths.append(run)
    return pd.DataFrame(
        {
            "metric": "capture",
            "segment_type": "platform",
            "segment": "google_ads",
            "week_on": weeks,
            "rate_or_count": values,
            "centre": centre,
            "mean_moving_range": 0.02,
            "baseline_points": points,
            "are_limits_frozen": points >= 24,
            "phase_on": pd.Timestamp(phase_on),
            "phase_reason": "first complete week",
            "run_length": lengths,
        }
    )


def none() -> pd.DataFrame:
    return pd.DataFrame(columns=list(PHASE_COLUMNS))


def test_a_run_of_eight_begins_a_phase_at_its_first_week_and_once():
    chart = weekly([0.79, 0.8] * 8 + [0.6] * 9, centre=0.795, points=16)
    first = phases_to_record(chart, none(), NOW)
    assert first[["decided_by", "phase_start_on"]].values.tolist() == [["run of eight", date(2026, 4, 27)]]
    assert "below" in first["reason"].iloc[0]
    assert phases_to_record(chart, first, NOW).empty


def test_seven_in_a_row_begin_nothing():
    assert phases_to_record(weekly([0.8] * 7, centre=0.7, points=12), none(), NOW).empty


def test_full_limits_are_frozen_once_and_keep_the_reason():
    chart = weekly([0.8, 0.7] * 13, centre=0.75)
    frozen = phases_to_record(chart, none(), NOW)
    row = frozen.iloc[0]
    assert (len(frozen), row["decided_by"], row["centre"], row["baseline_points"]) == (1, "start", 0.75, 24)
    restated = chart.assign(centre=0.5)
    assert phases_to_record(restated, frozen, NOW).empty


def test_limits_of_a_persons_phase_say_so():
    known = decision("capture", "*", "*", date(2026, 1, 7), "new tag manager", NOW)
    frozen = phases_to_record(weekly([0.8, 0.7] * 13, centre=0.75), known, NOW)
    assert frozen["decided_by"].tolist() == ["person"]


def test_only_people_begin_a_daily_baseline():
    known = pd.concat(
        [
            decision("capture", "browser", "Safari", date(2026, 3, 2), "we meant it", NOW),
            decision("*", "*", "*", date(2026, 4, 2), "new site", NOW),
            decision("capture", "browser", "*", date(2026, 5, 2), "new banner", NOW),
            decision("capture", "all", "all", date(2026, 6, 2), "x", NOW).assign(decided_by="run of eight"),
        ]
    )
    found = baselines_of_people(known)
    assert found["segment"].tolist() == ["browser=Safari", "*", "browser=*"]


def test_a_phase_needs_a_reason():
    with pytest.raises(ValueError, match="reason"):
        decision("capture", "all", "all", date(2026, 6, 2), "  ", NOW)
