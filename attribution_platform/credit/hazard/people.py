"""Person-time: who was touched when, who converted when, and who was watched for how long.

Everything downstream reads this one canonical form. Touches are ordered by person, time and channel, people by when they
were first and last seen and channels by how much they are used, so neither the order of rows nor the names of people and
channels can move a result: names are keyed hashes, and another key is no reason for other credit.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attribution_platform.credit.paths import Floats, Ints

Lots = NDArray[np.uint64]
ODD = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: steps that spread evenly


class HazardInputError(ValueError):
    """The person-time cannot be used; the message says which column or setting is at fault."""


@dataclass(frozen=True)
class PersonTime:
    """Touches and conversions of people, in days since the start of the window.

    Attributes:
        channels: Names; codes index it.
        person, time, channel: Of each touch, ordered by person and time. Shape (touches,).
        first_touch: Touches of person i are `first_touch[i]:first_touch[i + 1]`. Shape (people + 1,).
        case_person, case_time: Of each conversion, ordered likewise. Shape (conversions,).
        source_touch, source_case: Row of the input behind each touch and each conversion.
        lot: Random number of each person that stays theirs whoever else comes or goes. Shape (people,).
        exit: When each person stops being watched: the end, or their conversion where nobody converts twice.
        days: Length of the window.
        unseen: People who were watched, never touched and never converted; they appear in no table.
        recurrent: Whether people convert more than once.
    """

    channels: tuple[str, ...]
    person: Ints
    time: Floats
    channel: Ints
    first_touch: Ints
    case_person: Ints
    case_time: Floats
    source_touch: Ints
    source_case: Ints
    lot: Lots
    exit: Floats
    days: float
    unseen: int
    recurrent: bool

    @property
    def people(self) -> int:
        """People seen."""
        return len(self.first_touch) - 1


def unseen_people(touches_of: Ints, converted: np.ndarray) -> int:
    """Chao's (1987) lower bound for the people whom nothing touched, f1² / 2 f2, less those seen to convert untouched."""
    once, twice = int((touches_of == 1).sum()), int((touches_of == 2).sum())
    never = once * (once - 1) / (2.0 * (twice + 1))
    return max(round(never) - int((converted & (touches_of == 0)).sum()), 0)


def person_time(
    touches: pd.DataFrame,
    conversions: pd.DataFrame,
    start: float,
    end: float,
    people: int | None = None,
) -> PersonTime:
    """Bring tables with person, time (days) and channel into canonical form.

    Args:
        touches: person, time, channel.
        conversions: person, time.
        start, end: The window in which both were recorded; rows outside are left out.
        people: How many people were watched, seen or not; None estimates it.

    Raises:
        HazardInputError: The window is empty.
    """
    if not end > start:
        raise HazardInputError(f"the window must end after it starts, got {start} to {end}")
    at = touches["time"].to_numpy(np.float64)
    bought = conversions["time"].to_numpy(np.float64)
    kept = np.flatnonzero((at >= start) & (at <= end))
    sold = np.flatnonzero((bought >= start) & (bought <= end))
    codes, names = pd.factorize(touches["channel"].to_numpy(object)[kept], sort=True)
    labels = np.concatenate([touches["person"].to_numpy()[kept], conversions["person"].to_numpy()[sold]])
    person, found = pd.factorize(labels, sort=True)
    rank, lot = _person_rank(person, np.concatenate([at[kept], bought[sold]]), len(found))
    person = rank[person]
    rank = _channel_rank(codes, at[kept], person[: len(kept)], len(names))
    codes = rank[codes]
    ordered = np.empty(len(names), object)
    ordered[rank] = names

    who, when = person[: len(kept)], at[kept] - start
    order = np.lexsort((codes, when, who))
    buyer, moment = person[len(kept) :], bought[sold] - start
    ranked = np.lexsort((moment, buyer))
    count = len(found)
    bought_by = np.bincount(buyer, minlength=count)
    recurrent = bool((bought_by > 1).any())
    leave = np.full(count, float(end - start))
    if not recurrent:
        leave[buyer] = moment
    touched = np.bincount(who, minlength=count)
    unseen = unseen_people(touched, bought_by > 0) if people is None else max(people - count, 0)
    return PersonTime(
        channels=tuple(str(name) for name in ordered),
        person=who[order].astype(np.int64),
        time=when[order],
        channel=codes[order].astype(np.int64),
        first_touch=np.concatenate([[0], np.cumsum(touched)]).astype(np.int64),
        case_person=buyer[ranked].astype(np.int64),
        case_time=moment[ranked],
        source_touch=kept[order],
        source_case=sold[ranked],
        lot=lot,
        exit=leave,
        days=float(end - start),
        unseen=unseen,
        recurrent=recurrent,
    )


def draw_lots(keys: Lots, *numbers: int) -> Lots:
    """Random numbers that depend on the key and the numbers alone, whatever else is drawn. Shape as `keys`, one axis."""
    for number in numbers:
        keys = np.asarray(pd.util.hash_array(keys + np.uint64(ODD * (number + 1) % 2**64)))
    return keys


def _person_rank(person: Ints, at: Floats, count: int) -> tuple[Ints, Lots]:
    """Place of each person by first moment, last moment and the sum of all, names deciding only between equals; and the
    lots in that order, which come of the first moment."""
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, person, at)
    np.maximum.at(last, person, at)
    order = np.lexsort((np.arange(count), np.bincount(person, weights=at, minlength=count), last, first))
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    moment = first[order]
    twin = np.arange(count) - np.searchsorted(moment, moment)
    return rank, draw_lots(np.asarray(pd.util.hash_array(moment)), 0) + draw_lots(twin.astype(np.uint64), 1)


def _channel_rank(codes: Ints, at: Floats, person: Ints, count: int) -> Ints:
    """Place of each channel by touches, then people, then time: names decide only between equals."""
    touches = np.bincount(codes, minlength=count)
    reach = np.bincount(
        np.unique(codes * (person.max(initial=0) + 1) + person) // (person.max(initial=0) + 1), minlength=count
    )
    time = np.bincount(codes, weights=at, minlength=count)
    rank = np.empty(count, np.int64)
    rank[np.lexsort((np.arange(count), time, -reach, -touches))] = np.arange(count)
    return rank
