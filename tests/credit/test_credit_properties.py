"""Properties every model must have, on random journeys."""

from dataclasses import replace
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.credit import markov as markov_module
from attribution_platform.credit import shapley as shapley_module
from attribution_platform.credit.markov import build_chain, markov
from attribution_platform.credit.order import choose_order
from attribution_platform.credit.paths import Paths, parse_paths
from attribution_platform.credit.registry import DEFAULT_MODELS, MODELS, CreditOptions, credit_view, run_models
from attribution_platform.credit.rules import NOT_CONSERVED, RULES, CustomWeights, RuleOptions, rule_weights
from attribution_platform.credit.shapley import (
    antithetic_permutations,
    chain_matrix,
    fitted_game,
    mobius,
    ordered_shapley,
    reach_marginals,
    reach_worths,
    shapley,
    shapley_exact,
    shapley_of,
    summarise_pairs,
    zeta,
)
from attribution_platform.credit.spread import spread
from tests.credit.reference import explicit_removal, shapley_by_permutations

NO_INTERVALS = CreditOptions(min_conversions=1, replicates=0)
NAMES = ["Direct", "Paid Search", "Email", "Display", "Referral"]
rows = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=6),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=8,
).filter(lambda r: any(conversions for _, conversions, _, _ in r))


def to_paths(journeys: list[tuple[list[str], int, int, int]]) -> Paths:
    return parse_paths(
        [" > ".join(steps) for steps, *_ in journeys],
        [float(c) for _, c, _, _ in journeys],
        [float(r if c else 0) for _, c, _, r in journeys],
        [float(n) for _, _, n, _ in journeys],
    )


def credits(paths: Paths, model: str) -> dict[str, float]:
    (outcome,) = run_models(credit_view(paths), [model], NO_INTERVALS)
    assert outcome.result is not None
    return dict(zip(paths.channels, outcome.result.conversions.tolist(), strict=True))


@settings(max_examples=25, deadline=None)
@given(rows)
def test_credit_adds_up_and_touch_weights_do_too(journeys):
    view = credit_view(to_paths(journeys))
    for outcome in run_models(view, [name for name, model in MODELS.items() if not model.needs_people], NO_INTERVALS):
        if MODELS[outcome.model].needs_losses and not view.nulls.any():
            assert outcome.status == "insufficient data: needs journeys that did not convert"
            continue
        assert outcome.result is not None
        if MODELS[outcome.model].conserved:
            assert isclose(outcome.result.conversions.sum(), view.total_conversions, rel_tol=1e-9), outcome.model
            assert isclose(outcome.result.revenue.sum(), view.total_revenue, rel_tol=1e-9, abs_tol=1e-9)
            sums = np.bincount(view.row_of_touch, weights=outcome.result.touch_weights)
            np.testing.assert_allclose(sums, 1.0, atol=1e-12)
        if outcome.model != "shapley_conversion_rate":
            assert outcome.result.conversions.min() > -1e-9, outcome.model


