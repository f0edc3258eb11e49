"""Shapley values of named games on channels, exact by subset transforms, sampled with a standard error past that.

A game gives every set S of channels a worth v(S). Four are built in:

`reach` (the default)
    v(S) = conversions expected when only the channels of S exist: journeys walk the order-1 chain of the observed paths
    and end without a conversion where they would touch any other channel. Monotone, never negative, v(all) = the observed
    conversions, and defined for sets nobody was ever exposed to alone.
`subset_sums`
    v(S) = conversions of the journeys whose channels all lie in S. Its value is c(T)/|T| (Harsanyi dividends): linear
    credit over the distinct channels of a journey, in disguise, blind to journeys that did not convert. Exact for any
    number of channels; kept because other tools publish it under the name Shapley.
`conversion_rate`
    v(S) = conversion rate of the journeys whose channels all lie in S, times all journeys. Not monotone: adding a channel
    that occurs in long, lost journeys lowers the rate. Values are kept signed, so that they still sum to the conversions;
    nothing is clipped, because clipping breaks efficiency, additivity and the null player at once.

`fitted`
    v(S) = conversions that a fitted conversion model expects when every journey keeps only its touches of S (a logistic
    model on the logarithm of 1 + touches by channel, pulls not negative). What it expects of journeys without a touch belongs to
    nobody. Monotone by that constraint: a channel after which fewer convert earns nothing, and nobody pays for it.

Any other game is a function from a boolean matrix of sets to worths: `shapley_of`.

`reach` costs O(2ⁿ) instead of one linear solve a set: channels are decided one at a time, and deciding one either deletes
its state or eliminates it (a Schur complement, the walk passes through), so 2ʲ matrices of side n − j remain after j
channels. Along one permutation the same elimination yields every marginal contribution in O(n³).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from attribution_platform.credit.markov import Chain, build_chain
from attribution_platform.credit.paths import Floats, Ints, Paths, conserve, sum_by

# 22 channels: 4M sets, 0.4 GB and a few seconds. One more doubles both.
EXACT_CHANNELS = 22
# Pairs of a permutation and its reverse; at 30 channels the standard error is near 0.3 % of the total credit.
PERMUTATION_PAIRS = 256
# A set of the fitted game costs a pass over the distinct journeys, so fewer of them are visited.
EXACT_FITTED_CHANNELS = 12
FITTED_PAIRS = 32
BLOCK_CELLS = 4_000_000

Game = Callable[[NDArray[np.bool_]], Floats]


@dataclass(frozen=True)
class ShapleyResult:
    """Credit by Shapley value.

    Attributes:
        game: Name of the characteristic function.
        conversions, revenue: Signed values, summing to the totals. Shape (channels,).
        standard_error: Of `conversions`, from sampling permutations; 0 where exact. Shape (channels,).
        exact: Whether every set was visited.
    """

    game: str
    conversions: Floats
    revenue: Floats
    standard_error: Floats
    exact: bool


def shapley_exact(worth: Floats) -> Floats:
    """Shapley values of a game given as a table.

    Args:
        worth: v(S) at index Σ 2^i over the players i in S. Shape (..., 2^n).

    Returns:
        Values, shape (..., n); they sum to v(all) − v(none).
    """
    size = worth.shape[-1]
    n = size.bit_length() - 1
    if size != 1 << n:
        raise ValueError(f"a game on n players has 2^n worths, not {size}")
    if n == 0:
        return np.zeros((*worth.shape[:-1], 0))
    weight_by_size = np.array([factorial(s) * factorial(n - 1 - s) / factorial(n) for s in range(n)])
    weights = weight_by_size[popcount(n - 1)]
    values = np.empty((*worth.shape[:-1], n))
    for player in range(n):
        table = worth.reshape(*worth.shape[:-1], 1 << (n - 1 - player), 2, 1 << player)
        gain = table[..., 1, :] - table[..., 0, :]
        values[..., player] = gain.reshape(*worth.shape[:-1], -1) @ weights
    return values


def popcount(n: int) -> Ints:
    """Number of members of each of the 2^n sets."""
    counts = np.zeros(1 << n, dtype=np.int64)
    for bit in range(n):
        counts[1 << bit : 1 << (bit + 1)] = counts[: 1 << bit] + 1
    return counts


def zeta(values: Floats) -> Floats:
    """Sum over subsets: out[S] = Σ values[T] for T ⊆ S. Shape (2^n,), n·2^n additions."""
    out = values.astype(np.float64, copy=True)
    n = len(out).bit_length() - 1
    for bit in range(n):
        table = out.reshape(-1, 2, 1 << bit)
        table[:, 1] += table[:, 0]
    return out


def mobius(values: Floats) -> Floats:
    """Inverse of `zeta`: the Harsanyi dividends of a game."""
    out = values.astype(np.float64, copy=True)
    n = len(out).bit_length() - 1
    for bit in range(n):
        table = out.reshape(-1, 2, 1 << bit)
        table[:, 1] -= table[:, 0]
    return out


def shapley_of(
    game: Game, players: int, pairs: int = PERMUTATION_PAIRS, seed: int = 0, exact_up_to: int = 16
) -> tuple[Floats, Floats]:
    """Shapley values of any game, such as a fitted model's expected conversions.

    Args:
        game: Worths of the sets given as rows of a boolean matrix (sets, players).
        players: Number of players.
        pairs: Permutations sampled past `exact_up_to`, each with its reverse.
        seed: Of the permutations.
        exact_up_to: Visit every set up to this many players.

    Returns:
        Values and their standard errors (0 where exact), shape (players,) each.
    """
    if players <= exact_up_to:
        masks = np.arange(1 << players)[:, None] >> np.arange(players) & 1 == 1
        return shapley_exact(np.asarray(game(masks), dtype=np.float64)), np.zeros(players)
    marginals = np.empty((2 * pairs, players))
    for row, order in enumerate(antithetic_permutations(players, pairs, seed)):
        sets = np.zeros((players + 1, players), dtype=bool)
        for step, player in enumerate(order):
            sets[step + 1 :, player] = True
        marginals[row, order] = np.diff(np.asarray(game(sets), dtype=np.float64))
    return summarise_pairs(marginals)


def antithetic_permutations(n: int, pairs: int, seed: int) -> Ints:
    """Random orders, each followed by its reverse. Shape (2·pairs, n)."""
    rng = np.random.default_rng(seed)
    forward = rng.permuted(np.tile(np.arange(n), (pairs, 1)), axis=1)
    return np.stack([forward, forward[:, ::-1]], axis=1).reshape(2 * pairs, n)


def summarise_pairs(marginals: Floats) -> tuple[Floats, Floats]:
    """Mean over permutations, and its standard error over the independent pairs."""
    pair_means = marginals.reshape(-1, 2, marginals.shape[-1]).mean(axis=1)
    return pair_means.mean(axis=0), pair_means.std(axis=0, ddof=1) / np.sqrt(len(pair_means))


def chain_matrix(chain: Chain, channels: int) -> Floats:
    """An order-1 chain as one matrix: rows start and channels, columns channels, conversion, payout.

    Returns:
        Shape (channels + 1, channels + 2); rows of channels nobody touched are 0.
    """
    row = chain.last_channel + 1
    matrix = np.zeros((channels + 1, channels + 2))
    matrix[row[chain.source], row[chain.target] - 1] = chain.counts / chain.out[chain.source]
    matrix[row, channels:] = chain.payoffs
    return matrix


def reach_worths(matrix: Floats) -> Floats:
    """Chance to reach each payoff for every set of channels.

    Args:
        matrix: Transition matrices as of `chain_matrix`, with p payoff columns. Shape (batch, n + 1, n + p).

    Returns:
        Shape (batch, 2^n, p); channel i is bit i.
    """
    batch, rows, _ = matrix.shape
    current = matrix[:, None]
    for _ in range(rows - 1):
        # Row 1 and column 0 are the next channel: absent, its state is deleted; present, the walk passes through it.
        keep = np.arange(current.shape[-2]) != 1
        through = current[..., keep, 0] / (1.0 - current[..., 1, 0])[..., None]
        absent = current[..., keep, 1:]
        present = absent + through[..., None] * current[..., 1, None, 1:]
        current = np.concatenate([absent, present], axis=1)
    return current.reshape(batch, 1 << (rows - 1), -1)


def reach_marginals(matrix: Floats, permutations: Ints) -> Floats:
    """Marginal contribution of each channel along each order of arrival.

    Args:
        matrix: Shape (batch, n + 1, n + p).
        permutations: Shape (orders, n).

    Returns:
        Shape (batch, orders, n, p).
    """
    batch, rows, columns = matrix.shape
    n = rows - 1
    out = np.empty((batch, len(permutations), n, columns - n))
    for index, order in enumerate(permutations):
        row_order = np.concatenate([[0], order + 1])
        column_order = np.concatenate([order, np.arange(n, columns)])
        current = matrix[:, row_order][:, :, column_order]
        for channel in order:
            before = current[:, 0, current.shape[1] - 1 :]
            scale = 1.0 / (1.0 - current[:, 1, 0])
            keep = np.concatenate([current[:, :1], current[:, 2:]], axis=1)
            current = keep[:, :, 1:] + (keep[:, :, 0] * scale[:, None])[:, :, None] * current[:, 1, None, 1:]
            out[:, index, channel] = current[:, 0, current.shape[1] - 1 :] - before
    return out


def _reach(paths: Paths, pairs: int, seed: int) -> tuple[Floats, Floats]:
    n = len(paths.channels)
    matrix = chain_matrix(build_chain(paths, 1), n)
    journeys = float((paths.conversions + paths.nulls).sum())
    if n <= EXACT_CHANNELS:
        values = shapley_exact(np.moveaxis(reach_worths(matrix[None])[0], -1, 0)).T
        return values * journeys, np.zeros(n)
    marginals = reach_marginals(matrix[None], antithetic_permutations(n, pairs, seed))[0]
    conversions, error = summarise_pairs(marginals[..., 0])
    revenue, _ = summarise_pairs(marginals[..., 1])
    return np.column_stack([conversions, revenue]) * journeys, error * journeys


def _conversion_rate(paths: Paths, pairs: int, seed: int) -> tuple[Floats, Floats]:
    n = len(paths.channels)
    journeys = paths.conversions + paths.nulls
    rows, codes = paths.distinct_channels()
    measures = np.column_stack([paths.conversions, paths.revenue, journeys])

    def rates(totals: Floats) -> Floats:
        seen = totals[:, 2:]
        return np.divide(totals[:, :2], seen, out=np.zeros((len(totals), 2)), where=seen > 0) * journeys.sum()

    if n <= EXACT_CHANNELS:
        masks = sum_by(rows, np.exp2(codes), paths.rows).astype(np.int64)
        totals = np.column_stack([zeta(sum_by(masks, measures[:, i], 1 << n)) for i in range(3)])
        return shapley_exact(rates(totals).T).T, np.zeros(n)
    starts = np.searchsorted(rows, np.arange(paths.rows))
    marginals = np.empty((2 * pairs, n, 2))
    for index, order in enumerate(antithetic_permutations(n, pairs, seed)):
        rank = np.empty(n, dtype=np.int64)
        rank[order] = np.arange(1, n + 1)
        # A journey counts from the moment the last of its channels has arrived.
        complete = np.maximum.reduceat(rank[codes], starts)
        steps = np.column_stack([sum_by(complete, measures[:, i], n + 1).cumsum() for i in range(3)])
        marginals[index, order] = np.diff(rates(steps), axis=0)
    conversions, error = summarise_pairs(marginals[..., 0])
    return np.column_stack([conversions, summarise_pairs(marginals[..., 1])[0]]), error


def _subset_sums(paths: Paths, pairs: int, seed: int) -> tuple[Floats, Floats]:
    rows, codes = paths.distinct_channels()
    share = 1.0 / np.bincount(rows, minlength=paths.rows)[rows]
    n = len(paths.channels)
    columns = [sum_by(codes, share * measure[rows], n) for measure in (paths.conversions, paths.revenue)]
    return np.column_stack(columns), np.zeros(n)


def fitted_game(paths: Paths) -> Game:
    """The game of a logistic conversion model fitted to the journeys: worths are expected conversions.

    Journeys with equal touches by channel are one row, so a set costs one product over the distinct rows.
    """
    n = len(paths.channels)
    counts = sum_by(paths.row_of_touch * n + paths.codes, np.ones(len(paths.codes)), paths.rows * n).reshape(-1, n)
    distinct, group = np.unique(counts, axis=0, return_inverse=True)
    won = sum_by(group, paths.conversions, len(distinct))
    lost = sum_by(group, paths.nulls, len(distinct))
    values = np.log1p(distinct)
    base, strength = _fit_pulls(values, won, lost)
    pull = values * strength

    def worths(sets: NDArray[np.bool_]) -> Floats:
        out = np.empty(len(sets))
        # A block of sets at a time, so that rows x sets stays small.
        step = max(1, BLOCK_CELLS // max(len(distinct), 1))
        for start in range(0, len(sets), step):
            odds = base + pull @ sets[start : start + step].T
            out[start : start + step] = (won + lost) @ expit(odds)
        return out

    return worths


def _fit_pulls(values: Floats, won: Floats, lost: Floats) -> tuple[float, Floats]:
    """Intercept and pulls (not negative) of a logistic model with a unit ridge on the pulls."""
    both = won + lost

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = parameters[0] + values @ parameters[1:]
        missed = both * expit(odds) - won
        slope = np.concatenate([[missed.sum()], values.T @ missed + parameters[1:]])
        return float(both @ np.logaddexp(0.0, odds) - won @ odds + 0.5 * parameters[1:] @ parameters[1:]), slope

    start = np.zeros(values.shape[1] + 1)
    start[0] = np.log(won.sum() / lost.sum())
    bounds = [(None, None), *[(0.0, None)] * values.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-14})
    return float(found.x[0]), np.asarray(found.x[1:])


def _fitted(paths: Paths, pairs: int, seed: int) -> tuple[Floats, Floats]:
    n = len(paths.channels)
    if not (paths.nulls.sum() > 0 and paths.conversions.sum() > 0):
        raise ValueError("game 'fitted': a conversion model needs journeys that convert and journeys that do not")
    values, error = shapley_of(fitted_game(paths), n, min(pairs, FITTED_PAIRS), seed, exact_up_to=EXACT_FITTED_CHANNELS)
    if values.sum() <= 1e-9 * paths.total_conversions:
        # No channel raises the chance, so there is nothing to divide by: every channel of a journey counts alike.
        return _subset_sums(paths, pairs, seed)
    # The chance of revenue is that of the conversion; what a conversion is worth is not modelled.
    worth = paths.total_revenue / paths.total_conversions
    return np.column_stack([values, values * worth]), error


GAMES: dict[str, Callable[[Paths, int, int], tuple[Floats, Floats]]] = {
    "reach": _reach,
    "subset_sums": _subset_sums,
    "conversion_rate": _conversion_rate,
    "fitted": _fitted,
}


EXACT_UP_TO = {"reach": EXACT_CHANNELS, "conversion_rate": EXACT_CHANNELS, "fitted": EXACT_FITTED_CHANNELS}


def shapley(paths: Paths, game: str = "reach", pairs: int = PERMUTATION_PAIRS, seed: int = 0) -> ShapleyResult:
    """Shapley credit under a named game, scaled to the observed conversions and revenue.

    Raises:
        KeyError: No game has this name.
    """
    if game not in GAMES:
        raise KeyError(f"no game {game!r}; there are: {', '.join(GAMES)}")
    values, error = GAMES[game](paths, pairs, seed)
    conversions = conserve(values[:, 0], paths.total_conversions)
    revenue = conserve(values[:, 1], paths.total_revenue)
    if paths.total_revenue and not revenue.any():
        revenue = conserve(conversions, paths.total_revenue)
    exact = game == "subset_sums" or len(paths.channels) <= EXACT_UP_TO[game]
    return ShapleyResult(game, conversions, revenue, error, exact)


def ordered_shapley(paths: Paths) -> Floats:
    """Ordered variant: credit of each channel by the place it first took among a journey's distinct channels.

    With v over ordered sets and worth only where the whole order was observed, each distinct channel of a converting
    journey earns 1/|T| at its place (Zhao, Mahboobi and Bagheri 2018, section 3.3).

    Returns:
        Conversions, shape (channels, longest number of distinct channels). Rows sum to `subset_sums`.
    """
    key = paths.row_of_touch * max(len(paths.channels), 1) + paths.codes
    _, first = np.unique(key, return_index=True)
    first.sort()
    rows = paths.row_of_touch[first]
    distinct = np.bincount(rows, minlength=paths.rows)
    place = np.arange(len(first)) - (np.cumsum(distinct) - distinct)[rows]
    width = int(distinct.max(initial=0))
    out = np.zeros((len(paths.channels), width))
    np.add.at(out, (paths.codes[first], place), paths.conversions[rows] / distinct[rows])
    return out
