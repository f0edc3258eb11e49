"""The one input of every credit model: journeys as flat channel codes with offsets.

A row is a journey (touch-level input: one conversion or one person who did not convert) or a distinct path with counts
(aggregated input). Both have the same shape, so a model is written once. Ragged arrays instead of lists of lists: ten
million touches are two numpy arrays, and every rule is a handful of vectorised operations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SEPARATOR = " > "
DIRECT = "Direct"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def sum_by(index: NDArray[np.integer], weights: NDArray[np.generic], size: int = 0) -> Floats:
    """Sum of `weights` for each value of `index`, at least `size` of them."""
    return np.asarray(np.bincount(index, weights=weights, minlength=size), dtype=np.float64)


class PathError(ValueError):
    """A journey that no model can read; the message names the row and says what to do."""

    def __init__(self, message: str, row: int | None = None) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class PeopleLog:
    """What journeys were cut from, for models that need people and time: every touch and every conversion.

    Attributes:
        channels: Names the codes of this log index; filters may have renamed those of the journeys.
        person, at, channel: Person code, microseconds since 1970 and channel code of each touch. Shape (all touches,).
        buyer, bought_at: Person code and microseconds of each conversion. Shape (all conversions,).
        touch: Touch behind each touch of the converting rows, which come first; -1 where there is none.
        conversion: Conversion of each converting row. Shape (converting rows,).
    """

    channels: tuple[str, ...]
    person: Ints
    at: Ints
    channel: Ints
    buyer: Ints
    bought_at: Ints
    touch: Ints
    conversion: Ints


@dataclass(frozen=True)
class Paths:
    """Journeys or distinct paths.

    Attributes:
        channels: Channel names, sorted; codes index it.
        codes: Channel code of every touch, rows one after the other, first touch first. Shape (touches,).
        offsets: Row r owns `codes[offsets[r]:offsets[r + 1]]`. Shape (rows + 1,).
        conversions: Conversions of each row. Shape (rows,).
        nulls: Journeys of each row that ended without a conversion. Shape (rows,).
        revenue: Revenue of each row's conversions, summed. Shape (rows,).
        hours: Hours from each touch to its conversion, or None where only the order is known. Shape (touches,).
        person: Code of the person behind each row, or None where rows are aggregates. Resampling is by person.
        log: The people behind a whole set of journeys; any selection of rows drops it.
    """

    channels: tuple[str, ...]
    codes: Ints
    offsets: Ints
    conversions: Floats
    nulls: Floats
    revenue: Floats
    hours: Floats | None = None
    person: Ints | None = None
    log: PeopleLog | None = None
    _cache: dict[str, NDArray[np.generic]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Touches of each row. Shape (rows,)."""
        return np.diff(self.offsets)

    @property
    def row_of_touch(self) -> Ints:
        """Row that owns each touch. Shape (touches,)."""
        if "row_of_touch" not in self._cache:
            self._cache["row_of_touch"] = np.repeat(np.arange(self.rows), self.lengths)
        return self._cache["row_of_touch"].astype(np.int64, copy=False)

    @property
    def position(self) -> Ints:
        """Zero-based position of each touch in its row. Shape (touches,)."""
        return np.arange(len(self.codes)) - self.offsets[self.row_of_touch]

    @property
    def total_conversions(self) -> float:
        """Conversions over all rows."""
        return float(self.conversions.sum())

    @property
    def total_revenue(self) -> float:
        """Revenue over all rows."""
        return float(self.revenue.sum())

    def credit_totals(self, touch_weights: Floats, per_row: Floats) -> Floats:
        """Sum `touch_weights × per_row` by channel. Shape (channels,)."""
        return sum_by(self.codes, touch_weights * per_row[self.row_of_touch], len(self.channels))

    def distinct_channels(self) -> tuple[Ints, Ints]:
        """Each (row, channel) that occurs, once, ordered by row: two arrays of equal length."""
        key = self.row_of_touch * len(self.channels) + self.codes
        unique = np.unique(key)
        return unique // len(self.channels), unique % len(self.channels)

    def converting(self) -> "Paths":
        """Only the rows with conversions (what rule credit is spread over)."""
        return self.take(np.flatnonzero(self.conversions > 0))

    def take(self, rows: Ints) -> "Paths":
        """The given rows, in the given order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        touches = (
            np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths) + np.repeat(self.offsets[:-1][rows], lengths)
        )
        return replace(
            self,
            codes=self.codes[touches],
            offsets=offsets,
            conversions=self.conversions[rows],
            nulls=self.nulls[rows],
            revenue=self.revenue[rows],
            hours=None if self.hours is None else self.hours[touches],
            person=None if self.person is None else self.person[rows],
            log=None,
            _cache={},
        )

    def distinct(self) -> tuple["Paths", Ints]:
        """Group equal channel sequences.

        Returns:
            The distinct paths, sorted by their codes so that the order of the input rows cannot matter, and for every
            row of this object the distinct path it belongs to. Shape (rows,).
        """
        codes = self.codes.astype(">u4")
        raw = codes.tobytes()
        bounds = (self.offsets * 4).tolist()
        keys = np.empty(self.rows, dtype=object)
        keys[:] = [raw[a:b] for a, b in pairwise(bounds)]
        group, unique = pd.factorize(keys, sort=False)
        order = sorted(range(len(unique)), key=unique.__getitem__)
        rank = np.empty(len(unique), dtype=np.int64)
        rank[order] = np.arange(len(unique))
        group = rank[group]
        first = np.full(len(unique), self.rows, dtype=np.int64)
        np.minimum.at(first, group, np.arange(self.rows))
        picked = replace(self, hours=None, person=None, _cache={}).take(first)
        size = len(unique)
        grouped = replace(
            picked,
            conversions=sum_by(group, self.conversions, size),
            nulls=sum_by(group, self.nulls, size),
            revenue=sum_by(group, self.revenue, size),
        )
        return grouped, group

    def strings(self) -> list[str]:
        """Each row as channels joined by " > "."""
        names = np.array(self.channels, dtype=object)[self.codes]
        bounds = self.offsets.tolist()
        return [SEPARATOR.join(names[a:b]) for a, b in pairwise(bounds)]


def parse_paths(
    path: Sequence[str] | pd.Series,
    conversions: Sequence[float] | Floats,
    revenue: Sequence[float] | Floats | None = None,
    nulls: Sequence[float] | Floats | None = None,
) -> Paths:
    """Read paths written as channels joined by " > " (blanks around ">" do not matter). Rows are kept as they are.

    Raises:
        PathError: A path is empty or has an empty step; `row` is its zero-based index.
    """
    text, texts = factorize_texts(path)
    size = len(text)
    return replace(
        _parse_texts(text, texts).take(text),
        conversions=np.asarray(conversions, dtype=np.float64),
        revenue=np.zeros(size) if revenue is None else np.asarray(revenue, dtype=np.float64),
        nulls=np.zeros(size) if nulls is None else np.asarray(nulls, dtype=np.float64),
    )


def group_paths(text: Ints, texts: Sequence[str], conversions: Floats, revenue: Floats, nulls: Floats) -> Paths:
    """Distinct paths of rows whose text is given as codes into distinct texts.

    Equal texts are summed before anything is parsed: a million rows of ten thousand paths cost the ten thousand.

    Raises:
        PathError: As `parse_paths`.
    """
    size = len(texts)
    summed = replace(
        _parse_texts(text, texts),
        conversions=sum_by(text, conversions, size),
        revenue=sum_by(text, revenue, size),
        nulls=sum_by(text, nulls, size),
    )
    return summed.distinct()[0]


def factorize_texts(path: Sequence[str] | pd.Series) -> tuple[Ints, list[str]]:
    """Codes into distinct texts, and the texts. Shape (rows,).

    Raises:
        PathError: A path is missing.
    """
    values = path if isinstance(path, pd.Series) else np.asarray(path, dtype=object)
    text, unique = pd.factorize(values, sort=False, use_na_sentinel=True)
    if (text < 0).any():
        row = int(np.argmax(text < 0))
        raise PathError(f"path {row + 1} is empty", row)
    return np.asarray(text, dtype=np.int64), [str(name) for name in unique]


def _parse_texts(text: Ints, texts: Sequence[str]) -> Paths:
    """One row a text, without counts."""
    counts = np.array([name.count(">") + 1 for name in texts], dtype=np.int64)
    tokens = np.array(">".join(texts).split(">"), dtype=object) if len(texts) else np.empty(0, dtype=object)
    token_codes, names = pd.factorize(tokens, sort=False)
    stripped = [str(name).strip() for name in names]
    channels = tuple(sorted(set(stripped)))
    if "" in channels:
        bad = int(np.argmax(np.array(stripped, dtype=object)[token_codes] == ""))
        which = int(np.searchsorted(np.cumsum(counts), bad, side="right"))
        row = int(np.argmax(text == which))
        raise PathError(f"path {row + 1} has an empty step: {texts[which]!r}", row)
    index = {name: i for i, name in enumerate(channels)}
    remap = np.array([index[name] for name in stripped], dtype=np.int64)
    codes = remap[token_codes] if len(tokens) else np.empty(0, np.int64)
    zeros = np.zeros(len(texts))
    return Paths(channels, codes, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), zeros, zeros, zeros)


def conserve(values: Floats, total: float) -> Floats:
    """Scale non-degenerate `values` to `total` and give the last rounding error to the largest.

    Credit must add up to the conversions it came from, not to something that rounds to them.
    """
    summed = float(values.sum())
    if total == 0 or summed == 0 or not np.isfinite(summed):
        return np.zeros_like(values)
    scaled = values * (total / summed)
    scaled[int(np.argmax(np.abs(scaled)))] += total - float(scaled.sum())
    return scaled
