"""Exposure: how much of the earlier touches of a channel is still at work at a moment.

A touch of age a counts 2^(-a / h), touches add up, and returns may flatten: k (1 - exp(-x / k)). Half-lives h and
saturation k are kept as grids, so that the fit can weigh all of them instead of betting on one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution_platform.credit.hazard.people import PersonTime
from attribution_platform.credit.hazard.risk import touches_before
from attribution_platform.credit.paths import Floats, Ints

HALF_LIVES = (1.0, 1.6, 2.5, 4.0, 6.5, 11.0, 20.0, 40.0)
SATURATIONS = (0.5, 1.2, 3.0, np.inf)
FRESH_DAYS = 1.0


@dataclass(frozen=True)
class Exposures:
    """Exposures of rows.

    Attributes:
        levels: Unsaturated exposure by channel, half-life and row. Shape (channels, half-lives, rows).
        fresh: Whether the channel touched within the last day. Shape (channels, rows).
    """

    levels: NDArray[np.float32]
    fresh: NDArray[np.float32]


def remaining(age: Floats, half_life: float) -> Floats:
    """What is left of a touch: all of it for a day, then half after each half-life.

    Flat within the first day, so that nothing about memory is read from the minutes before a conversion.
    """
    return np.exp2(-np.maximum(age - FRESH_DAYS, 0.0) / half_life)


def saturate(level: NDArray[np.floating], k: float) -> NDArray[np.floating]:
    """k (1 - exp(-x / k)); the identity for an infinite k."""
    if np.isinf(k):
        return level
    return np.asarray(-k * np.expm1(-level / k), dtype=level.dtype)


def exposures(people: PersonTime, person: Ints, time: Floats, half_lives: tuple[float, ...] = HALF_LIVES) -> Exposures:
    """Exposures of the people at the moments."""
    rows, channels = len(person), len(people.channels)
    row, touch = touches_before(people, person, time)
    age = time[row] - people.time[touch]
    cell = people.channel[touch] * rows + row
    levels = np.empty((channels, len(half_lives), rows), np.float32)
    for i, half_life in enumerate(half_lives):
        kept = remaining(age, half_life)
        levels[:, i] = np.bincount(cell, weights=kept, minlength=channels * rows).reshape(channels, rows)
    fresh = np.bincount(cell[age < FRESH_DAYS], minlength=channels * rows).reshape(channels, rows) > 0
    return Exposures(levels, fresh.astype(np.float32))
