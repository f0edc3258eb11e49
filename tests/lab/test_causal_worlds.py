"""The worlds behind the truth lab: replays agree with simulations, and the truth is the Shapley value of the replays."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from dlt_pipelines.sandbox.behaviour import BehaviourConfig, Channel, simulate
from dlt_pipelines.sandbox.causal_worlds import KEPT_APART, KEPT_APART_SEEDS, PRESETS, random_mixture
from dlt_pipelines.sandbox.counterfactual import coalition_values, shapley_of, true_shapley

ALL = {**PRESETS, **KEPT_APART}


@pytest.mark.parametrize("name", ALL)
def test_replayed_coalitions_count_what_a_simulation_of_them_counts(name):
    config = replace(ALL[name](people=1500, days=25), base_hazard=0.004)
    values = coalition_values(config, realised=True)
    names = config.channel_names
    for members in [(), *combinations(range(len(names)), 2), tuple(range(len(names)))][::5]:
        alive = simulate(config, [names[c] for c in members])
        assert values[sum(1 << c for c in members)] == len(alive.conversions)


@pytest.mark.parametrize(
    "config", [random_mixture(KEPT_APART_SEEDS, people=1200, days=25), ALL["everything"](1200, 25)]
)
def test_truth_is_efficient_and_leaves_a_channel_without_effect_nothing(config):
    values = coalition_values(config)
    truth = true_shapley(config)
    assert truth["conversions"].sum() == pytest.approx(values[-1] - values[0], rel=1e-9)
    by_hand = np.zeros(len(config.channels))
    orders = [np.random.default_rng(s).permutation(len(config.channels)) for s in range(4000)]
    for order in orders:
        mask = 0
        for c in order:
            by_hand[c] += values[mask | 1 << c] - values[mask]
            mask |= 1 << int(c)
    np.testing.assert_allclose(shapley_of(values), by_hand / len(orders), atol=0.05 * values[-1] / 7)


def test_seen_and_kept_apart_share_neither_name_nor_seed():
    assert not set(PRESETS) & set(KEPT_APART)
    seeds = [make().seed for make in ALL.values()]
    assert len(set(seeds)) == len(seeds)


def world(**changes) -> BehaviourConfig:
    channels = (Channel("A", rate=0.05, effect=1.0), Channel("B", rate=0.05, effect=1.0), Channel("C", rate=0.05))
    return BehaviourConfig(channels, people=4000, days=40, seed=5, base_hazard=0.001, **changes)


def test_a_channel_in_flights_is_silent_in_its_pauses():
    base = world()
    config = replace(base, channels=(replace(base.channels[0], flight_days=10), *base.channels[1:]))
    touches = simulate(config).touches
    day = touches["time"].to_numpy().astype(int)
    mine = (touches["channel"] == "A").to_numpy()
    assert set(day[mine] // 10) == {0, 2}
    assert set(day[~mine] // 10) == {0, 1, 2, 3}


def test_a_delayed_touch_does_nothing_before_its_time():
    base = world(affinity_sd=0.0)
    slow = replace(base, channels=tuple(replace(c, delay_days=50) if c.effect else c for c in base.channels))
    idle = replace(base, channels=tuple(replace(c, effect=0.0) for c in base.channels))
    assert coalition_values(slow)[-1] == pytest.approx(coalition_values(idle)[-1], rel=1e-12)
    soon = replace(base, channels=tuple(replace(c, delay_days=3) if c.effect else c for c in base.channels))
    assert coalition_values(idle)[-1] < coalition_values(soon)[-1] < coalition_values(base)[-1]


def test_heavy_users_are_touched_by_everything_and_seasons_move_all():
    busy = simulate(world(activity_sd=1.0, affinity_sd=0.0)).touches
    counts = busy.groupby(["person", "channel"]).size().unstack(fill_value=0)
    assert counts["A"].corr(counts["C"]) > 0.3
    calm = simulate(world(affinity_sd=0.0)).touches.groupby(["person", "channel"]).size().unstack(fill_value=0)
    assert calm["A"].corr(calm["C"]) < 0.1
    seasonal = simulate(world(season_rate=1.0, season_days=40.0)).touches
    high = (seasonal["time"] < 20).sum()
    assert high > 2 * (len(seasonal) - high)


def test_people_who_come_and_go_keep_a_world_steady_and_its_truth_counts_the_days_that_are_shown():
    config = world(stay_days=40, exit_after_conversion=False)
    lived = simulate(config)
    shown = lived.conversions["time"] >= 0
    assert not shown.all()
    assert coalition_values(config, realised=True)[-1] == shown.sum()
    # Of 4,000 people half are about at a time; as many touches come in the first ten days as in the last ten.
    touches = np.bincount((lived.touches["time"][lived.touches["time"] >= 0] // 10).astype(int), minlength=4)
    assert np.abs(touches - touches.mean()).max() < 4 * np.sqrt(touches.mean())
    assert touches.mean() == pytest.approx(2000 * 10 * 0.15 * np.exp(0.4**2 / 2), rel=0.1)
    stays = lived.touches.groupby("person")["time"]
    assert (stays.max() - stays.min()).max() < config.stay_days + 1
