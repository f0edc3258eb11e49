"""Pairwise and B-cubed measures against their definitions, pair by pair."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attribution_platform.identity.quality import b_cubed, pairwise, wilson

ITEMS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


@given(ITEMS)
def test_pairwise_counts_every_pair_with_a_counted_member(items):
    truth, predicted, counted = (list(values) for values in zip(*items, strict=True))
    pairs = [(i, j) for i, j in combinations(range(len(items)), 2) if counted[i] or counted[j]]
    made = sum(predicted[i] == predicted[j] for i, j in pairs)
    real = sum(truth[i] == truth[j] for i, j in pairs)
    right = sum(predicted[i] == predicted[j] and truth[i] == truth[j] for i, j in pairs)
    found = pairwise(truth, predicted, counted)
    assert (found.predicted, found.actual) == (made, real)
    assert found.precision == pytest.approx(right / made if made else np.nan, nan_ok=True)
    assert found.recall == pytest.approx(right / real if real else np.nan, nan_ok=True)


@given(ITEMS)
def test_b_cubed_is_the_mean_over_counted_items(items):
    truth, predicted, counted = (list(values) for values in zip(*items, strict=True))
    precision, recall = [], []
    for i, kept in enumerate(counted):
        if kept:
            cluster = {j for j in range(len(items)) if predicted[j] == predicted[i]}
            person = {j for j in range(len(items)) if truth[j] == truth[i]}
            precision.append(len(cluster & person) / len(cluster))
            recall.append(len(cluster & person) / len(person))
    found = b_cubed(truth, predicted, counted)
    assert found.precision == pytest.approx(np.mean(precision) if precision else np.nan, nan_ok=True)
    assert found.recall == pytest.approx(np.mean(recall) if recall else np.nan, nan_ok=True)


def test_one_great_merge_shows_in_pairwise_precision_and_hides_in_b_cubed():
    truth = np.repeat(np.arange(1000), 2)
    merged = np.where(truth < 150, -1, truth)
    assert pairwise(truth, merged).precision < 0.03
    assert b_cubed(truth, merged).f1 > 0.9


def test_texts_and_missing_values_are_persons_too():
    assert pairwise(["a", "a", None], ["x", "x", "y"]).precision == 1.0
    with pytest.raises(ValueError, match="2 true persons, but 1 predicted"):
        pairwise(["a", "b"], ["x"])


def test_wilson_interval_holds_the_share_and_stays_a_proportion():
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(98, 100)
    assert low == pytest.approx(0.9299, abs=1e-4)
    assert high == pytest.approx(0.9945, abs=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1.0)
