"""Lift calibration: what experiments say wins, and nothing is lost. About 5 s."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.credit.eligibility import UNATTRIBUTED
from attribution_platform.credit.lift import (
    RESIDUALS,
    Experiment,
    LiftError,
    Tested,
    Window,
    calibrate,
    calibrated_interval,
    combine,
)


def experiment(**changes) -> Experiment:
    base = {
        "experiment_id": "g1", "channel": "Meta", "kind": "geo", "unit": "multiplier", "lift": 0.7, "low": 0.5,
        "high": 0.9, "start": 0, "end": 10, "source": "test",
    }  # fmt: skip
    return Experiment(**(base | changes))


def marked(channel: str, factor: float, is_share: bool = False) -> Tested:
    return Tested(channel, factor, 0.0, is_share, ("g1",))


NAMES = ("Meta", "Google", "Direct", "Other")
CREDIT = np.array([[10_000.0, 8_000.0, 5_000.0, 2_000.0]])


def test_a_published_example_moves_the_difference_to_the_channels_named():
    """Dema's calibrated first-party attribution: 10,000 x 0.7; Google keeps, Direct and Other share 3,000 by 5 to 2."""
    names, found, _ = calibrate(CREDIT, CREDIT, NAMES, [marked("Meta", 0.7)], "channels", ["Direct", "Other"])
    assert dict(zip(names, found[0].round().tolist(), strict=True)) == {
        "Meta": 7000, "Google": 8000, "Direct": 7143, "Other": 2857, UNATTRIBUTED: 0,
    }  # fmt: skip


def test_residual_policies_by_hand():
    one = [marked("Meta", 0.7)]
    _, shared, _ = calibrate(CREDIT, CREDIT, NAMES, one, "proportional")
    np.testing.assert_allclose(shared[0], [7000, 9600, 6000, 2400, 0])
    _, kept, _ = calibrate(CREDIT, CREDIT, NAMES, one, "unattributed")
    np.testing.assert_allclose(kept[0], [7000, 8000, 5000, 2000, 3000])
    # More than the others leave: they shrink in proportion, nothing is below zero.
    _, more, _ = calibrate(CREDIT, CREDIT, NAMES, [marked("Meta", 2.0)], "unattributed")
    np.testing.assert_allclose(more[0], [20_000, 5000 * 8 / 15, 5000 * 5 / 15, 5000 * 2 / 15, 0])
    _, all_of_it, _ = calibrate(CREDIT, CREDIT, NAMES, [marked("Meta", 9.0)], "proportional")
    np.testing.assert_allclose(all_of_it[0], [25_000, 0, 0, 0, 0])


def test_a_channel_no_model_sees_gets_what_its_experiment_found():
    names, found, money = calibrate(CREDIT, 2 * CREDIT, NAMES, [marked("Podcast", 0.2, is_share=True)])
    assert names[4:] == ("Podcast", UNATTRIBUTED)
    assert found[0, 4] == pytest.approx(5000)
    assert money[0, 4] == pytest.approx(10_000)
    np.testing.assert_allclose(found[0, :4], 0.8 * CREDIT[0])


amounts = st.lists(st.just(0.0) | st.floats(1e-3, 1e6), min_size=4, max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(amounts, min_size=1, max_size=4),
    st.lists(st.tuples(st.sampled_from(["Meta", "Google", "TV"]), st.floats(0, 20), st.booleans()), max_size=3),
    st.sampled_from(RESIDUALS),
    st.floats(-50, 50),
)
def test_every_group_keeps_its_totals(rows, factors, residual, price):
    conversions = np.array(rows)
    revenue = price * conversions + np.arange(4) * (conversions > 0)
    marks = {name: marked(name, factor, share or name == "TV") for name, factor, share in factors}
    to = ["Direct"] if residual == "channels" else []
    _, found, money = calibrate(conversions, revenue, NAMES, list(marks.values()), residual, to)
    scale = 1.0 + np.abs(conversions).sum()
    np.testing.assert_allclose(found.sum(axis=1), conversions.sum(axis=1), atol=1e-9 * scale)
    assert (found >= -1e-9 * scale).all()
    np.testing.assert_allclose(money.sum(axis=1), revenue.sum(axis=1), atol=1e-8 * scale * (1 + abs(price)))


