"""Intervals by resampling journeys, every model and replicate at once.

A replicate draws as many journeys as were observed, with replacement (people, where the rows know them: two conversions
of one person are not two independent facts). In matrix form: Poisson weights W of the resampled units, rescaled to the
observed number of journeys, times a sparse matrix X of what each unit contributes. A model says which columns of X it
needs and how its credit follows from their sums:

* rules: the credit of each channel, linear in the journeys;
* Markov order 1 and Shapley `reach`: transition counts, then one batched solve over the replicates;
* Markov order 2 to 4 (and order 1 past 64 channels): each journey's first-order influence on h and on h without each
  channel, so a replicate is a sum and not a solve;
* Shapley past 12 channels: the same few permutations for the replicate and for the point estimate, whose sampling error
  therefore cancels in the difference.

Poisson(1) weights come from a 16-bit inverse table: 1,000 × 100,000 draws in under a second instead of three, at a
probability resolution of 1.5e-5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from attribution_platform.credit.markov import Chain, build_chain
from attribution_platform.credit.paths import Floats, Ints, Paths
from attribution_platform.credit.shapley import (
    antithetic_permutations,
    reach_marginals,
    reach_worths,
    shapley_exact,
)

# Past this many independent units, random groups of them are resampled instead: the variance estimate keeps a relative
# error of √(2 / groups), half a percent, and a million people cost what a hundred thousand do.
MAX_UNITS = 120_000
TABLE_RATES = 24
EXACT_REACH_CHANNELS = 12
BATCHED_MARKOV_CHANNELS = 64
CHUNK_BYTES = 64_000_000


@dataclass(frozen=True)
class Parts:
    """Rows split by outcome: a row with both conversions and nulls is two parts.

    Attributes:
        row: Row of each part. Shape (parts,).
        converts: Whether the part is the row's conversions. Shape (parts,).
        count: Journeys of the part. Shape (parts,).
    """

    row: Ints
    converts: NDArray[np.bool_]
    count: Floats


@dataclass(frozen=True)
class Statistic:
    """What a model needs from a replicate.

    Attributes:
        key: Two statistics with equal keys share their columns.
        columns: What one journey of each part adds. Shape (parts, columns), sparse.
        finish: Sums over journeys, shape (columns, replicates), and conversions, shape (replicates,), to credit in
            conversions, shape (channels, replicates).
    """

    key: str
    columns: Callable[[], sp.csr_matrix]
    finish: Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Interval:
    """Percentile interval of each channel's conversions. Shape (channels,) each."""

    low: Floats
    high: Floats
    replicates: int


def split_parts(paths: Paths) -> Parts:
    """The parts of `paths` that hold any journeys."""
    won = np.flatnonzero(paths.conversions > 0)
    lost = np.flatnonzero(paths.nulls > 0)
    return Parts(
        row=np.concatenate([won, lost]),
        converts=np.concatenate([np.ones(len(won), dtype=bool), np.zeros(len(lost), dtype=bool)]),
        count=np.concatenate([paths.conversions[won], paths.nulls[lost]]),
    )


def linear_statistic(key: str, paths: Paths, parts: Parts, touch_weights: Floats) -> Statistic:
    """Credit that is a fixed share of each journey (rule models)."""
    n = len(paths.channels)

    def columns() -> sp.csr_matrix:
        part_of_row = np.full(paths.rows, -1)
        part_of_row[parts.row[parts.converts]] = np.flatnonzero(parts.converts)
        part = part_of_row[paths.row_of_touch]
        used = (part >= 0) & (touch_weights != 0)
        shape = (len(parts.row), n)
        return sp.csr_matrix((touch_weights[used], (part[used], paths.codes[used])), shape=shape)

    return Statistic(key, columns, lambda sums, conversions: sums)


def chain_columns(paths: Paths, parts: Parts, chain: Chain) -> sp.csr_matrix:
    """Transitions, conversion ends and null ends of one journey of each part, side by side."""
    lengths = paths.lengths[parts.row]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    touches = (
        np.arange(starts[-1]) - np.repeat(starts[:-1], lengths) + np.repeat(paths.offsets[:-1][parts.row], lengths)
    )
    part = np.repeat(np.arange(len(parts.row)), lengths)
    edges, states = len(chain.source), chain.states
    ends = chain.state_of_touch[paths.offsets[1:][parts.row] - 1] + edges + np.where(parts.converts, 0, states)
    row = np.concatenate([part, np.arange(len(parts.row))])
    column = np.concatenate([chain.transition_of_touch[touches], ends])
    return sp.csr_matrix((np.ones(len(row)), (row, column)), shape=(len(parts.row), edges + 2 * states))


def _chain_matrices(chain: Chain, channels: int, sums: Floats) -> Floats:
    """Order-1 matrices of `chain_matrix` for every replicate, conversion payoff only. Shape (b, n + 1, n + 1)."""
    edges, states = len(chain.source), chain.states
    row = chain.last_channel + 1
    matrix = np.zeros((sums.shape[1], channels + 1, channels + 1))
    matrix[:, row[chain.source], row[chain.target] - 1] = sums[:edges].T
    matrix[:, row, channels] = sums[edges : edges + states].T
    out = matrix.sum(axis=2)
    out[:, row] += sums[edges + states :].T
    return matrix / np.where(out > 0, out, 1.0)[:, :, None]


