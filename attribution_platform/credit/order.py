"""Which Markov order the data can carry: held-out log-likelihood of the next step.

Journeys are dealt into folds; each order predicts the next channel, conversion or loss of the journeys held out, backing
off to the next shorter history in proportion to how often a history was followed by something new (Witten and Bell
1991), so that a long history never scores −∞ and every order is judged on the same events. The shortest order within one
standard error (and 0.01 nats a journey) of the best wins: a longer memory has to earn its variance.
"""

from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.markov import MAX_ORDER
from attribution_platform.credit.paths import Floats, Ints, Paths, sum_by

FOLDS = 5
# Nats a journey below which a better score is no reason for a longer memory: near-deterministic paths differ by 1e-5 with
# a standard error of 1e-7.
LEAST_GAIN = 0.01


@dataclass(frozen=True)
class OrderChoice:
    """The chosen order and what led to it.

    Attributes:
        order: The choice.
        log_likelihood: Held-out log-likelihood per journey of orders 1, 2, … Shape (orders,).
        standard_error: Of the difference to the best order, over folds. Shape (orders,).
    """

    order: int
    log_likelihood: Floats
    standard_error: Floats


def choose_order(paths: Paths, max_order: int = MAX_ORDER, folds: int = FOLDS, seed: int = 0) -> OrderChoice:
    """Compare orders 1 to `max_order` on held-out journeys of distinct paths."""
    distinct, _ = paths.distinct()
    histories, symbols, part = _events(distinct, max_order)
    counts = np.concatenate([distinct.conversions, distinct.nulls])
    held_out = _deal(np.rint(counts).astype(np.int64), folds, np.random.default_rng(seed))
    vocabulary = len(distinct.channels) + 2
    scores = np.zeros((folds, max_order))
    for fold in range(folds):
        test = held_out[fold]
        train = held_out.sum(axis=0) - test
        journeys = max(float(test.sum()), 1.0)
        chance = np.full(len(symbols), 1.0 / vocabulary)
        for order in range(max_order + 1):
            chance = _back_off(histories[order], symbols, train[part].astype(np.float64), chance, vocabulary)
            if order:
                scores[fold, order - 1] = float(test[part] @ np.log(chance)) / journeys
    mean = scores.mean(axis=0)
    best = int(np.argmax(mean))
    error = (scores - scores[:, [best]]).std(axis=0, ddof=1) / np.sqrt(folds)
    good = mean >= mean[best] - np.maximum(error, LEAST_GAIN)
    return OrderChoice(int(np.argmax(good)) + 1, mean, error)


def _deal(counts: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Split counts evenly at random. Shape (folds, counts)."""
    out = np.empty((folds, len(counts)), dtype=np.int64)
    left = counts.copy()
    for fold in range(folds):
        out[fold] = rng.binomial(left, 1.0 / (folds - fold))
        left = left - out[fold]
    return out


def _events(paths: Paths, max_order: int) -> tuple[list[Ints], Ints, Ints]:
    """Every step of every path, once as part of its conversions and once of its losses.

    Returns:
        History before the step for orders 0 to `max_order`, as dense labels; the symbol that followed (channels, then
        conversion, then loss); and the part (row, or rows + row) the event counts with.
    """
    base = len(paths.channels) + 1
    lengths = paths.lengths + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ends = offsets[1:] - 1
    sequence = np.zeros(offsets[-1], dtype=np.int64)
    is_end = np.zeros(offsets[-1], dtype=bool)
    is_end[ends] = True
    sequence[~is_end] = paths.codes + 1
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    histories = [np.zeros(2 * len(sequence), dtype=np.int64)]
    label = np.zeros(len(sequence), dtype=np.int64)
    for lag in range(1, max_order + 1):
        earlier = np.zeros_like(sequence)
        earlier[lag:] = np.where(position[lag:] >= lag, sequence[:-lag], 0)
        label = np.unique(label * base + earlier, return_inverse=True)[1]
        histories.append(np.tile(label, 2))
    won, lost = sequence - 1, sequence - 1
    won, lost = np.where(is_end, base - 1, won), np.where(is_end, base, lost)
    row = np.repeat(np.arange(paths.rows), lengths)
    return histories, np.concatenate([won, lost]), np.concatenate([row, row + paths.rows])


def _back_off(history: Ints, symbols: Ints, weight: Floats, shorter: Floats, vocabulary: int) -> Floats:
    """Chance of each event given its history, backing off to `shorter`."""
    pairs, pair = np.unique(history * (vocabulary + 1) + symbols, return_inverse=True)
    seen_pair = sum_by(pair, weight)
    owner = pairs // (vocabulary + 1)
    size = int(history.max(initial=0)) + 1
    seen = sum_by(history, weight, size)
    kinds = sum_by(owner, seen_pair > 0, size)
    total = seen[history] + kinds[history]
    found = (seen_pair[pair] + kinds[history] * shorter) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, found, shorter)
