"""Experiments from files, and the tables that show credit with them in place. About 5 s."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from attribution_platform.cli import app
from attribution_platform.credit_input import CreditInputError
from attribution_platform.lift_calibration import (
    CALIBRATION_TYPES,
    calibration_of,
    calibration_tables,
    read_calibration,
)
from attribution_platform.settings import Attribution

HEADER = "experiment_id,channel,kind,unit,lift,lift_low,lift_high,started_on,ended_on,source,conversion_type\n"
GEO = "g1,Meta,geo,relative,0.25,0.2,0.3,2026-01-02,2026-01-03,growth team,\n"
PODCAST = "p1,Podcast,holdout,conversions,8,4,12,2026-01-01,2026-01-04,promo code,buy\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiments.csv"
    path.write_text(HEADER + GEO + PODCAST)
    return path


def daily() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (model, kind, channel, day.date(), float(rng.integers(1, 20)), float(rng.integers(10, 200)))
        for model in ("linear", "markov")
        for kind in ("buy", "call")
        for channel in ("Meta", "Google", "Direct")
        for day in pd.date_range("2026-01-01", periods=4)
    ]
    names = ["model_type", "conversion_type", "channel", "converted_on", "conversions", "revenue"]
    return pd.DataFrame(rows, columns=names)


WEIGHTS = pd.DataFrame(
    {
        "model_type": "markov",
        "conversion_type": "buy",
        "channel": ["Meta", "Google", "Direct"],
        "ci_low": [20.0, 20.0, 20.0],
        "ci_high": [60.0, 60.0, 60.0],
    }
)


def test_records_say_where_every_number_comes_from(file):
    found = read_calibration(file)
    assert found.records["file_sha256"].tolist() == [hashlib.sha256(file.read_bytes()).hexdigest()] * 2
    assert found.records["source"].tolist() == ["growth team", "promo code"]
    assert str(found.records["ended_on"].iloc[0]) == "2026-01-03"
    assert found.experiments[0].conversion_type is None
    assert found.experiments[0].level == 0.95


@pytest.mark.parametrize("policy", [("proportional", ()), ("unattributed", ()), ("channels", ("Direct",))])
def test_every_day_keeps_its_conversions_and_revenue(file, policy):
    rows = daily()
    totals, days = calibration_tables(rows, WEIGHTS, read_calibration(file, *policy))
    keys = ["model_type", "conversion_type", "converted_on"]
    before = rows.groupby(keys)[["conversions", "revenue"]].sum()
    after = days.groupby(keys)[["calibrated_conversions", "calibrated_revenue"]].sum()
    np.testing.assert_allclose(after.to_numpy(float), before.to_numpy(float), rtol=1e-12)
    per_model = totals.groupby(["model_type", "conversion_type"])["calibrated_conversions"].sum()
    np.testing.assert_allclose(
        per_model.to_numpy(float), totals.groupby(["model_type", "conversion_type"])["n_conversions"].first()
    )
    assert list(totals.columns) == list(CALIBRATION_TYPES)
    assert (totals["ci_low"] <= totals["calibrated_conversions"]).all()
    assert (totals["ci_high"] >= totals["calibrated_conversions"]).all()


def test_the_factor_is_incremental_over_attributed_in_the_window(file):
    rows = daily()
    totals, _ = calibration_tables(rows, WEIGHTS, read_calibration(file))
    inside = rows[(rows["model_type"] == "linear") & (rows["conversion_type"] == "call")]
    inside = inside[inside["converted_on"].astype(str).between("2026-01-02", "2026-01-03")]
    attributed = inside.loc[inside["channel"] == "Meta", "conversions"].sum()
    found = totals[(totals["model_type"] == "linear") & (totals["conversion_type"] == "call")].set_index("channel")
    assert found.loc["Meta", "factor"] == pytest.approx(0.2 * inside["conversions"].sum() / attributed)
    assert found.loc["Meta", "experiments"] == "g1"
    assert "Podcast" not in found.index
    bought = totals[(totals["model_type"] == "linear") & (totals["conversion_type"] == "buy")].set_index("channel")
    assert bought.loc["Podcast", "calibrated_conversions"] == pytest.approx(8)


def test_what_cannot_be_applied_is_said_in_the_table(file):
    file.write_text(HEADER + GEO.replace("relative,0.25,0.2,0.3", "multiplier,0.5,0.4,0.6").replace("Meta", "Radio"))
    totals, days = calibration_tables(daily(), WEIGHTS, read_calibration(file))
    assert totals["status"].str.startswith("not calibrated: experiment g1: a multiplier for Radio").all()
    assert totals["calibrated_conversions"].isna().all()
    assert not len(days)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GEO.replace("geo", "survey"), "experiments.csv, line 2, column kind: 'survey' is none of geo, holdout"),
        (GEO + GEO, "line 3, column experiment_id: 'g1' appears twice"),
        (GEO.replace("0.2,", "0.4,"), "line 2, column lift: experiment g1: the interval 0.4 to 0.3"),
        (GEO.replace("2026-01-02", "spring"), "line 2, column started_on: 'spring' is not a time"),
        (GEO.replace("growth team", ""), "line 2, column source: is empty"),
        ("", "has no experiments"),
    ],
)
def test_a_wrong_row_is_named(file, rows, message):
    file.write_text(HEADER + rows)
    with pytest.raises(CreditInputError, match=message):
        read_calibration(file)


def test_a_wrong_policy_is_refused_on_both_ways_in(file):
    with pytest.raises(CreditInputError, match="--residual burn"):
        calibration_of(file, "burn", ())
    with pytest.raises(CreditInputError, match="--residual-channel"):
        calibration_of(file, "channels", ())
    with pytest.raises(ValueError, match="residual_channels"):
        Attribution(residual_policy="channels")


def test_the_command_writes_calibrated_credit_that_adds_up(file, tmp_path):
    touches = pd.DataFrame(
        {
            "user_id": [1, 1, 2, 3, 3, 4],
            "occurred_at": pd.date_range("2026-01-01", periods=6, freq="8h").astype(str),
            "channel": ["Meta", "Google", "Meta", "Direct", "Meta", "Google"],
        }
    )
    sold = pd.DataFrame({"user_id": [1, 2, 3, 4], "converted_at": "2026-01-03 12:00:00", "revenue": [5, 6, 7, 8]})
    touches.to_csv(tmp_path / "t.csv", index=False)
    sold.to_csv(tmp_path / "c.csv", index=False)
    file.write_text(HEADER + GEO)
    command = [
        "credit",
        "--touchpoints",
        tmp_path / "t.csv",
        "--conversions",
        tmp_path / "c.csv",
        "--out",
        tmp_path / "out",
    ]
    result = CliRunner().invoke(app, [*map(str, command), "--experiments", str(file), "--replicates", "50"])
    assert result.exit_code == 0, result.output
    assert "Experiments decide the credit of Meta" in result.stdout
    found = pd.read_csv(tmp_path / "out" / "credit_calibrated.csv")
    ok = found[found["status"] == "ok"]
    np.testing.assert_allclose(ok.groupby("model_type")["calibrated_conversions"].sum(), 4.0)
    np.testing.assert_allclose(ok.groupby("model_type")["calibrated_revenue"].sum(), 26.0)
    # A relative lift of .25 says a fifth of all conversions.
    np.testing.assert_allclose(ok.loc[ok["channel"] == "Meta", "calibrated_conversions"], 0.8)
    assert found[found["model_type"] == "markov"]["status"].str.startswith("insufficient data").all()