def _normalised(effects: Floats, conversions: Floats) -> Floats:
    total = effects.sum(axis=0)
    scale = np.divide(conversions, total, out=np.zeros_like(total), where=np.abs(total) > 0)
    return effects * scale


def markov_statistic(paths: Paths, parts: Parts, order: int) -> Statistic:
    """Removal-effect credit of one order."""
    chain = build_chain(paths, order)
    n = len(paths.channels)
    if order > 1 or n > BATCHED_MARKOV_CHANNELS:
        return _markov_by_influence(paths, parts, chain)

    def finish(sums: Floats, conversions: Floats) -> Floats:
        matrix = _chain_matrices(chain, n, sums)
        generator = np.broadcast_to(np.eye(n + 1), matrix.shape).copy()
        generator[:, :, 1:] -= matrix[:, :, :n]
        inverse = np.linalg.inv(generator)
        chance = np.einsum("bij,bj->bi", inverse, matrix[:, :, n])
        visits_once = inverse[:, 0, 1:] / np.einsum("bii->bi", inverse)[:, 1:]
        return _normalised((visits_once * chance[:, 1:]).T, conversions)

    return Statistic("chain1", lambda: chain_columns(paths, parts, chain), finish)


def _markov_by_influence(paths: Paths, parts: Parts, chain: Chain) -> Statistic:
    n = len(paths.channels)
    generator, payoff = chain.generator, chain.payoffs[:, 0]
    edges, states = len(chain.source), chain.states
    start_chance = np.zeros(n + 1)
    # Influence of one more journey over each transition or end, on h[0] without each channel (last: with all).
    influence = np.zeros((edges + 2 * states, n + 1))
    for channel in range(n + 1):
        keep = np.flatnonzero(chain.last_channel != channel)
        if channel < n and len(keep) == states:
            keep = np.arange(states)
        factor = splu(generator[np.ix_(keep, keep)].tocsc())
        unit = np.zeros(len(keep))
        unit[0] = 1.0
        chance, visits = np.zeros(states), np.zeros(states)
        chance[keep] = factor.solve(payoff[keep])
        visits[keep] = factor.solve(unit, trans="T")
        pull = visits / chain.out
        start_chance[channel] = chance[0]
        influence[:edges, channel] = pull[chain.source] * (chance[chain.target] - chance[chain.source])
        influence[edges : edges + states, channel] = pull * (1.0 - chance)
        influence[edges + states :, channel] = pull * -chance

    def columns() -> sp.csr_matrix:
        return sp.csr_matrix(chain_columns(paths, parts, chain) @ influence)

    def finish(sums: Floats, conversions: Floats) -> Floats:
        chance = start_chance[:, None] + sums
        effects = 1.0 - np.divide(chance[:n], chance[n:], out=np.ones_like(chance[:n]), where=chance[n:] > 0)
        return _normalised(np.maximum(effects, 0.0), conversions)

    return Statistic(f"influence{chain.order}", columns, finish)


def reach_statistic(paths: Paths, parts: Parts, point: Floats, seed: int) -> Statistic:
    """Shapley credit of the `reach` game. `point` is the estimate on the data itself, shape (channels,)."""
    chain = build_chain(paths, 1)
    n = len(paths.channels)
    exact = n <= EXACT_REACH_CHANNELS
    pairs = 8 if n <= 32 else 2
    orders = antithetic_permutations(n, pairs, seed)

    def values(matrix: Floats) -> Floats:
        if exact:
            return shapley_exact(reach_worths(matrix)[:, :, 0]).T
        return reach_marginals(matrix, orders)[..., 0].mean(axis=1).T

    def finish(sums: Floats, conversions: Floats) -> Floats:
        found = _normalised(values(_chain_matrices(chain, n, sums)), conversions)
        return found if exact else np.maximum(found + offset[:, None], 0.0)

    offset = np.zeros(n)
    if not exact:
        matrix = _chain_matrices(chain, n, _observed(chain)[:, None])
        offset = point - _normalised(values(matrix), np.array([paths.total_conversions]))[:, 0]
    return Statistic("chain1", lambda: chain_columns(paths, parts, chain), finish)


def _observed(chain: Chain) -> Floats:
    return np.concatenate([chain.counts, chain.to_conversion, chain.to_null])