@settings(max_examples=15, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_row_order_and_row_splitting_do_not_matter(journeys, random):
    shuffled = list(journeys)
    random.shuffle(shuffled)
    doubled = [row for row in journeys for _ in range(2)]
    for model in DEFAULT_MODELS:
        once = credits(to_paths(journeys), model)
        assert credits(to_paths(shuffled), model) == pytest.approx(once, abs=1e-9)
        twice = credits(to_paths(doubled), model)
        assert twice == pytest.approx({k: 2 * v for k, v in once.items()}, abs=1e-9), model


@settings(max_examples=15, deadline=None)
@given(rows)
def test_renaming_two_channels_swaps_their_credit(journeys):
    swap = {"Email": "Referral", "Referral": "Email"}
    swapped = [([swap.get(s, s) for s in steps], c, n, r) for steps, c, n, r in journeys]
    for model in DEFAULT_MODELS:
        once = credits(to_paths(journeys), model)
        again = credits(to_paths(swapped), model)
        assert {swap.get(k, k): v for k, v in again.items()} == pytest.approx(once, abs=1e-9), model


@settings(max_examples=15, deadline=None)
@given(rows)
def test_a_channel_that_only_loses_earns_nothing(journeys):
    with_loser = [*journeys, (["Loser"], 0, 3, 0), (["Email", "Loser"], 0, 2, 0)]
    for model in ("markov", "markov_2", "shapley", "shapley_subset_sums"):
        assert credits(to_paths(with_loser), model)["Loser"] == pytest.approx(0, abs=1e-12), model


@settings(max_examples=20, deadline=None)
@given(rows, st.integers(1, 4))
def test_markov_equals_explicit_removal(journeys, order):
    paths = to_paths(journeys)
    chance, effects, _ = explicit_removal(paths, order)
    found = markov(paths, order)
    assert found.conversion_probability == pytest.approx(chance, abs=1e-10)
    assert found.removal_effects.tolist() == pytest.approx([effects[c] for c in paths.channels], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(rows, st.integers(1, 4))
def test_iterated_removal_equals_explicit_removal(journeys, order):
    paths = to_paths(journeys)
    chance, effects, _ = explicit_removal(paths, order)
    iterated = markov_module._effects_by_iteration(build_chain(paths, order), len(paths.channels))
    assert iterated is not None
    start, found = iterated
    assert start[0] == pytest.approx(chance, abs=1e-10)
    assert found[:, 0].tolist() == pytest.approx([effects[c] for c in paths.channels], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(rows)
def test_repeats_of_a_channel_do_not_change_order_1(journeys):
    stuttered = [([s for step in steps for s in [step, step]], c, n, r) for steps, c, n, r in journeys]
    plain, repeated = markov(to_paths(journeys)), markov(to_paths(stuttered))
    np.testing.assert_allclose(plain.removal_effects, repeated.removal_effects, atol=1e-10)
    np.testing.assert_allclose(
        shapley(to_paths(journeys)).conversions, shapley(to_paths(stuttered)).conversions, atol=1e-9
    )


games = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.floats(-100, 100), min_size=1 << n, max_size=1 << n).map(lambda v: np.array([0.0, *v[1:]]))
)


@settings(max_examples=40, deadline=None)
@given(games)
def test_exact_shapley_is_the_mean_over_permutations(worth):
    n = len(worth).bit_length() - 1
    expected = shapley_by_permutations(n, lambda s: float(worth[sum(1 << i for i in s)]))
    found = shapley_exact(worth)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.sum() == pytest.approx(worth[-1], abs=1e-9)
    dividends = mobius(worth)
    np.testing.assert_allclose(zeta(dividends), worth, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(games, st.integers(0, 1000))
def test_exact_shapley_is_additive_and_ignores_dummies(worth, seed):
    other = np.random.default_rng(seed).normal(size=len(worth))
    np.testing.assert_allclose(shapley_exact(worth + other), shapley_exact(worth) + shapley_exact(other), atol=1e-9)
    assert shapley_exact(np.concatenate([worth, worth]))[-1] == 0.0


def test_sampled_shapley_states_an_error_that_holds():
    rng = np.random.default_rng(3)
    strength = rng.random(9)

    def game(sets):
        return 1 - np.exp(-(sets * strength).sum(axis=1))

    exact, none = shapley_of(game, 9)
    sampled, error = shapley_of(game, 9, pairs=400, seed=1, exact_up_to=0)
    assert not none.any()
    assert np.abs(sampled - exact).max() < 4 * error.max() < 0.02
    assert sampled.sum() == pytest.approx(exact.sum())


def test_permutations_of_the_reach_game_average_to_its_exact_value(path_data):
    matrix = chain_matrix(build_chain(path_data, 1), 12)
    exact = shapley_exact(reach_worths(matrix[None])[0, :, 0])
    mean, error = summarise_pairs(reach_marginals(matrix[None], antithetic_permutations(12, 200, 0))[0, ..., 0])
    assert mean.sum() == pytest.approx(exact.sum())
    assert np.all(np.abs(mean - exact) < 5 * error + 1e-6)


def test_many_channels_are_sampled_and_say_so():
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(26)]
    text = [" > ".join(rng.choice(names, size=rng.integers(1, 6))) for _ in range(300)]
    paths = parse_paths(text, rng.integers(0, 5, 300).astype(float), None, rng.integers(0, 9, 300).astype(float))
    for game in ("reach", "conversion_rate"):
        found = shapley(paths, game, pairs=40)
        assert not found.exact
        assert found.standard_error.max() > 0
        assert found.conversions.sum() == pytest.approx(paths.total_conversions)


def fitted_world(seed=4, channels=5, rows=400):
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in range(channels)]
    steps = [list(rng.choice(names, size=rng.integers(1, 6))) for _ in range(rows)]
    chance = [0.1 + 0.5 * ("c0" in path) - 0.05 * ("c1" in path) for path in steps]
    won = rng.binomial(20, chance).astype(float)
    return parse_paths([" > ".join(path) for path in steps], won, 3 * won, 20 - won)


