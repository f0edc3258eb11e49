"""Detection by simulation (seeded, small) and by cases whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.monitoring.cusum import CusumOptions, Panel, scan
from attribution_platform.monitoring.detect import SIGNAL_COLUMNS, DetectOptions, DuplicateDayError, detect
from benchmarks.drift_detection import BASELINE_DAYS, SCHEMES, measure, simulate

FIRST = pd.Timestamp("2026-01-05")


def frame(numerator, denominator=None, metric="capture", segment="all", first=FIRST) -> pd.DataFrame:
    numerator = np.asarray(numerator, dtype=float)
    size = len(numerator)
    if denominator is None:
        denominator = np.full(size, np.nan)
    return pd.DataFrame(
        {
            "metric": metric,
            "segment": segment,
            "date": pd.date_range(first, periods=size),
            "numerator": numerator,
            "denominator": np.broadcast_to(np.asarray(denominator, dtype=float), size),
        }
    )


def rates(seed: int, days: int, n: float = 100, p: float | np.ndarray = 0.8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    units = rng.poisson(n, days)
    return rng.binomial(units, p), units


def broken(seed: int, days: int, begin: int, end: int | None = None, n: float = 100) -> pd.DataFrame:
    p = np.full(days, 0.8)
    p[begin:end] = 0.5
    return frame(*rates(seed, days, n, p))


def found(table: pd.DataFrame) -> pd.DataFrame:
    return detect(table, DetectOptions())


def test_the_goal_a_hundred_a_day_and_thirty_a_day():
    busy = {row.scheme: row for row in measure(100, 600, seed=7)}
    quiet = {row.scheme: row for row in measure(30, 600, seed=7)}
    cusum, weekly, rolling = SCHEMES
    assert busy[cusum].within[3] >= 0.88
    assert busy[cusum].within[7] >= 0.99
    assert quiet[cusum].within[7] >= 0.78
    assert busy[cusum].false_alarms <= 0.25
    assert quiet[cusum].false_alarms <= 0.25
    assert busy[cusum].within[3] > busy[weekly].within[3] + 0.5
    assert busy[cusum].within[7] > busy[rolling].within[7]
    assert busy[cusum].false_alarms < busy[weekly].false_alarms < busy[rolling].false_alarms


def test_one_lasting_fault_is_one_alarm_with_its_first_day_and_size():
    table = found(broken(1, 200, 120))
    assert list(table.columns) == list(SIGNAL_COLUMNS)
    (row,) = table.to_dict("records")
    assert (row["status"], row["direction"]) == ("alarm", "down")
    assert row["first_bad_on"] == FIRST + pd.Timedelta(days=120)
    assert row["size_low"] < -0.3 < row["size_high"]
    assert row["z"] < 0
    assert pd.isna(row["recovered_on"])
    assert row["n"] == pytest.approx(8000, rel=0.1)


def test_a_fault_that_ends_is_dated_and_a_second_one_is_a_second_alarm():
    p = np.full(260, 0.8)
    p[110:130] = p[200:] = 0.5
    table = found(frame(*rates(2, 260, 100, p)))
    days = (table[["first_bad_on", "recovered_on"]] - FIRST).map(lambda d: d.days)
    assert table["status"].tolist() == ["alarm", "alarm"]
    assert days["first_bad_on"].tolist() == [110, 200]
    assert days["recovered_on"].iloc[0] == 130
    assert table["recovered_on"].isna().tolist() == [False, True]


def test_one_terrible_day_is_a_point_alarm_that_recovers():
    hits, units = rates(3, 150)
    hits[120] = 10
    (row,) = found(frame(hits, units)).to_dict("records")
    assert row["scheme"] == "point"
    assert row["date"] == row["first_bad_on"] == FIRST + pd.Timedelta(days=120)
    assert row["recovered_on"] == FIRST + pd.Timedelta(days=121)


def test_the_baseline_does_not_creep_after_the_fault():
    """A rolling window would call 0.7 normal after some weeks, and the repair an alarm."""
    p = np.full(500, 0.8)
    p[100:450] = 0.65
    table = found(frame(*rates(4, 500, 200, p)))
    assert len(table) == 1
    assert table["recovered_on"].iloc[0] == FIRST + pd.Timedelta(days=450)


def test_an_accepted_baseline_ends_the_alarm():
    table = broken(1, 260, 120)
    phases = pd.DataFrame({"metric": ["*"], "segment": ["all"], "phase_start_on": [FIRST + pd.Timedelta(days=140)]})
    after = detect(table, DetectOptions(), phases)
    assert after["status"].tolist() == ["alarm", "ok"]
    assert after["date"].iloc[1] == FIRST + pd.Timedelta(days=259)


@pytest.mark.parametrize(
    ("table", "status"),
    [
        (frame(*rates(1, 200, n=5)), "insufficient volume"),
        (frame(*rates(1, 28)), "insufficient history"),
        (frame(*rates(1, 29)), "ok"),
        (frame(np.zeros(100), np.zeros(100)), "insufficient volume"),
        (frame(np.full(100, 3.0)), "insufficient volume"),
        (frame(np.full(100, 100.0), 100), "ok"),
        (frame(np.zeros(100), 100), "ok"),
        (frame(np.full(100, 500.0)), "ok"),
    ],
)
def test_what_is_said_without_an_alarm(table, status):
    assert found(table)["status"].tolist() == [status]


def test_volume_that_dries_up_is_not_green():
    hits, units = rates(1, 200)
    units[150:] = 2
    hits[150:] = 2
    assert "insufficient volume" in found(frame(hits, units))["status"].tolist()


def test_a_series_that_stops_is_stale_not_ok():
    table = pd.concat([frame(*rates(1, 150)), frame(*rates(9, 120), segment="ios")])
    assert found(table)["status"].tolist() == ["ok", "stale"]
    hits, units = rates(1, 150)
    units[130:] = hits[130:] = 0
    assert found(frame(hits, units))["status"].tolist() == ["stale"]


def test_weekdays_that_always_differ_are_no_fault():
    rng = np.random.default_rng(5)
    weekday = np.arange(400) % 7
    units = rng.poisson(np.where(weekday >= 5, 150, 300))
    hits = rng.binomial(units, np.where(weekday >= 5, 0.6, 0.8))
    assert found(frame(hits, units))["status"].tolist() == ["ok"]
    counts = rng.poisson(np.where(weekday >= 5, 200, 1000))
    assert found(frame(counts))["status"].tolist() == ["ok"]


def test_a_count_that_halves_and_one_that_doubles():
    rng = np.random.default_rng(6)
    level = np.full(150, 1000.0)
    level[120:] = 500
    (row,) = found(frame(rng.poisson(level))).to_dict("records")
    assert (row["direction"], row["first_bad_on"]) == ("down", FIRST + pd.Timedelta(days=120))
    assert row["size"] == pytest.approx(-0.5, abs=0.03)
    level[120:] = 2000
    (row,) = found(frame(rng.poisson(level))).to_dict("records")
    assert (row["direction"], row["size"]) == ("up", pytest.approx(1.0, abs=0.05))
    level[120:] = 0
    assert found(frame(rng.poisson(level)))["direction"].tolist() == ["down"]


def test_a_perfect_reconciliation_that_doubles():
    spend = np.random.default_rng(7).gamma(9, 100, 150)
    seen = spend.copy()
    assert found(frame(seen, spend))["status"].tolist() == ["ok"]
    seen[130:] *= 2
    (row,) = found(frame(seen, spend)).to_dict("records")
    assert (row["direction"], row["first_bad_on"]) == ("up", FIRST + pd.Timedelta(days=130))


def test_a_false_alarm_seldom_comes_in_a_healthy_first_quarter():
    panel = simulate(np.random.default_rng(8), 600, BASELINE_DAYS, 100)
    assert len(scan(panel, CusumOptions()).episodes.series) / 600 < 0.05


def test_thresholds_per_metric():
    table = broken(1, 200, 120)
    deaf = DetectOptions(metrics={"capture": CusumOptions(h=1e6, point=1e6)})
    assert detect(table, deaf)["status"].tolist() == ["ok"]
    with pytest.raises(ValueError, match="h must be above 0"):
        CusumOptions(h=0)
    with pytest.raises(ValueError, match="min_baseline_days"):
        CusumOptions(min_baseline_days=90)


def test_the_weekly_chart_is_listed_on_request():
    table = detect(broken(1, 300, 210, n=300), DetectOptions(weekly_chart=True))
    weekly = table[table["scheme"].str.startswith("xmr_weekly")]
    assert set(weekly["status"]) == {"signal"}
    assert FIRST + pd.Timedelta(days=216) in set(weekly["date"])


def test_a_day_given_twice_is_refused():
    table = frame(*rates(1, 50))
    with pytest.raises(DuplicateDayError) as error:
        found(pd.concat([table, table.iloc[[7]]], ignore_index=True))
    assert error.value.row == 50


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_company_changes_a_verdict(seed, order):
    one, other = broken(seed, 150, 100), frame(*rates(seed + 1, 60), segment="ios")
    both = pd.concat([one, other], ignore_index=True)
    places = list(range(len(both)))
    order.shuffle(places)
    shuffled = found(both.iloc[places])
    pd.testing.assert_frame_equal(found(both), shuffled)
    alone = found(one)
    together = shuffled[shuffled["segment"] == "all"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, together, check_exact=False, rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(40, 199))
def test_a_day_is_judged_by_the_days_before_it(seed, cut):
    """What was said up to a day does not change when later days arrive."""
    hits, units = rates(seed, 200, 50, np.where(np.arange(200) < 130, 0.8, 0.5))

    def z_of(days: int) -> np.ndarray:
        panel = Panel(
            hits[None, :days].astype(float),
            units[None, :days].astype(float),
            np.arange(days)[None, :].astype(np.int64),
            np.array([days]),
        )
        return scan(panel, CusumOptions()).z[0]

    np.testing.assert_allclose(z_of(cut), z_of(200)[:cut])


def test_a_following_baseline_lets_growth_pass_and_a_fault_not():
    rng = np.random.default_rng(8)
    days = 400
    level = 300 * np.exp(0.002 * np.arange(days))
    level[330:] *= 0.7
    frame = pd.DataFrame(
        {
            "metric": "events",
            "segment": "all",
            "date": pd.date_range("2026-01-05", periods=days),
            "numerator": rng.poisson(level * rng.lognormal(0, 0.05, days)).astype(float),
            "denominator": np.nan,
        }
    )
    frozen = detect(frame, DetectOptions())
    assert (frozen["direction"].iloc[0], frozen["status"].iloc[0]) == ("up", "alarm")
    followed = detect(frame, DetectOptions(default=CusumOptions(follow=True)))
    assert followed["status"].tolist() == ["alarm"]
    row = followed.iloc[0]
    assert row["direction"] == "down"
    assert abs((row["first_bad_on"] - frame["date"].iloc[330]).days) <= 1
    # Seventy days of it have not made it normal.
    assert pd.isna(row["recovered_on"])


def test_the_warm_up_of_a_metric_is_neither_judged_nor_learned_from():
    # Knowledge fills up for six weeks and stays; then a fault.
    days = np.arange(160)
    p = np.where(days < 42, 0.2 + 0.4 * days / 42, 0.6) - 0.2 * (days >= 140)
    numerator, denominator = rates(3, 160, p=p)
    options = DetectOptions(metrics={"known": CusumOptions(warm_up_days=42), "impatient": CusumOptions()})
    table = pd.concat([frame(numerator, denominator, metric=name) for name in ("known", "impatient")])
    alarms = detect(table, options).query("status == 'alarm'")
    known = alarms[alarms["metric"] == "known"]
    assert [str(day)[:10] for day in known["first_bad_on"]] == [str(FIRST + pd.Timedelta(days=140))[:10]]
    assert alarms.loc[alarms["metric"] == "impatient", "first_bad_on"].min() < FIRST + pd.Timedelta(days=70)
    young = detect(frame(numerator[:60], denominator[:60], metric="known"), options)
    assert young["status"].tolist() == ["insufficient history"]


def test_what_carries_over_from_day_to_day_cries_wolf_half_as_often():
    """Days that resemble their neighbours (correlation .4): 1.5 false alarms a year on a frozen baseline, .5 on this one."""
    rng = np.random.default_rng(4)
    series, days = 200, 300
    wobble = np.zeros((series, days))
    for day in range(1, days):
        wobble[:, day] = 0.4 * wobble[:, day - 1] + np.sqrt(1 - 0.4**2) * rng.normal(0, 1, series)
    count = rng.poisson(700 * np.exp(0.08 * wobble)).astype(float)
    day = np.tile(np.arange(days), (series, 1))

    def a_year(follow: bool) -> float:
        found = scan(Panel(count, None, day, np.full(series, days)), CusumOptions(follow=follow)).episodes.position
        return float((found >= 84).sum()) / series * 365 / (days - 84)

    assert a_year(follow=True) < 0.75 < 1.2 < a_year(follow=False)
