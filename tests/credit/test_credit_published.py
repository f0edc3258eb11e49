"""Numbers others published, and numbers re-derived independently from the definitions."""

from dataclasses import replace
from math import fsum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.markov import build_chain, markov
from attribution_platform.credit.paths import Paths, parse_paths
from attribution_platform.credit.registry import DEFAULT_MODELS, MODELS, CreditOptions, credit_view, run_models
from attribution_platform.credit.rules import RuleOptions, rule_weights
from attribution_platform.credit.shapley import shapley, shapley_exact
from tests.credit.reference import explicit_removal, reach_worth, shapley_by_permutations

NO_INTERVALS = CreditOptions(min_conversions=1, replicates=0)


def by_channel(paths: Paths, values: np.ndarray) -> dict[str, float]:
    return dict(zip(paths.channels, values.tolist(), strict=True))


def rule(paths: Paths, model: str) -> dict[str, float]:
    return by_channel(paths, paths.credit_totals(rule_weights(model, paths), paths.conversions))


@pytest.fixture
def published(shared_data: Path) -> pd.DataFrame:
    return pd.read_csv(shared_data / "paths" / "small_published_examples.csv", dtype=str).set_index("example")


def test_markov_order_1_matches_the_known_answers(path_data: Paths):
    found = markov(path_data, 1)
    credit = by_channel(path_data, found.conversions)
    assert credit["alpha"] == pytest.approx(5344.947682, abs=1e-6)
    assert credit["iota"] == pytest.approx(3884.614702, abs=1e-6)
    assert credit["eta"] == pytest.approx(3340.847402, abs=1e-6)
    assert found.conversion_probability == pytest.approx(0.223845135597, abs=1e-12)


def test_rules_match_a_plain_count(path_data: Paths, path_data_file: Path):
    frame = pd.read_csv(path_data_file)
    steps = frame["path"].str.split(" > ")
    lengths = frame["path"].str.count(" > ") + 1
    for model, pick in (("first_touch", 0), ("last_touch", -1)):
        expected = frame["total_conversions"].groupby(steps.str[pick]).sum()
        found = rule(path_data, model)
        assert {c: found[c] for c in expected.index} == expected.to_dict()
    exploded = frame.assign(step=steps, share=frame["total_conversions"] / lengths).explode("step")
    linear = exploded.groupby("step")["share"].sum()
    assert rule(path_data, "linear") == pytest.approx(linear.to_dict(), abs=1e-8)


@pytest.mark.parametrize(
    "model", [name for name, model in MODELS.items() if model.conserved and not model.needs_people]
)
def test_every_model_conserves_conversions_and_value(path_data: Paths, model: str):
    (outcome,) = run_models(path_data, [model], NO_INTERVALS)
    assert outcome.result is not None
    assert fsum(outcome.result.conversions) == pytest.approx(19785, abs=1e-9)
    assert fsum(outcome.result.revenue) == pytest.approx(74802.971587, abs=1e-6)
    sums = np.bincount(path_data.row_of_touch, weights=outcome.result.touch_weights)
    np.testing.assert_allclose(sums, 1.0, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_markov_equals_an_explicit_removal(path_data: Paths, order: int):
    chance, effects, value_effects = explicit_removal(path_data, order)
    found = markov(path_data, order)
    assert found.conversion_probability == pytest.approx(chance, abs=1e-12)
    assert by_channel(path_data, found.removal_effects) == pytest.approx(effects, abs=1e-9)
    assert by_channel(path_data, found.value_removal_effects) == pytest.approx(value_effects, abs=1e-9)


def test_states_are_what_order_3_promises(path_data: Paths):
    assert build_chain(path_data, 1).states == 13
    assert build_chain(path_data, 3).states > 900


def test_pychattr_readme(published: pd.DataFrame):
    assert published.loc["pychattr README", "exact_answer_recomputed"] == "A 2.0 B 1.0; RE A 1.0 B 0.5"
    paths = parse_paths(["A>B>A>B>B>A", "A>B>B>A>A", "A>A"], [1, 1, 1])
    found = markov(paths)
    assert by_channel(paths, found.removal_effects) == pytest.approx({"A": 1.0, "B": 0.5}, abs=1e-12)
    assert by_channel(paths, found.conversions) == pytest.approx({"A": 2.0, "B": 1.0}, abs=1e-12)


def test_bryl_example(published: pd.DataFrame):
    assert published.loc["Bryl/jerednel", "exact_answer_recomputed"] == "c1 0.2 c2 0.4 c3 0.4"
    paths = parse_paths(["c1 > c2 > c3", "c1", "c2 > c3"], [1, 0, 0], nulls=[0, 1, 1])
    found = by_channel(paths, markov(paths).conversions)
    assert found == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4}, abs=1e-12)
    assert rule(paths, "last_touch") == {"c1": 0.0, "c2": 0.0, "c3": 1.0}