def test_the_fitted_game_is_the_shapley_value_of_its_expected_conversions():
    paths = fitted_world()
    game = fitted_game(paths)

    def worth(present):
        mask = np.zeros((1, 5), dtype=bool)
        mask[0, list(present)] = True
        return game(mask)[0]

    by_hand = shapley_by_permutations(5, worth)
    found = shapley(paths, "fitted")
    assert found.exact
    np.testing.assert_allclose(found.conversions, by_hand * paths.total_conversions / by_hand.sum(), rtol=1e-9)
    np.testing.assert_allclose(found.revenue, 3 * found.conversions)
    everything = game(np.ones((1, 5), dtype=bool))[0]
    assert everything == pytest.approx(paths.total_conversions, rel=1e-6)
    assert np.argmax(found.conversions) == 0
    assert found.conversions[1] == pytest.approx(0, abs=1e-9)


def test_the_fitted_game_is_sampled_past_its_limit_and_says_so(monkeypatch):
    paths = fitted_world()
    exact = shapley(paths, "fitted")
    monkeypatch.setattr(shapley_module, "EXACT_FITTED_CHANNELS", 2)
    monkeypatch.setitem(shapley_module.EXACT_UP_TO, "fitted", 2)
    sampled = shapley(paths, "fitted")
    assert not sampled.exact
    assert (np.abs(sampled.conversions - exact.conversions) < 5 * sampled.standard_error + 1e-6).all()


def test_where_no_channel_raises_the_chance_every_channel_of_a_journey_counts_alike():
    paths = parse_paths(["a > b", "a", "b", "a > a > b > b"], [1.0, 5, 5, 1], None, [9.0, 5, 5, 9])
    found = shapley(paths, "fitted")
    np.testing.assert_allclose(found.conversions, shapley(paths, "subset_sums").conversions)