def test_experiments_that_agree_with_the_model_change_nothing():
    for residual in ("proportional", "unattributed"):
        _, found, money = calibrate(CREDIT, 3 * CREDIT, NAMES, [marked("Meta", 1.0)], residual)
        np.testing.assert_allclose(found[0, :4], CREDIT[0])
        np.testing.assert_allclose(money[0, :4], 3 * CREDIT[0])


def test_days_calibrated_one_by_one_add_up_for_the_tested_channel():
    days = np.random.default_rng(0).uniform(1, 100, (30, 4))
    _, found, _ = calibrate(days, days, NAMES, [marked("Meta", 0.6)])
    assert found[:, 0].sum() == pytest.approx(0.6 * days[:, 0].sum())


def window(credit, conversions):
    return lambda _: Window(np.array(credit, dtype=float), conversions)


def test_units_become_factors():
    inside = window([200, 300, 400, 100], 1000)
    (conversions,) = combine([experiment(unit="conversions", lift=100, low=60, high=140)], NAMES, inside)
    assert (conversions.factor, conversions.is_share) == (0.5, False)
    assert conversions.error == pytest.approx(0.4 / 3.92, rel=1e-3)
    (relative,) = combine([experiment(unit="relative", lift=0.25, low=0.2, high=0.3)], NAMES, inside)
    assert relative.factor == pytest.approx(1000 * 0.2 / 200)
    (unseen,) = combine([experiment(channel="TV", unit="conversions", lift=50, low=40, high=60)], NAMES, inside)
    assert (unseen.factor, unseen.is_share) == (0.05, True)


def test_the_surer_experiment_weighs_more():
    sure, vague = experiment(lift=0.5, low=0.4, high=0.6), experiment(experiment_id="g2", lift=1.0, low=0.6, high=1.4)
    (found,) = combine([vague, sure], NAMES, window([1, 1, 1, 1], 4))
    assert found.factor == pytest.approx((0.5 * 16 + 1.0) / 17)
    assert found.error == pytest.approx((0.1 * 2 / 3.92) * np.sqrt(16 / 17), rel=1e-3)
    assert found.experiments == ("g1", "g2")


def test_intervals_hold_the_experiments_error_and_the_models():
    low, high = CREDIT[0] * 0.9, CREDIT[0] * 1.1
    one = [Tested("Meta", 0.7, 0.05, False, ("g1",))]
    bottom, top = calibrated_interval(CREDIT[0], low, high, NAMES, one, level=0.95)
    assert (top[0] - bottom[0]) == pytest.approx(2 * 1.96 * 0.05 * 10_000, rel=0.15)
    assert bottom[0] < 7000 < top[0]
    assert (bottom[1:4] < np.array([9600, 6000, 2400])).all()
    assert (top[1:4] > np.array([9600, 6000, 2400])).all()
    still, moved = calibrated_interval(CREDIT[0], None, None, NAMES, [marked("Meta", 0.7)])
    np.testing.assert_allclose(still, moved)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "survey"}, "kind 'survey' is none of geo, holdout"),
        ({"unit": "euros"}, "unit 'euros'"),
        ({"low": 0.8}, "does not hold the lift"),
        ({"end": -1}, "ends before it starts"),
        ({"unit": "relative", "lift": 0.0, "low": -1.5}, "fewer than no conversions"),
        ({"level": 95}, "not between 0 and 1"),
    ],
)
def test_an_unusable_experiment_is_named(changes, message):
    with pytest.raises(LiftError, match=f"experiment g1: .*{message}"):
        experiment(**changes)


def test_what_cannot_be_applied_says_why():
    with pytest.raises(LiftError, match="gives no credit"):
        combine([experiment(channel="TV")], NAMES, window([1, 1, 1, 1], 4))
    with pytest.raises(LiftError, match="no conversion falls into its window"):
        combine([experiment(unit="relative")], NAMES, window([0, 0, 0, 0], 0))
    one = [marked("Meta", 0.7)]
    for policy, to, message in (
        ("channels", [], "needs the channels"),
        ("channels", ["Meta"], "experiment of its own"),
        ("channels", ["Radio"], "earns no credit here"),
        ("proportional", ["Direct"], "go with the policy 'channels'"),
        ("burn", [], "none of proportional, channels, unattributed"),
    ):
        with pytest.raises(LiftError, match=message):
            calibrate(CREDIT, CREDIT, NAMES, one, policy, to)
