"""An alarm explained: the day, the segment, and what changed upstream. About 2 s."""

import numpy as np
import pandas as pd

from attribution_platform.monitoring.detect import DetectOptions, daily_z, detect
from attribution_platform.monitoring.explain import EXPLANATION_COLUMNS, explain
from attribution_platform.monitoring.forest import ForestOptions, day_anomalies

DAYS, FAULT = 150, 120
START = pd.Timestamp("2026-01-05")
PAGES = {"/": 0.5, "/sale": 0.2, "/pricing": 0.3}
BROWSERS = {"Chrome": 0.6, "Safari": 0.4}


def world(page: str | None, seed: int = 4, hits: float = 300) -> pd.DataFrame:
    """Visits by page and browser; on one page (None: on all alike) capture falls from 95 to 40 %."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in range(DAYS):
        for name, share in PAGES.items():
            for browser, part in BROWSERS.items():
                units = int(rng.poisson(hits * share * part))
                is_broken = day >= FAULT and page in (name, None)
                rate = (0.4 if page else 0.85) if is_broken else 0.95
                rows.append((START + pd.Timedelta(days=day), name, browser, rng.binomial(units, rate), units))
    cells = pd.DataFrame(rows, columns=["date", "landing_page", "browser", "numerator", "denominator"])
    parts = [cells.groupby("date", as_index=False)[["numerator", "denominator"]].sum().assign(segment="all")]
    for cut in ("landing_page", "browser"):
        own = cells.groupby(["date", cut], as_index=False)[["numerator", "denominator"]].sum()
        parts.append(own.assign(segment=cut + "=" + own[cut]).drop(columns=cut))
    return pd.concat(parts, ignore_index=True).assign(metric="click_id_capture").astype({"numerator": float})


def explained(page: str | None, changes: pd.DataFrame | None = None) -> pd.Series:
    days = world(page)
    signals = detect(days, DetectOptions())
    table = explain(days, signals, changes)
    assert tuple(table.columns) == EXPLANATION_COLUMNS
    return table[table["segment"] == "all"].iloc[0]


def test_the_page_that_lost_its_click_ids_is_named_with_its_share_and_day():
    row = explained("/sale")
    assert row["likely_segment"] == "landing_page=/sale"
    assert row["likely_share"] > 0.9
    assert row["likely_p"] < 1e-6
    broke = START + pd.Timedelta(days=FAULT)
    assert row["first_bad_low"] <= broke <= row["first_bad_high"]
    assert (row["first_bad_high"] - row["first_bad_low"]).days <= 3
    assert "landing_page=/sale" in row["sentence"]


def test_a_fault_everywhere_blames_nobody():
    assert explained(None)["likely_segment"] == ""


def test_only_what_changed_around_that_day_is_told():
    broke = START + pd.Timedelta(days=FAULT)
    changes = pd.DataFrame(
        {
            "occurred_on": [broke, broke - pd.Timedelta(days=20)],
            "kind": ["deploy", "deploy"],
            "what": ["shop 4.2", "shop 4.1"],
        }
    )
    assert explained("/sale", changes)["changed_upstream"] == f"{broke:%Y-%m-%d} deploy: shop 4.2"


def test_a_table_without_alarms_has_no_explanations():
    days = world("/sale")
    days = days[days["date"] < START + pd.Timedelta(days=FAULT)]
    assert explain(days, detect(days, DetectOptions())).empty


def vectors(days: int, seed: int, shift: float = 0.0, begin: int = 10_000) -> pd.DataFrame:
    z = np.random.default_rng(seed).normal(0, 1, (days, 12))
    z[begin:] += shift
    return pd.DataFrame(z, index=pd.date_range(START, periods=days), columns=[f"m{i} · all" for i in range(12)])


def test_a_shift_too_small_for_any_chart_is_odd_as_a_whole_and_its_metrics_are_named():
    z = vectors(160, 1)
    z.iloc[130:, :5] += 1.8
    found = day_anomalies(z, options=ForestOptions(trees=100))
    assert found["status"].iloc[:84].eq("learned").all()
    odd = found[found["status"] == "alarm"]
    assert len(odd)
    assert odd["date"].iloc[0] >= z.index[130]
    assert "m" in odd["contributors"].iloc[-1]


def test_healthy_days_stay_below_the_stated_rate():
    false = 0
    for seed in range(4):
        status = day_anomalies(vectors(84 + 180, seed), options=ForestOptions(trees=60))["status"].to_numpy()
        false += int(((status[1:] == "alarm") & (status[:-1] != "alarm")).sum())
    # Two years at one a year at most.
    assert false <= 4


def test_a_young_history_is_not_judged():
    assert set(day_anomalies(vectors(50, 1))["status"]) == {"insufficient history"}


def test_daily_z_are_those_of_the_charts():
    z = daily_z(world("/sale"), DetectOptions())
    assert z.columns[0].startswith("click_id_capture · ")
    assert z["click_id_capture · landing_page=/sale"].iloc[FAULT] < -4.5
