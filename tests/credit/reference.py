"""Independent, slow re-statements of the models, from their definitions and on plain Python objects."""

from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import permutations

import numpy as np

from attribution_platform.credit.paths import Paths


def explicit_removal(paths: Paths, order: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Markov removal effects by deleting every state that mentions a channel and solving again, densely.

    Returns conversion probability, and removal effects on conversions and value by channel.
    """
    names = paths.channels
    counts: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    out: Counter[tuple[str, ...]] = Counter()
    won: Counter[tuple[str, ...]] = Counter()
    paid: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for row in range(paths.rows):
        steps = [names[c] for c in paths.codes[paths.offsets[row] : paths.offsets[row + 1]]]
        journeys = paths.conversions[row] + paths.nulls[row]
        state: tuple[str, ...] = ()
        for step in steps:
            following = (*state, step)[-order:]
            counts[state, following] += journeys
            out[state] += journeys
            state = following
        out[state] += journeys
        won[state] += paths.conversions[row]
        paid[state] += paths.revenue[row]
    states = [s for s in out if out[s] > 0]

    def start_values(kept: list[tuple[str, ...]]) -> np.ndarray:
        index = {s: i for i, s in enumerate(kept)}
        matrix = np.eye(len(kept))
        for (source, target), number in counts.items():
            if source in index and target in index:
                matrix[index[source], index[target]] -= number / out[source]
        payoff = np.array([[won[s] / out[s], paid[s] / out[s]] for s in kept])
        return np.linalg.solve(matrix, payoff)[index[()]]

    full = start_values(states)
    effects = {
        name: 1 - start_values([s for s in states if name not in s]) / np.where(full == 0, 1, full) for name in names
    }
    return float(full[0]), {k: float(v[0]) for k, v in effects.items()}, {k: float(v[1]) for k, v in effects.items()}


def shapley_by_permutations(players: int, worth: Callable[[frozenset[int]], float]) -> np.ndarray:
    """Mean marginal contribution over all orders of arrival."""
    values = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        present: frozenset[int] = frozenset()
        for player in order:
            joined = present | {player}
            values[player] += worth(joined) - worth(present)
            present = joined
    return values / len(orders)


def reach_worth(paths: Paths, present: frozenset[int]) -> float:
    """Expected conversions when only some channels exist, by removing the others from the order-1 chain."""
    size = len(paths.channels) + 1
    counts, won, out = np.zeros((size, size)), np.zeros(size), np.zeros(size)
    for row in range(paths.rows):
        journeys = paths.conversions[row] + paths.nulls[row]
        state = 0
        for code in paths.codes[paths.offsets[row] : paths.offsets[row + 1]]:
            counts[state, code + 1] += journeys
            out[state] += journeys
            state = code + 1
        out[state] += journeys
        won[state] += paths.conversions[row]
    kept = [0, *(c + 1 for c in sorted(present))]
    scale = np.where(out > 0, out, 1.0)
    matrix = np.eye(len(kept)) - (counts / scale[:, None])[np.ix_(kept, kept)]
    return float(np.linalg.solve(matrix, (won / scale)[kept])[0]) * float((paths.conversions + paths.nulls).sum())