def test_puzyrov_transition_table():
    paths = parse_paths(["google", "mailing", "google > mailing"], [2, 1, 1], nulls=[1, 0, 0])
    chain = build_chain(paths)
    probability = dict(
        zip(
            zip(chain.source.tolist(), chain.target.tolist(), strict=True),
            (chain.counts / chain.out[chain.source]).tolist(),
            strict=True,
        )
    )
    assert probability == {(0, 1): 0.8, (0, 2): 0.2, (1, 2): 0.25}
    np.testing.assert_allclose(chain.payoffs[1:, 0], [0.5, 1.0])
    np.testing.assert_allclose(chain.to_null[1] / chain.out[1], 0.25)


def test_readme_game_of_three_players():
    worths = {"": 0, "O": 7, "F": 6, "D": 4, "OF": 15, "OD": 7, "FD": 9, "OFD": 19}
    bit = {"O": 1, "F": 2, "D": 4}
    table = np.zeros(8)
    for players, worth in worths.items():
        table[sum(bit[p] for p in players)] = worth
    expected = shapley_by_permutations(3, lambda s: float(table[sum(1 << i for i in s)]))
    np.testing.assert_allclose(shapley_exact(table), expected, atol=1e-12)
    assert shapley_exact(table).sum() == pytest.approx(19)


def test_posthog_five_models():
    paths = replace(parse_paths(["a > b > c"], [1]), hours=np.array([72.0, 48.0, 24.0]))
    decay = rule_weights("time_decay", paths, RuleOptions(half_life_days=1.0))
    np.testing.assert_allclose(decay, [1 / 7, 2 / 7, 4 / 7], atol=1e-15)
    np.testing.assert_allclose(rule_weights("position_based", paths), [0.4, 0.2, 0.4], atol=1e-15)
    np.testing.assert_allclose(rule_weights("linear", paths), [1 / 3] * 3)
    np.testing.assert_array_equal(rule_weights("first_touch", paths), [1, 0, 0])
    np.testing.assert_array_equal(rule_weights("last_touch", paths), [0, 0, 1])


def test_hockeystack_example():
    paths = parse_paths(["G > F > G > SDR"], [1], [10_000])

    def revenue(model: str) -> dict[str, float]:
        return by_channel(paths, paths.credit_totals(rule_weights(model, paths), paths.revenue))

    assert revenue("linear") == pytest.approx({"G": 5000, "F": 2500, "SDR": 2500})
    assert revenue("position_based") == pytest.approx({"G": 5000, "SDR": 4000, "F": 1000})
    assert revenue("participation") == {"G": 10_000, "F": 10_000, "SDR": 10_000}


def test_reach_game_equals_its_definition():
    paths = parse_paths(
        ["a > b", "b > c > a", "c", "a > a > d", "d > b"], [3, 2, 1, 4, 0], [9, 1, 2, 0, 0], [5, 1, 7, 2, 3]
    )
    expected = shapley_by_permutations(4, lambda s: reach_worth(paths, s))
    found = shapley(paths)
    np.testing.assert_allclose(found.conversions, expected, atol=1e-12)
    assert not np.allclose(found.conversions, shapley(paths, "subset_sums").conversions)


def test_all_default_models_run_on_one_row():
    outcomes = run_models(credit_view(parse_paths(["a"], [1])), DEFAULT_MODELS, NO_INTERVALS)
    assert [float(o.result.conversions[0]) for o in outcomes if o.result] == [1.0] * len(DEFAULT_MODELS)
