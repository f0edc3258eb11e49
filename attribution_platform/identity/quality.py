"""How good a resolution is, against identifiers whose person is known.

Pairwise precision is what a catastrophic merge shows in; B-cubed alone hides it (one merge of 68,000 browsers still scores
.81), so the two are always given together, with the largest cluster beside them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Agreement:
    """Precision and recall of a clustering, with the counts they rest on (pairs, or items for B-cubed)."""

    precision: float
    recall: float
    predicted: int
    actual: int

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else float("nan")


def _codes(values: ArrayLike) -> NDArray[Any]:
    codes = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=False)[0]
    return np.asarray(codes, dtype=np.int64)


def _sizes(codes: NDArray[Any], kept: NDArray[Any]) -> NDArray[Any]:
    """Size of each cluster, and of each its part that is counted: pairs with a counted member = all less the others'."""
    return np.vstack([np.bincount(codes), np.bincount(codes[~kept], minlength=int(codes.max()) + 1)])


def _pairs(codes: NDArray[Any], kept: NDArray[Any]) -> int:
    everyone, others = _sizes(codes, kept)
    return int((everyone * (everyone - 1) // 2 - others * (others - 1) // 2).sum())


def _inputs(
    truth: ArrayLike, predicted: ArrayLike, counted: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    actual, guessed = _codes(truth), _codes(predicted)
    if len(actual) != len(guessed):
        raise ValueError(f"{len(actual)} true persons, but {len(guessed)} predicted ones")
    kept = np.ones(len(actual), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    both = _codes(actual * (int(guessed.max(initial=0)) + 1) + guessed)
    return actual, guessed, both, kept


def pairwise(truth: ArrayLike, predicted: ArrayLike, counted: ArrayLike | None = None) -> Agreement:
    """Of the pairs put together, how many belong together, and the other way round.

    Args:
        truth: true person of each item.
        predicted: person it was resolved to.
        counted: only pairs with at least one of these items count; all by default.

    Returns:
        Precision and recall; `nan` where there is no pair to judge.
    """
    actual, guessed, both, kept = _inputs(truth, predicted, counted)
    if not len(actual):
        return Agreement(float("nan"), float("nan"), 0, 0)
    right, made, real = _pairs(both, kept), _pairs(guessed, kept), _pairs(actual, kept)
    return Agreement(right / made if made else float("nan"), right / real if real else float("nan"), made, real)


def b_cubed(truth: ArrayLike, predicted: ArrayLike, counted: ArrayLike | None = None) -> Agreement:
    """Mean over items of how pure its cluster is and how much of its person the cluster holds (Bagga and Baldwin 1998).

    Args:
        truth: true person of each item.
        predicted: person it was resolved to.
        counted: only these items enter the mean; all by default. Their clusters are whole in any case.
    """
    actual, guessed, both, kept = _inputs(truth, predicted, counted)
    if not kept.any():
        return Agreement(float("nan"), float("nan"), 0, 0)
    together = np.bincount(both)[both]
    precision = (together / np.bincount(guessed)[guessed])[kept].mean()
    recall = (together / np.bincount(actual)[actual])[kept].mean()
    n = int(kept.sum())
    return Agreement(float(precision), float(recall), n, n)


def wilson(successes: float, trials: float, z: float = 1.959964) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927); the whole unit interval where nothing was tried."""
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    half = z * float(np.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)))
    scale = 1 + z * z / trials
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
