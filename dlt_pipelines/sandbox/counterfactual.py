"""What each channel of a simulated world truly caused: the Shapley value of the game that replays the world.

``v(S)`` is how many conversions happen when only the channels of S exist, everything else drawn the same (``behaviour``).

Choices, made once and relied upon:
- every channel of the config is a player, Direct included: it deserves what its effect says (none in the presets)
  and what it makes possible (a visit that retargeting then follows);
- ``v(no channel)`` is what would have happened anyway. It belongs to no channel and is left out of the shares;
- a closing touch (somebody about to buy types the address or searches the brand) is a symptom of the conversion, so it
  carries no effect, whatever the effect of its channel.
"""

from collections.abc import Iterator
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

from dlt_pipelines.sandbox.behaviour import BehaviourConfig, Block, Index, Outcome, block_count, draw_block, replay

MAX_PLAYERS = 10


def _expected_conversions(config: BehaviourConfig, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
    """E[min(N, max_conversions)] with N Poisson(hazard): the exponential clock integrated out, so v(S) has no clock noise."""
    expected = -np.expm1(-hazard)
    for k in range(1, config.max_conversions):
        expected = expected + poisson.sf(k, hazard)
    return expected


def _masks_below(mask: int) -> Iterator[int]:
    below = mask
    while True:
        yield below
        if below == 0:
            return
        below = (below - 1) & mask


def coalition_values(config: BehaviourConfig, realised: bool = False) -> NDArray[np.float64]:
    """v(S) for every coalition: conversions with only the channels of S. Index = bit mask over config order.

    A person whom the full world touches through the channels A lives the same life under S as under S ∩ A, because
    switching channels off only ever removes touches. So each person is replayed 2^|A| times instead of 2^n (measured:
    about a tenth of the work). Where a negative effect meets hazard-driven touches that is not so, and A is everything.

    Args:
        realised: count the clock's actual conversions instead of their expectation.

    Raises:
        ValueError: more than 10 channels.
    """
    count = len(config.channels)
    if count > MAX_PLAYERS:
        raise ValueError(f"exact truth replays 2^n coalitions: at most {MAX_PLAYERS} channels, got {count}")
    negative = any(c.effect < 0 for c in config.channels) or any(s.effect < 0 for s in config.synergies)
    inhibits = any(t.probability < 0 for t in config.triggers)
    monotone = not inhibits and not (negative and any(c.hazard_driven for c in config.channels))
    bits = 1 << np.arange(count)
    values = np.zeros(1 << count)
    for number in range(block_count(config)):
        block = draw_block(config, number)

        def worth(outcome: Outcome, who: Index, block: Block = block) -> NDArray[np.float64]:
            if realised:
                clock = block.clock[:, who]
                inside = (clock > outcome.hazard_before) & (clock <= outcome.hazard)
                return inside.sum(axis=0).astype(np.float64)
            expected = _expected_conversions(config, outcome.hazard)
            # What happened before the first day is nobody's conversion here; the touches of then count for those of now.
            return expected - _expected_conversions(config, outcome.hazard_before)

        everyone = np.arange(block.size)
        full = replay(config, block, range(count))
        reached = (full.touched * bits[:, None]).sum(axis=0) if monotone else np.full(block.size, (1 << count) - 1)
        by_reach: dict[int, dict[int, float]] = {int(mask): {} for mask in np.unique(reached)}
        needed = sorted({below for mask in by_reach for below in _masks_below(mask)})
        for mask in needed:
            who = everyone[(reached & mask) == mask]
            active = [c for c in range(count) if mask >> c & 1]
            value = worth(replay(config, block, active, who), who)
            sums = np.bincount(reached[who], weights=value, minlength=1 << count)
            for reach in np.unique(reached[who]):
                by_reach[int(reach)][mask] = float(sums[reach])
        for reach, table in by_reach.items():
            lookup = np.zeros(1 << count)
            lookup[list(table)] = list(table.values())
            values += lookup[np.arange(1 << count) & reach]
    return values


def shapley_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shapley value of a game given as 2^n coalition values indexed by bit mask (Shapley 1953)."""
    count = int(np.log2(len(values)))
    masks = np.arange(1 << count)
    size = np.array([int(m).bit_count() for m in masks])
    weight = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
    result = np.zeros(count)
    for player in range(count):
        without = masks[(masks >> player & 1) == 0]
        result[player] = np.sum(weight[size[without]] * (values[without | 1 << player] - values[without]))
    return result


def true_shapley(config: BehaviourConfig, realised: bool = False) -> pd.DataFrame:
    """What each channel truly caused: columns channel, conversions, share.

    ``conversions`` sum to v(all channels) - v(none); ``share`` is of that sum (0 where nothing was caused). Channels come
    in config order.
    """
    caused = shapley_of(coalition_values(config, realised=realised))
    total = caused.sum()
    share = caused / total if abs(total) > 1e-12 else np.zeros_like(caused)
    return pd.DataFrame({"channel": list(config.channel_names), "conversions": caused, "share": share})
