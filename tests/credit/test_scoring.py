"""Conversion scoring against a world whose chances are known. About 10 s."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from attribution_platform.assets.scoring import is_current
from attribution_platform.credit.scoring import (
    INTERCEPT,
    QUALITY_TYPES,
    States,
    fit_scoring,
    judge,
    read_states,
    score_tables,
)


def world(people=6000, moments=6, seed=0, base=-3.0, weight=1.0):
    """States with two telling terms and one that says nothing; the true chance of each is known."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), moments)
    values = np.column_stack(
        [rng.poisson(0.6, len(person)), rng.normal(size=len(person)) * 40.0, rng.integers(0, 2, len(person))]
    ).astype(float)
    chance = 1 / (1 + np.exp(-(base + 0.9 * values[:, 0] + 0.02 * values[:, 1])))
    converts = (rng.random(len(person)) < chance).astype(float)
    states = States(
        terms=("touches", "size", "coin"),
        matrix=sp.csr_matrix(values),
        converts=converts,
        person=person,
        days_before_last=np.tile(14 * np.arange(moments), people),
        weight=np.full(len(person), weight),
        conversions=int(converts.sum()),
    )
    return states, chance


@pytest.fixture(scope="module")
def fitted():
    states, chance = world()
    return states, chance, fit_scoring(states, 30, 1000, replicates=200)


def test_chances_are_the_true_ones(fitted):
    states, chance, found = fitted
    assert found.status == "ok"
    assert np.abs(found.fit.chance(states.matrix) - chance).mean() < 0.01
    assert found.fit.coefficients[:2] == pytest.approx([0.9, 0.02], rel=0.12)


def test_quality_is_that_of_the_truth_on_the_moment_held_out(fitted):
    states, chance, found = fitted
    held = states.days_before_last == 0
    best = np.mean((chance[held] - states.converts[held]) ** 2)
    assert found.quality["brier"] == pytest.approx(best, rel=0.01)
    assert found.quality["brier_low"] < best < found.quality["brier_high"]
    assert found.quality["brier_skill_low"] > 0
    assert found.quality["calibration_error"] < 0.02
    assert found.quality["held_out_conversions"] == states.converts[held].sum()
    assert found.reliability["journeys"].sum() == held.sum()
    inside = found.reliability["predicted"].between(found.reliability["ci_low"], found.reliability["ci_high"])
    assert inside.mean() >= 0.7


def test_calibration_is_seen_to_fail_where_it_does():
    states, chance = world(seed=1)
    person = states.person
    honest, _ = judge(chance, states.converts, states.weight, person, 100)
    boastful, table = judge(np.minimum(3 * chance, 0.99), states.converts, states.weight, person, 100)
    assert boastful["calibration_error_low"] > 10 * honest["calibration_error"]
    assert (table["predicted"] > table["ci_high"]).mean() > 0.8
    flat, _ = judge(np.full_like(chance, states.converts.mean()), states.converts, states.weight, person, 100)
    assert flat["brier_skill"] == pytest.approx(0.0, abs=1e-9)


def test_intervals_are_those_of_people_not_rows():
    states, chance = world(people=500, seed=2)
    once, _ = judge(chance, states.converts, states.weight, states.person, 400)
    again = [np.tile(values, 3) for values in (chance, states.converts, states.weight)]
    thrice, _ = judge(again[0], again[1], again[2], np.tile(states.person, 3), 400)
    assert thrice["brier_high"] - thrice["brier_low"] == pytest.approx(once["brier_high"] - once["brier_low"], rel=1e-6)


def test_the_same_states_in_another_order_give_the_same_model():
    states, _ = world(people=1500, base=-1.5)
    frame = pd.DataFrame(
        {
            "state_id": [f"s{i:05d}" for i in range(len(states.converts))],
            "canonical_user_id": states.person.astype(str),
            "conversion_id": np.where(states.converts > 0, np.arange(len(states.converts)).astype(str), None),
            "conversion_type": "buy",
            "converts": states.converts > 0,
            "days_before_last": states.days_before_last,
            "stands_for": 1.0,
        }
    )
    dense = states.matrix.tocoo()
    features = pd.DataFrame(
        {
            "state_id": frame["state_id"].to_numpy()[dense.row],
            "term": np.array(states.terms)[dense.col],
            "value": dense.data,
        }
    )
    now = pd.Timestamp("2026-05-17 08:00")
    tables = score_tables(frame, features, now, 30, 100, ["buy", "call"])
    mixed = score_tables(
        frame.sample(frac=1, random_state=1), features.sample(frac=1, random_state=2), now, 30, 100, ["buy", "call"]
    )
    for one, other in zip(tables, mixed, strict=True):
        pd.testing.assert_frame_equal(one, other)
    terms, quality, reliability = tables
    assert set(terms["term"]) == {INTERCEPT, *states.terms}
    assert quality["status"].tolist() == ["ok", "insufficient data: needs 100 conversions, has 0"]
    assert quality["brier"].isna().tolist() == [False, True]
    assert quality["model_version"].iloc[0] == "logistic.1+2026-05-17"
    assert set(reliability["conversion_type"]) == {"buy"}
    read = read_states(frame, features)
    np.testing.assert_allclose(read.matrix[:, [2, 1, 0]].toarray(), states.matrix.toarray())
    assert read.conversions == states.converts.sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"needed": 10**6}, "needs 1,000,000 conversions, has "),
        ({"moments": 2}, "history is too short"),
        ({"people": 200}, "in the last 30 days"),
    ],
)
def test_too_little_data_says_what_is_missing(change, message):
    states, _ = world(people=change.get("people", 1500), moments=change.get("moments", 6))
    found = fit_scoring(states, 30, change.get("needed", 10))
    assert found.fit is None
    assert found.status.startswith("insufficient data: ")
    assert message in found.status
    assert not len(found.reliability)


def test_a_model_lasts_its_month():
    now = pd.Timestamp("2026-05-17")
    stored = pd.DataFrame(
        {
            "conversion_type": ["buy"],
            "fitted_at": [now],
            "horizon_days": [30],
            "model_version": ["logistic.1+2026-05-17"],
        }
    ).reindex(columns=list(QUALITY_TYPES))
    assert is_current(stored, pd.Timestamp("2026-05-31"), 30, ["buy"])
    assert not is_current(stored, pd.Timestamp("2026-06-01"), 30, ["buy"])
    assert not is_current(stored, now, 14, ["buy"])
    assert not is_current(stored, now, 30, ["buy", "call"])
    assert not is_current(stored.assign(model_version=None), now, 30, ["buy"])
    assert not is_current(None, now, 30, ["buy"])