@settings(max_examples=15, deadline=None)
@given(rows)
def test_ordered_shapley_is_the_share_of_every_set_at_the_places_taken(journeys):
    paths = to_paths(journeys)
    expected = np.zeros_like(ordered_shapley(paths))
    for row in range(paths.rows):
        order = list(dict.fromkeys(paths.codes[paths.offsets[row] : paths.offsets[row + 1]].tolist()))
        for place, code in enumerate(order):
            expected[code, place] += paths.conversions[row] / len(order)
    np.testing.assert_allclose(ordered_shapley(paths), expected, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(rows)
def test_ordered_shapley_refines_subset_sums(journeys):
    paths = to_paths(journeys)
    np.testing.assert_allclose(ordered_shapley(paths).sum(axis=1), shapley(paths, "subset_sums").conversions, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(rows, st.sampled_from(sorted(RULES)))
def test_rule_weights_sum_to_one(journeys, model):
    paths = to_paths(journeys)
    hours = np.random.default_rng(1).uniform(0, 24 * 400, len(paths.codes))
    for given_paths in (paths, replace(paths, hours=hours, _cache={})):
        weights = rule_weights(model, given_paths, RuleOptions(half_life_days=0.5))
        sums = np.bincount(paths.row_of_touch, weights=weights)
        assert weights.min() >= 0
        if model in NOT_CONSERVED:
            rows_, _ = paths.distinct_channels()
            np.testing.assert_array_equal(sums, np.bincount(rows_))
        else:
            np.testing.assert_allclose(sums, 1.0, atol=1e-12)


def test_named_shapes():
    four = parse_paths(["a > b > c > d"], [1])
    two = parse_paths(["a > b"], [1])
    expected = {
        "position_based": ([0.4, 0.1, 0.1, 0.4], [0.5, 0.5]),
        "u_shaped": ([0.4, 0.1, 0.1, 0.4], [0.5, 0.5]),
        "w_shaped": ([0.3, 0.1, 0.3, 0.3], [0.5, 0.5]),
        "j_shaped": ([0.2, 0.1, 0.1, 0.6], [0.25, 0.75]),
        "inverse_j": ([0.6, 0.1, 0.1, 0.2], [0.75, 0.25]),
        "time_decay": ([1 / 15, 2 / 15, 4 / 15, 8 / 15], [1 / 3, 2 / 3]),
    }
    for model, (long, short) in expected.items():
        np.testing.assert_allclose(rule_weights(model, four), long, atol=1e-12, err_msg=model)
        np.testing.assert_allclose(rule_weights(model, two), short, atol=1e-12, err_msg=model)
    custom = rule_weights("custom", four, RuleOptions(custom=CustomWeights(first=0.0, last=0.5)))
    np.testing.assert_allclose(custom, [0.0, 0.25, 0.25, 0.5])


def test_direct_and_paid_rules_fall_back():
    paths = parse_paths(["Paid Search > Email > Direct", "Direct > Direct", "Email > Referral"], [1, 1, 1])
    touches = [f"{paths.channels[c]}{p}" for c, p in zip(paths.codes, paths.position, strict=True)]

    def winners(model):
        return [touch for touch, weight in zip(touches, rule_weights(model, paths), strict=True) if weight]

    assert winners("last_non_direct") == ["Email1", "Direct1", "Referral1"]
    assert winners("first_non_direct") == ["Paid Search0", "Direct0", "Email0"]
    assert winners("last_paid") == ["Paid Search0", "Direct1", "Referral1"]
    assert winners("first_paid") == ["Paid Search0", "Direct0", "Email0"]


def test_spread_meets_reachable_totals_and_reports_what_it_cannot_place():
    paths = parse_paths(["a > b", "a > b > a", "b > c"], [10, 10, 10])
    reachable = spread(paths, np.array([12.0, 12.0, 6.0]))
    assert reachable.residual < 1e-9
    np.testing.assert_allclose(paths.credit_totals(reachable.weights, paths.conversions), [12, 12, 6], atol=1e-6)
    lonely = parse_paths(["a", "b"], [10, 10])
    impossible = spread(lonely, np.array([5.0, 15.0]))
    np.testing.assert_array_equal(impossible.weights, [1, 1])
    assert impossible.residual == pytest.approx(0.25)


def test_order_is_chosen_by_what_the_journeys_remember():
    rng = np.random.default_rng(7)
    memoryless = [" > ".join(rng.choice(["a", "b", "c"], size=rng.geometric(0.4))) for _ in range(1500)]
    assert choose_order(parse_paths(memoryless, rng.integers(0, 2, 1500).astype(float), None, np.ones(1500))).order == 1
    # The step after x depends on the one before it: only order 2 can see that.
    second = ["a > x > b", "b > x > a"]
    paths = parse_paths(second, [300.0, 300.0], None, [300.0, 300.0])
    assert choose_order(paths).order == 2


@pytest.mark.parametrize("text", ["a >  > b", "", " > a"])
def test_empty_steps_are_refused(text):
    with pytest.raises(ValueError, match="empty"):
        parse_paths(["a > b", text], [1, 1])


def test_options_are_checked():
    with pytest.raises(ValueError, match="half-life"):
        RuleOptions(half_life_days=0)
    with pytest.raises(ValueError, match="sum to at most 1"):
        CustomWeights(first=0.8, last=0.4)
    with pytest.raises(ValueError, match="order must be 1 to 4"):
        markov(parse_paths(["a"], [1]), 5)
    with pytest.raises(KeyError, match="no credit model"):
        run_models(parse_paths(["a"], [1]), ["magic"])
