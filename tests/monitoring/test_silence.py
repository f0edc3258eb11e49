"""Silent sources: soon for a busy one, patient with a bursty one."""

import numpy as np
import pandas as pd

from attribution_platform.monitoring.silence import detect_silence


def counts(records: np.ndarray, segment: str = "source=a") -> pd.DataFrame:
    days = pd.date_range("2026-01-05", periods=len(records))
    return pd.DataFrame({"segment": segment, "date": days, "numerator": records.astype(float)})


def stalled(mean: float, seed: int = 1, begin: int = 120, days: int = 150) -> pd.DataFrame:
    records = np.random.default_rng(seed).poisson(mean, days)
    records[begin:] = 0
    return detect_silence(counts(records))


def test_a_busy_source_is_missed_on_the_first_day():
    row = stalled(100).iloc[0]
    assert (row["status"], str(row["date"])[:10], str(row["first_bad_on"])[:10]) == (
        "alarm",
        "2026-05-05",
        "2026-05-05",
    )
    assert row["n"] == 30
    assert pd.isna(row["recovered_on"])


def test_two_records_a_day_take_about_five_days():
    row = stalled(2.0).iloc[0]
    assert row["status"] == "alarm"
    assert 4 <= (row["date"] - row["first_bad_on"]).days <= 8


def test_a_weekly_newsletter_may_be_silent_between_issues():
    records = np.where(np.arange(200) % 7 == 2, 400, 0)
    assert detect_silence(counts(records))["status"].tolist() == ["ok"]
    records[150:] = 0
    late = detect_silence(counts(records))
    assert late["status"].tolist() == ["alarm"]
    assert (late["date"] - late["first_bad_on"]).dt.days.iloc[0] <= 13


def test_it_ends_when_the_source_speaks_again():
    records = np.full(150, 50)
    records[120:124] = 0
    row = detect_silence(counts(records)).iloc[0]
    assert (str(row["recovered_on"])[:10], row["n"]) == ("2026-05-09", 4)


def test_a_young_source_is_not_judged_and_an_empty_table_has_no_rows():
    assert detect_silence(counts(np.full(20, 5)))["status"].tolist() == ["insufficient history"]
    assert detect_silence(counts(np.zeros(0))).empty


def test_healthy_sources_rarely_fall_silent_by_chance():
    rng = np.random.default_rng(3)
    frames = [counts(rng.poisson(mean, 449), f"source={mean}-{i}") for mean in (0.5, 2, 8) for i in range(60)]
    found = detect_silence(pd.concat(frames))
    assert (found["status"] == "alarm").sum() <= 3
