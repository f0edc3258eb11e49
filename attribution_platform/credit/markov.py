"""Markov credit of order 1 to 4 in closed form: an absorbing chain, no simulation.

Removing a channel means: a journey that reaches it ends there without a conversion. With N = (I − Q)⁻¹ the expected
visits and h = N·R the chance to convert from each state, the share of conversions that pass through a set of states S is

    RE(S) = N[0, S] · N[S, S]⁻¹ · h[S] / h[0]

which for one state is N[0, k]·h[k] / (N[k, k]·h[0]): every channel from one inverse (block matrix inversion of I − Q;
Anderl et al. 2016, "Mapping the customer journey", for the model itself). Value effects put the expected payout of the
last state in place of R. Credit is RE normalised to the total; the raw effects are kept, because they do not sum to 1.

States of order k are the last k channels (fewer at the start of a journey). A channel owns the states that end in it:
any other state that contains it can only be reached through one of those.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from attribution_platform.credit.paths import Floats, Ints, Paths, conserve, sum_by

MAX_ORDER = 4
# Up to here one dense inverse with block updates wins; above, one sparse factorisation per channel does. Measured on 12
# channels, block against solve: 13 states 0.3 / 2.9 ms; 125 states 31 / 15 ms; 967 states 500 / 87 ms; 4,256 7.9 / 0.34 s.
DENSE_STATES = 100
# With one state a channel (order 1) every effect comes straight from the inverse, which is worth far larger matrices:
# 501 states 0.05 s against 5.5 s for 500 factorisations.
DENSE_STATES_ORDER_1 = 4000
# Past it, all removals are iterated together: 967 states .06 against .19 s, 4,256 .17 against 1.2 s.
ITERATED_STATES = 500
MAX_WALK = 2000


@dataclass(frozen=True)
class Chain:
    """Transition counts of one order.

    States: 0 is the start, then one per observed history. Absorbing ends are kept apart.

    Attributes:
        order: Length of the remembered history.
        last_channel: Channel each state ends in; −1 for the start. Shape (states,).
        state_of_touch: State reached by each touch of the input. Shape (touches,).
        source, target: Distinct transitions between states. Shape (transitions,).
        transition_of_touch: Index of the transition that led to each touch. Shape (touches,).
        counts: Journeys over each transition. Shape (transitions,).
        to_conversion, to_null: Journeys that ended from each state. Shape (states,).
        payout: Revenue that ended from each state. Shape (states,).
    """

    order: int
    last_channel: Ints
    state_of_touch: Ints
    source: Ints
    target: Ints
    transition_of_touch: Ints
    counts: Floats
    to_conversion: Floats
    to_null: Floats
    payout: Floats

    @property
    def states(self) -> int:
        """Number of transient states, the start included."""
        return len(self.last_channel)

    @cached_property
    def out(self) -> Floats:
        """Journeys leaving each state; 1 where none does, so that a division is safe. Shape (states,)."""
        leaving = sum_by(self.source, self.counts, self.states)
        leaving = leaving + self.to_conversion + self.to_null
        return np.where(leaving > 0, leaving, 1.0)

    @cached_property
    def generator(self) -> sp.csc_matrix:
        """I − Q, sparse. Shape (states, states)."""
        q = sp.csc_matrix(
            (self.counts / self.out[self.source], (self.source, self.target)), shape=(self.states, self.states)
        )
        return (sp.identity(self.states, format="csc") - q).tocsc()

    @cached_property
    def payoffs(self) -> Floats:
        """Chance to convert and expected payout at the end of each state. Shape (states, 2)."""
        return np.column_stack([self.to_conversion / self.out, self.payout / self.out])


@dataclass(frozen=True)
class MarkovResult:
    """What one chain says about each channel.

    Attributes:
        order: Order of the chain.
        conversion_probability: Chance that a journey converts, h[0].
        removal_effects: Share of conversions lost without the channel. Shape (channels,).
        value_removal_effects: The same for revenue. Shape (channels,).
        conversions, revenue: Effects normalised to the totals. Shape (channels,).
    """

    order: int
    conversion_probability: float
    removal_effects: Floats
    value_removal_effects: Floats
    conversions: Floats
    revenue: Floats


def build_chain(paths: Paths, order: int = 1) -> Chain:
    """Count transitions. Rows with neither conversions nor nulls count for nothing.

    Raises:
        ValueError: Order outside 1 to 4.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ValueError(f"Markov order must be 1 to {MAX_ORDER}, not {order}")
    base = len(paths.channels) + 1
    codes = paths.codes.astype(np.int64) + 1
    position = paths.position
    history = codes.copy()
    for lag in range(1, order):
        # 0 stands for "before the journey began": short histories stay distinct from long ones.
        earlier = np.zeros_like(codes)
        earlier[lag:] = np.where(position[lag:] >= lag, codes[:-lag], 0)
        if base ** (lag + 1) > np.iinfo(np.int64).max:
            raise ValueError(f"{base - 1} channels are too many for a chain of order {order}")
        history += earlier * base**lag
    keys, state = np.unique(history, return_inverse=True)
    state = state + 1
    previous = np.zeros_like(state)
    previous[1:] = np.where(position[1:] > 0, state[:-1], 0)
    states = len(keys) + 1
    edges, edge_of_touch = np.unique(previous * states + state, return_inverse=True)
    journeys = paths.conversions + paths.nulls
    ends = state[paths.offsets[1:] - 1] if paths.rows else np.empty(0, np.int64)
    return Chain(
        order=order,
        last_channel=np.concatenate([[-1], keys % base - 1]).astype(np.int64),
        state_of_touch=state,
        source=edges // states,
        target=edges % states,
        transition_of_touch=edge_of_touch,
        counts=sum_by(edge_of_touch, journeys[paths.row_of_touch], len(edges)),
        to_conversion=sum_by(ends, paths.conversions, states),
        to_null=sum_by(ends, paths.nulls, states),
        payout=sum_by(ends, paths.revenue, states),
    )


