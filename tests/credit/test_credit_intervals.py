"""Intervals: against a brute-force resampling, their coverage, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest

from attribution_platform.credit import intervals as intervals_module
from attribution_platform.credit.intervals import (
    Interval,
    bootstrap,
    linear_statistic,
    markov_statistic,
    reach_statistic,
    split_parts,
)
from attribution_platform.credit.markov import markov
from attribution_platform.credit.paths import Paths, parse_paths
from attribution_platform.credit.registry import CreditOptions, credit_table, credit_view, run_models
from attribution_platform.credit.rules import rule_weights
from attribution_platform.credit.shapley import shapley

MODELS = {
    "linear": lambda p: p.credit_totals(rule_weights("linear", p), p.conversions),
    "markov": lambda p: markov(p, 1).conversions,
    "markov_2": lambda p: markov(p, 2).conversions,
    "shapley": lambda p: shapley(p).conversions,
}


def all_intervals(paths: Paths, replicates: int = 1000) -> dict[str, Interval]:
    parts = split_parts(paths)
    statistics = {
        "linear": linear_statistic("linear", paths, parts, rule_weights("linear", paths)),
        "markov": markov_statistic(paths, parts, 1),
        "markov_2": markov_statistic(paths, parts, 2),
        "shapley": reach_statistic(paths, parts, shapley(paths).conversions, 0),
    }
    return bootstrap(paths, parts, statistics, replicates)


def world(seed: int, journeys: int = 1500) -> Paths:
    """Journeys of a chain over three channels that differ in how well they convert."""
    rng = np.random.default_rng(seed)
    lengths = rng.geometric(0.45, size=journeys)
    touches = np.split(rng.choice(["a", "b", "c"], size=lengths.sum(), p=[0.5, 0.3, 0.2]), np.cumsum(lengths)[:-1])
    text, won = [], []
    for steps in touches:
        chance = 0.1 + 0.2 * ("b" in steps) + 0.3 * (steps[-1] == "c")
        text.append(" > ".join(steps))
        won.append(float(rng.random() < chance))
    return parse_paths(text, won, None, [1 - w for w in won]).distinct()[0]


def test_intervals_match_a_multinomial_bootstrap():
    paths = world(1)
    found = all_intervals(paths)
    rng = np.random.default_rng(5)
    counts = np.concatenate([paths.conversions, paths.nulls])
    draws: dict[str, list[np.ndarray]] = {name: [] for name in MODELS}
    for _ in range(300):
        drawn = rng.multinomial(int(counts.sum()), counts / counts.sum()).astype(float)
        again = replace(paths, conversions=drawn[: paths.rows], nulls=drawn[paths.rows :], _cache={})
        for name, model in MODELS.items():
            draws[name].append(model(again))
    for name, interval in found.items():
        brute = np.percentile(np.array(draws[name]), [2.5, 97.5], axis=0)
        width = brute[1] - brute[0]
        # 300 brute-force replicates know their own width to about a tenth.
        np.testing.assert_allclose(interval.high - interval.low, width, rtol=0.25, err_msg=name)
        assert np.all(np.abs(interval.low - brute[0]) < 0.3 * width), name
        assert np.all(np.abs(interval.high - brute[1]) < 0.3 * width), name


def test_intervals_cover_the_truth_as_often_as_they_say():
    large = world(999, 30_000)
    truth = {name: model(large) / 20 for name, model in MODELS.items()}
    hits: dict[str, list[float]] = {name: [] for name in MODELS}
    for seed in range(40):
        for name, interval in all_intervals(world(seed), 300).items():
            hits[name].append(float(np.mean((interval.low <= truth[name]) & (truth[name] <= interval.high))))
    for name, covered in hits.items():
        assert 0.88 <= np.mean(covered) <= 1.0, name


def test_many_channels_use_permutations_and_agree_with_exact(monkeypatch):
    paths = world(3)
    exact = all_intervals(paths)["shapley"]
    monkeypatch.setattr(intervals_module, "EXACT_REACH_CHANNELS", 2)
    sampled = all_intervals(paths)["shapley"]
    np.testing.assert_allclose(sampled.low, exact.low, rtol=0.03)
    np.testing.assert_allclose(sampled.high, exact.high, rtol=0.03)


def test_markov_by_influence_agrees_with_batched_solves(monkeypatch):
    paths = world(4)
    exact = all_intervals(paths)["markov"]
    monkeypatch.setattr(intervals_module, "BATCHED_MARKOV_CHANNELS", 2)
    linearised = all_intervals(paths)["markov"]
    np.testing.assert_allclose(linearised.low, exact.low, rtol=0.04)
    np.testing.assert_allclose(linearised.high, exact.high, rtol=0.04)


def test_random_groups_agree_with_single_units(monkeypatch):
    paths = replace(world(6, 6000), _cache={})
    people = Paths(
        paths.channels, *(getattr(expand(paths), n) for n in ("codes", "offsets", "conversions", "nulls", "revenue"))
    )
    people = replace(people, person=np.arange(people.rows))
    single = all_intervals(people)
    monkeypatch.setattr(intervals_module, "MAX_UNITS", 3000)
    grouped = all_intervals(people)
    for name, interval in grouped.items():
        width = single[name].high - single[name].low
        np.testing.assert_allclose(interval.high - interval.low, width, rtol=0.2, err_msg=name)


def expand(paths: Paths) -> Paths:
    """One row a journey."""
    won = np.repeat(np.arange(paths.rows), paths.conversions.astype(int))
    lost = np.repeat(np.arange(paths.rows), paths.nulls.astype(int))
    taken = paths.take(np.concatenate([won, lost]))
    ones = np.concatenate([np.ones(len(won)), np.zeros(len(lost))])
    return replace(taken, conversions=ones, nulls=1 - ones, revenue=ones * 0)


def test_people_with_many_conversions_widen_the_interval():
    rows = 400
    paths = parse_paths(["a"] * rows + ["b"] * rows, [1.0] * (2 * rows))
    alone = replace(paths, person=np.arange(2 * rows))
    tens = replace(paths, person=np.arange(2 * rows) // 10)
    widths = []
    for given in (alone, tens):
        table = credit_table(run_models(credit_view(given), ["last_touch"]), given.channels)
        widths.append(float((table["ci_high"] - table["ci_low"]).iloc[0]))
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_same_seed_same_intervals_and_the_estimate_is_inside():
    paths = world(8)
    options = CreditOptions(min_conversions=1, replicates=200)
    tables = [credit_table(run_models(paths, options=options), paths.channels) for _ in range(2)]
    assert tables[0].equals(tables[1])
    assert (tables[0]["ci_low"] <= tables[0]["conversions"]).all()
    assert (tables[0]["ci_high"] >= tables[0]["conversions"]).all()


def test_below_its_threshold_a_model_says_so_and_nothing_else():
    paths = parse_paths(["a > b", "b"], [20.0, 1.0], None, [3.0, 5.0])
    table = credit_table(run_models(paths), paths.channels).set_index(["model", "channel"])
    assert table.loc[("markov", "a"), "status"] == "insufficient data: needs 1,000 conversions, has 21"
    assert (
        table.loc[["markov", "shapley"], ["conversions", "revenue", "share", "ci_low", "ci_high"]]
        .isna()
        .to_numpy()
        .all()
    )
    assert table.loc[("linear", "a"), "status"] == "ok"
    assert table.loc[("linear", "a"), "conversions"] == 10.0
