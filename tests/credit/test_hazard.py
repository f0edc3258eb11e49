"""The hazard model against small worlds whose truth is known. About 35 s."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.hazard.model import HazardFit, HazardOptions, fit_hazard
from attribution_platform.credit.hazard.people import HazardInputError, person_time
from attribution_platform.credit.hazard.risk import draw_risk_sets
from attribution_platform.credit.journeys import Conversions, Touches, build_journeys
from attribution_platform.credit.paths import parse_paths
from attribution_platform.credit.registry import CreditOptions, credit_view, run_models
from dlt_pipelines.sandbox.behaviour import BehaviourConfig, Channel, Journeys, simulate
from dlt_pipelines.sandbox.causal_worlds import PRESETS
from dlt_pipelines.sandbox.counterfactual import true_shapley

QUICK = HazardOptions(people=12_000, max_people=3000, controls=15, draws=30)
DAY = 86_400_000_000


def half_l1(share: dict[str, float], config: BehaviourConfig) -> float:
    truth = true_shapley(config).set_index("channel")["share"].to_dict()
    return 0.5 * sum(abs(share.get(name, 0.0) - truth[name]) for name in truth)


@pytest.fixture(scope="module")
def harvesting() -> tuple[BehaviourConfig, Journeys]:
    config = PRESETS["demand_harvesting"](people=12_000, seed=31)
    return config, simulate(config)


@pytest.fixture(scope="module")
def fitted(harvesting: tuple[BehaviourConfig, Journeys]) -> HazardFit:
    _, log = harvesting
    return fit_hazard(log.touches, log.conversions, start=0, end=90, options=QUICK)


def shares(fit: HazardFit) -> dict[str, float]:
    found = fit.credit()
    return dict(zip(found["channel"], found["share"], strict=True))


def view_of(log: Journeys, lookback_days: float = 90):
    channels = sorted(set(log.touches["channel"]))
    code = {name: i for i, name in enumerate(channels)}
    touches = Touches(
        log.touches["person"].to_numpy(),
        (log.touches["time"].to_numpy() * DAY).astype(np.int64),
        log.touches["channel"].map(code).to_numpy(),
        np.zeros(len(log.touches), np.int64),
    )
    count = len(log.conversions)
    bought = Conversions(
        log.conversions["person"].to_numpy(),
        (log.conversions["time"].to_numpy() * DAY).astype(np.int64),
        np.arange(count, dtype=np.float64),
    )
    return credit_view(build_journeys(touches, bought, channels, lookback_days))


def test_it_beats_every_standard_model_where_demand_is_harvested(harvesting, fitted):
    config, log = harvesting
    ours = half_l1(shares(fitted), config)
    assert ours < 0.15
    for outcome in run_models(
        view_of(log), ["last_touch", "linear", "markov"], CreditOptions(min_conversions=1, replicates=0)
    ):
        theirs = outcome.result.conversions / outcome.n_conversions
        channels = sorted(set(log.touches["channel"]))
        assert half_l1(dict(zip(channels, theirs.tolist(), strict=True)), config) > 2.5 * ours


def test_rows_in_another_order_and_other_names_change_nothing(harvesting, fitted):
    """People are keyed hashes: another key must not be another result."""
    _, log = harvesting
    people = np.random.default_rng(4).permutation(QUICK.people or 0)
    names = {name: f"x{i}" for i, name in enumerate(sorted(set(log.touches["channel"]), reverse=True))}
    touches = log.touches.sample(frac=1.0, random_state=5)
    again = fit_hazard(
        touches.assign(channel=touches["channel"].map(names), person=people[touches["person"]]),
        log.conversions.assign(person=people[log.conversions["person"]]).sample(frac=1.0, random_state=6),
        start=0,
        end=90,
        options=replace(QUICK, markers=(names["Direct"],)),
    )
    other = shares(again)
    for name, share in shares(fitted).items():
        assert other[names[name]] == share


def test_credit_on_journeys_adds_up(harvesting):
    _, log = harvesting
    view = view_of(log, lookback_days=30)
    (outcome,) = run_models(view, ["hazard"], CreditOptions(min_conversions=1, replicates=10, hazard=QUICK))
    result = outcome.result
    assert result is not None
    assert result.conversions.sum() == pytest.approx(view.total_conversions, rel=1e-12)
    assert result.revenue.sum() == pytest.approx(view.total_revenue, rel=1e-12)
    np.testing.assert_allclose(np.bincount(view.row_of_touch, weights=result.touch_weights), 1.0, atol=1e-12)
    assert outcome.interval is not None
    assert (outcome.interval.low <= result.conversions + 1e-9).all()
    assert (outcome.interval.high >= result.conversions - 1e-9).all()
    assert 0 < result.details["baseline_share"] < 1


def test_a_channel_without_effect_deserves_nothing_where_nothing_confounds():
    channels = (
        Channel("A", rate=0.02, effect=1.5, half_life=5.0),
        Channel("B", rate=0.02, effect=1.5, half_life=5.0),
        Channel("Null", rate=0.02),
    )
    config = BehaviourConfig(channels, people=12_000, days=60, seed=8, base_hazard=0.0008)
    log = simulate(config)
    found = shares(fit_hazard(log.touches, log.conversions, start=0, end=60, options=QUICK))
    assert found["Null"] < 0.06
    # Equal channels by construction; the difference is luck.
    assert abs(found["A"] - found["B"]) < 0.15


@pytest.mark.parametrize(
    ("touches", "conversions", "message"),
    [
        ({"time": [0.0], "channel": ["a"]}, {"person": [1], "time": [1.0]}, "touches: missing column 'person'"),
        ({"person": [1], "time": [0.0], "channel": ["a"]}, {"person": [1]}, "conversions: missing column 'time'"),
        ({"person": [], "time": [], "channel": []}, {"person": [1], "time": [1.0]}, "one of the tables is empty"),
        ({"person": [1], "time": ["soon"], "channel": ["a"]}, {"person": [1], "time": [1.0]}, "neither a number"),
        ({"person": [1], "time": [float("nan")], "channel": ["a"]}, {"person": [1], "time": [1.0]}, "finite"),
    ],
)
def test_unusable_input_says_why(touches, conversions, message):
    with pytest.raises(HazardInputError, match=message):
        fit_hazard(pd.DataFrame(touches), pd.DataFrame(conversions))


def test_paths_and_few_conversions_are_insufficient():
    (outcome,) = run_models(credit_view(parse_paths(["a > b"], [5000])), ["hazard"])
    assert outcome.result is None
    assert "person and time" in outcome.status
    log = simulate(PRESETS["plain"](people=300, seed=2))
    (outcome,) = run_models(view_of(log), ["hazard"])
    assert outcome.status.startswith("insufficient data: needs 1,000 conversions")


def test_a_day_more_and_other_people_leave_most_controls_as_they_were(harvesting):
    _, log = harvesting

    def controls(until: float, without: int) -> dict[float, set[int]]:
        touches, conversions = (
            rows[(rows["time"] < until) & (rows["person"] % 100 != without)] for rows in (log.touches, log.conversions)
        )
        people = person_time(touches, conversions, 0.0, until, QUICK.people)
        sets = draw_risk_sets(people, controls=15, max_sets=400, seed=0)
        lots = np.append(people.lot, 0)[sets.person].reshape(-1, 16)
        return {moment: set(drawn.tolist()) for moment, drawn in zip(sets.time[::16].tolist(), lots, strict=True)}

    before, after = controls(60.0, without=1), controls(61.0, without=2)
    both = before.keys() & after.keys()
    assert len(before) == len(after) == 400
    assert len(both) > 0.9 * 400
    assert sum(len(before[case] & after[case]) for case in both) > 0.9 * sum(len(before[case]) for case in both)


def test_controls_are_others_still_watched_each_as_likely(harvesting):
    _, log = harvesting
    people = person_time(log.touches, log.conversions, 0.0, 90.0, 24_000)
    sets = draw_risk_sets(people, controls=200, max_sets=6000, seed=3)
    person, time = sets.person.reshape(-1, 201), sets.time.reshape(-1, 201)
    case, controls = person[:, :1], person[:, 1:]
    assert (controls != case).all()
    assert (np.append(people.exit, np.inf)[controls] >= time[:, 1:]).all()
    unseen = (controls == people.people).mean()
    assert unseen == pytest.approx(people.unseen / (people.people + people.unseen), abs=0.01)
    drawn = np.bincount(controls[controls < people.people], minlength=people.people)
    stayed = people.exit >= 90.0
    # Seats that others took are few; who has one is drawn as often as chance would have it (Poisson: variance = mean).
    seated = drawn[stayed & (drawn > 0)]
    assert (drawn[stayed] == 0).mean() < 1 / 16
    assert seated.var() == pytest.approx(seated.mean(), rel=0.2)


def odd_worlds():
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(60), 4)
    time = rng.uniform(0, 20, len(person))
    one = pd.DataFrame({"person": person, "time": time, "channel": "Only"})
    buys = pd.DataFrame({"person": np.arange(60), "time": rng.uniform(0, 20, 60)})
    yield "everybody converts, one channel", one, buys
    yield "conversions before any touch", one.assign(time=19.0 + time / 40), buys.assign(time=buys["time"] / 2)
    yield "constant touch", one.assign(time=np.tile([1.0, 2.0, 3.0, 4.0], 60)), buys
    many = one.assign(channel=[f"c{i % 40}" for i in range(len(one))])
    yield "forty channels", many, buys
    yield (
        "several conversions in a year",
        one.assign(time=time * 18),
        pd.concat([buys, buys]).assign(time=rng.uniform(0, 365, 120)),
    )
    yield "one instant", one.assign(time=5.0), buys.assign(time=5.0)


@pytest.mark.parametrize(
    ("what", "touches", "conversions"), odd_worlds(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_odd_data_give_finite_credit(what, touches, conversions):
    fit = fit_hazard(touches, conversions, options=HazardOptions(draws=3, controls=5))
    found = fit.credit()
    assert np.isfinite(found[["share", "conversions", "caused"]].to_numpy()).all()
    assert found["share"].sum() == pytest.approx(1.0) or found["share"].sum() == 0.0