def bootstrap(
    paths: Paths,
    parts: Parts,
    statistics: dict[str, Statistic],
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of every model from the same replicates.

    Args:
        paths: Distinct paths, or journeys that know their person.
        parts: `split_parts(paths)`.
        statistics: One per model.
        replicates: Number of resamples.
        seed: Same seed, same intervals, whatever the chunking.
        level: Coverage aimed at.
    """
    if not statistics or replicates < 2 or not len(parts.row):
        return {}
    blocks: dict[str, tuple[int, int]] = {}
    matrices: list[sp.csr_matrix] = [sp.csr_matrix(parts.converts.astype(np.float64)[:, None])]
    width = 1
    for statistic in statistics.values():
        if statistic.key not in blocks:
            matrix = statistic.columns()
            blocks[statistic.key] = (width, width + matrix.shape[1])
            width += matrix.shape[1]
            matrices.append(matrix)
    columns = sp.csr_matrix(sp.hstack(matrices, format="csr"))
    units, rates, sizes = _units(paths, parts, columns, seed)
    chunk = _chunk_size(len(rates), width, len(paths.channels))
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(-(-replicates // chunk))]
    collected: dict[str, list[Floats]] = {name: [] for name in statistics}
    centre = {s.key: _centre(s, columns, parts, blocks) for s in statistics.values()}
    done = 0
    for generator in generators:
        size = min(chunk, replicates - done)
        done += size
        weights = _poisson(generator, rates, size)
        sums = units.T @ weights
        sums *= float(rates @ sizes) / np.maximum(sizes @ weights, 1e-12)
        for name, statistic in statistics.items():
            low, high = blocks[statistic.key]
            block = sums[low:high] - centre[statistic.key][:, None]
            collected[name].append(statistic.finish(block, sums[0]))
    tail = 50.0 * (1.0 - level)
    out = {}
    for name, chunks in collected.items():
        low_high = np.percentile(np.concatenate(chunks, axis=1), [tail, 100.0 - tail], axis=1)
        out[name] = Interval(low_high[0], low_high[1], replicates)
    return out


def _centre(statistic: Statistic, columns: sp.csr_matrix, parts: Parts, blocks: dict[str, tuple[int, int]]) -> Floats:
    """Influences are deviations: their sum over the data itself (0 but for rounding) is taken off."""
    low, high = blocks[statistic.key]
    if not statistic.key.startswith("influence"):
        return np.zeros(high - low)
    return np.asarray(columns[:, low:high].T @ parts.count)


def _chunk_size(units: int, width: int, channels: int) -> int:
    per_replicate = 8 * (units + 2 * width + 3 * (channels + 1) ** 2)
    if channels <= EXACT_REACH_CHANNELS:
        per_replicate += 8 * 12 * 2**channels
    return int(np.clip(CHUNK_BYTES // per_replicate, 1, 64))


def _units(paths: Paths, parts: Parts, columns: sp.csr_matrix, seed: int) -> tuple[sp.csr_matrix, Floats, Floats]:
    """Independent units: their summed columns, their expected count (Poisson rate) and the journeys one stands for."""
    count = len(parts.row)
    if paths.person is None:
        unit, rates = np.arange(count), parts.count
    else:
        unit, rates = _person_units(paths, parts)
    number = len(rates)
    sizes = np.ones(number)
    single = np.flatnonzero(rates == 1.0)
    if number > MAX_UNITS and len(single) > MAX_UNITS // 2:
        groups = MAX_UNITS // 2
        relabel = np.full(number, -1, dtype=np.int64)
        relabel[single] = np.random.default_rng([seed, 1]).permutation(len(single)) % groups
        rest = np.flatnonzero(relabel < 0)
        relabel[rest] = groups + np.arange(len(rest))
        sizes = np.concatenate([np.bincount(relabel[single], minlength=groups).astype(np.float64), np.ones(len(rest))])
        rates = np.concatenate([np.ones(groups), rates[rest]])
        unit = relabel[unit]
    if paths.person is None and len(rates) == count:
        return columns, rates, sizes
    gather = sp.csr_matrix((np.ones(count), (unit, np.arange(count))), shape=(len(rates), count))
    return sp.csr_matrix(gather @ columns), rates, sizes


def _person_units(paths: Paths, parts: Parts) -> tuple[Ints, Floats]:
    """People are units; a negative code is a path shared by many who did not convert, with their number as its rate."""
    assert paths.person is not None
    people, unit = np.unique(paths.person[parts.row], return_inverse=True)
    rates = np.ones(len(people))
    shared = paths.person[parts.row] < 0
    rates[unit[shared]] = parts.count[shared]
    return unit, rates


def _poisson(generator: np.random.Generator, rates: Floats, size: int) -> Floats:
    """Poisson counts, shape (units, size)."""
    out = np.empty((len(rates), size))
    small = (rates <= TABLE_RATES) & (rates == np.floor(rates))
    for rate in np.unique(rates[small]):
        rows = np.flatnonzero(small & (rates == rate))
        draws = generator.integers(0, 1 << 16, size=(len(rows), size), dtype=np.uint16)
        out[rows] = _table(float(rate))[draws]
    others = np.flatnonzero(~small)
    if len(others):
        out[others] = generator.poisson(rates[others, None], size=(len(others), size))
    return out


def _table(rate: float) -> Floats:
    """Inverse of the Poisson distribution on a grid of 2^16 midpoints."""
    probabilities: list[float] = [exp(-rate)]
    while sum(probabilities) < 1 - 1e-9 and len(probabilities) < 400:
        probabilities.append(probabilities[-1] * rate / len(probabilities))
    grid = (np.arange(1 << 16) + 0.5) / (1 << 16)
    return np.searchsorted(np.cumsum(probabilities), grid).astype(np.float64)
