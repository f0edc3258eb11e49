"""What the fitted arrivals say about particular moments: intent, expected touches, and who caused an observed touch."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from attribution_platform.credit.hazard.arrivals import TRACE_HALF_LIVES, Arrivals, Forward, Singles, grid_of
from attribution_platform.credit.hazard.people import PersonTime
from attribution_platform.credit.hazard.risk import touches_before
from attribution_platform.credit.paths import Floats, Ints

PULLS = np.arange(0.0, 2.41, 0.15)


@dataclass(frozen=True)
class Moments:
    """Of each queried row.

    Attributes:
        intent: log E[exp(g z) | touches so far] for each strength g of `PULLS`. Shape (strengths, rows).
        expected: Touches expected in the step, from what came before it. Shape (rows, channels).
    """

    intent: NDArray[np.float32]
    expected: NDArray[np.float32]


def moments(people: PersonTime, model: Arrivals, person: Ints, time: Floats) -> Moments:
    """Filter the whole history and read it at the rows; a row sees the touches of its own step up to its moment."""
    needed = np.unique(person[person < people.people])
    place = np.full(people.people + 1, len(needed))
    place[needed] = np.arange(len(needed))
    grid = grid_of(people, needed)
    row_person = place[person]
    day = np.clip((time / model.step).astype(np.int64), 0, grid.steps - 1)
    order = np.argsort(day, kind="stable")
    bounds = np.searchsorted(day[order], np.arange(grid.steps + 1))
    today_row, today_channel = _same_step(people, person, time, day, model.step)
    by_day = np.argsort(day[today_row], kind="stable")
    today_row, today_channel = today_row[by_day], today_channel[by_day]
    today = np.searchsorted(day[today_row], np.arange(grid.steps + 1))
    channels = len(model.rate)
    intent = np.zeros((len(PULLS), len(person)), np.float32)
    expected = np.zeros((len(person), channels), np.float32)
    weights = np.exp(PULLS[:, None] * model.z.ravel()[None, :]).astype(np.float32)

    def visit(step: int, alpha: Singles, here: Singles, up: Singles, trig: Singles) -> None:
        rows = order[bounds[step] : bounds[step + 1]]
        if not len(rows):
            return
        who = row_person[rows]
        state = alpha[who]
        local = here[who]
        expected[rows] = (
            (local * state[:, None, :, 0]).sum(axis=2) + (local * state[:, None, :, 1]).sum(axis=2) * up + trig[who]
        )
        place_of = np.empty(len(person), np.int64)
        place_of[rows] = np.arange(len(rows))
        mine = slice(today[step], today[step + 1])
        at, channel = place_of[today_row[mine]], today_channel[mine]
        for c in np.unique(channel):
            hit = np.unique(at[channel == c])
            rate = local[hit, c][:, :, None] * np.array([1.0, up[c]], np.float32)
            state[hit] *= np.expm1(np.minimum(rate + trig[who[hit], c][:, None, None] + np.float32(1e-9), 20.0))
        flat = state.reshape(len(rows), -1)
        flat = flat / flat.sum(axis=1, keepdims=True)
        intent[:, rows] = np.log(weights @ flat.T)

    Forward(grid, model).run(visit)
    return Moments(intent, expected)


def _same_step(people: PersonTime, person: Ints, time: Floats, day: Ints, step: float) -> tuple[Ints, Ints]:
    row, touch = touches_before(people, person, time, reach=step)
    same = (people.time[touch] / step).astype(np.int64) >= day[row]
    return row[same], people.channel[touch][same]


def survival(
    people: PersonTime, model: Arrivals, touch: Ints, expected: NDArray[np.float32], member: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Chance that each touch would exist under each coalition.

    Args:
        touch: The touches asked about: all touches of some people, in order. Shape (touches,).
        expected: Touches of its own channel expected when it came. Shape (touches,).
        member: Shape (coalitions, channels).
    """
    person, channel = people.person[touch], people.channel[touch]
    day = (people.time[touch] / model.step).astype(np.int64)
    count = len(touch)
    start = np.searchsorted(person, person)
    index = np.arange(count)
    before = index - start
    child = np.repeat(index, before)
    parent = index.repeat(before) - (np.repeat(np.cumsum(before), before) - np.arange(before.sum()))
    gap = day[child] - day[parent]
    keep = gap > 0
    child, parent, gap = child[keep], parent[keep], gap[keep]
    share = np.zeros(len(child))
    for q, half_life in enumerate(TRACE_HALF_LIVES):
        share += model.causes[q][channel[parent], channel[child]] * np.exp2(-(gap - 1) * model.step / half_life)
    share /= np.maximum(expected[child], 1e-9)
    total = np.bincount(child, weights=share, minlength=count)
    share /= np.maximum(total, 1.0)[child]
    total = np.minimum(total, 1.0)
    causing = share > 1e-4
    caused = sp.csr_matrix((share[causing], (child[causing], parent[causing])), shape=(count, count))
    opens = (model.gate[channel[child]] > 0) & model.openers[channel[parent]]
    opens &= gap * model.step <= model.gate[channel[child]] + 0.5 * model.step
    gates = sp.csr_matrix((np.ones(int(opens.sum())), (child[opens], parent[opens])), shape=(count, count))
    gated = model.gate[channel] > 0

    exists = member.T[channel].astype(np.float32)
    rank = _depth(person, day)
    own = (1.0 - total).astype(np.float32)
    order = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[order], np.arange(rank.max(initial=-1) + 2))
    for level in range(len(bounds) - 1):
        rows = order[bounds[level] : bounds[level + 1]]
        alive = own[rows, None] + caused[rows] @ exists
        shut = np.flatnonzero(gated[rows])
        if len(shut):
            # Touches of different days are taken as independent given the coalition.
            none_open = _none_open(gates[rows[shut]], exists)
            has = np.diff(gates[rows[shut]].indptr) > 0
            alive[shut] *= np.where(has[:, None], 1.0 - none_open, 1.0)
        exists[rows] *= alive
    return exists


def _none_open(gates: sp.csr_matrix, exists: NDArray[np.float32]) -> NDArray[np.float64]:
    """Chance that none of the opening touches exists, rows of `gates` naming them."""
    used = np.unique(gates.indices)
    compact = gates[:, used]
    return np.exp(compact @ np.log(np.maximum(1.0 - exists[used], 1e-6)))


def _depth(person: Ints, day: Ints) -> Ints:
    """Rank of each touch's day among the days on which its person was touched; rows come ordered by person and time."""
    if not len(person):
        return np.zeros(0, np.int64)
    new_person = np.concatenate([[True], person[1:] != person[:-1]])
    new_day = new_person | np.concatenate([[True], day[1:] != day[:-1]])
    running = np.cumsum(new_day)
    base = np.maximum.accumulate(np.where(new_person, running, 0))
    return running - base