def removal_effects(chain: Chain, channels: int) -> tuple[Floats, Floats]:
    """Start payoffs and the share of each lost with each channel removed.

    Returns:
        h[0] for conversions and value, shape (2,), and effects, shape (channels, 2).
    """
    if chain.states <= (DENSE_STATES_ORDER_1 if chain.order == 1 else DENSE_STATES):
        return _effects_by_block(chain, channels)
    # Factors of a large chain fill in: 2,551 states of 50 channels took over 100 s, the iteration 1.4.
    found = _effects_by_iteration(chain, channels) if chain.states > ITERATED_STATES else None
    return _effects_by_solve(chain, channels) if found is None else found


def _ratio(lost: Floats, start: Floats) -> Floats:
    return np.divide(lost, start, out=np.zeros_like(lost), where=np.abs(start) > 0)


def _effects_by_block(chain: Chain, channels: int) -> tuple[Floats, Floats]:
    inverse = np.linalg.inv(chain.generator.toarray())
    value = inverse @ chain.payoffs
    lost = np.zeros((channels, 2))
    for channel in range(channels):
        block = np.flatnonzero(chain.last_channel == channel)
        if len(block):
            lost[channel] = inverse[0, block] @ np.linalg.solve(inverse[np.ix_(block, block)], value[block])
    return value[0], _ratio(lost, np.broadcast_to(value[0], lost.shape))


def _effects_by_solve(chain: Chain, channels: int) -> tuple[Floats, Floats]:
    generator, payoffs = chain.generator, chain.payoffs
    start = splu(generator).solve(payoffs)[0]
    lost = np.zeros((channels, 2))
    for channel in range(channels):
        keep = chain.last_channel != channel
        if not keep.all():
            reduced = splu(generator[np.ix_(keep, keep)].tocsc()).solve(payoffs[keep])
            lost[channel] = start - reduced[0]
    return start, _ratio(lost, np.broadcast_to(start, lost.shape))


def _effects_by_iteration(chain: Chain, channels: int) -> tuple[Floats, Floats] | None:
    """All removals at once by h ← Q h + payoffs, from zero: the sum over walks by length, which grows to h from below.

    It ends when the walks still to come weigh less than rounding does; None where walks are too long for that.
    """
    walks = sp.identity(chain.states, format="csr") - chain.generator.tocsr()
    payoffs = chain.payoffs
    removed = np.concatenate([np.arange(channels), [-2]])
    alive = chain.last_channel[:, None] != removed[None, :]
    start = np.zeros((len(removed), 2))
    for value in range(2):
        first = payoffs[:, value, None] * alive
        total, change = first.copy(), float(np.abs(first).max(initial=0.0))
        for _ in range(MAX_WALK):
            if change == 0.0:
                break
            following = (walks @ total + payoffs[:, value, None]) * alive
            step = float(np.abs(following - total).max())
            ratio, total, change = step / change, following, step
            if ratio < 1.0 and step * ratio / (1.0 - ratio) <= 1e-14 * np.abs(total).max():
                break
        else:
            return None
        start[:, value] = total[0]
    lost = start[-1] - start[:-1]
    return start[-1], _ratio(lost, np.broadcast_to(start[-1], lost.shape))


def markov(paths: Paths, order: int = 1) -> MarkovResult:
    """Credit by removal effects. `paths` may repeat rows; order 1 to 4."""
    distinct = paths if paths.hours is None and paths.person is None else paths.distinct()[0]
    chain = build_chain(distinct, order)
    start, effects = removal_effects(chain, len(paths.channels))
    # A solve leaves −1e-17 where the true effect is 0.
    conversion_effects = np.where(np.abs(effects[:, 0]) < 1e-14, 0.0, effects[:, 0])
    value_effects = np.where(np.abs(effects[:, 1]) < 1e-14, 0.0, effects[:, 1])
    revenue = conserve(value_effects, paths.total_revenue)
    if paths.total_revenue and not revenue.any():
        revenue = conserve(conversion_effects, paths.total_revenue)
    return MarkovResult(
        order=order,
        conversion_probability=float(start[0]),
        removal_effects=conversion_effects,
        value_removal_effects=value_effects,
        conversions=conserve(conversion_effects, paths.total_conversions),
        revenue=revenue,
    )
