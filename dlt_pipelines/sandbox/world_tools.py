"""Small tools the parts of the sandbox world share: seeded streams, tokens, times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

HEX = "0123456789abcdef"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Micros = NDArray[np.int64]


def stream(seed: int, part: str) -> np.random.Generator:
    """A generator of its own for each named part, so that a change in one part moves nothing in another."""
    return np.random.Generator(np.random.Philox(key=[seed, (1 << 50) + crc32(part.encode())]))


def tokens(rng: np.random.Generator, count: int, length: int, alphabet: str = BASE64) -> NDArray[np.object_]:
    """``count`` random texts of ``length`` letters."""
    letters = np.frombuffer(alphabet.encode(), dtype="S1")
    if not count:
        return np.empty(0, dtype=object)
    drawn = letters[rng.integers(0, len(letters), (count, length))]
    return drawn.view(f"S{length}").ravel().astype(str).astype(object)


def pick(
    rng: np.random.Generator, options: Sequence[Any], count: int, weights: Sequence[float] | None = None
) -> NDArray[np.object_]:
    """``count`` options drawn with replacement, as objects."""
    chances = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    pool = np.empty(len(options), dtype=object)
    pool[:] = options
    return pool[rng.choice(len(options), count, p=chances)]


def texts(pattern: str, *columns: Any) -> NDArray[np.object_]:
    """``pattern.format`` row by row."""
    result = np.empty(len(columns[0]), dtype=object)
    result[:] = [pattern.format(*row) for row in zip(*columns, strict=True)]
    return result


def midnight(day: date) -> int:
    """Microseconds since 1970 at the UTC midnight that begins ``day``."""
    return int(pd.Timestamp(day).value // 1000)


def times(micros: Any) -> pd.Series:
    """Microseconds since 1970 as tz-naive UTC timestamps; negative values become NaT."""
    values = np.asarray(micros, dtype=np.int64)
    stamps = values.astype("datetime64[us]")
    stamps[values < 0] = np.datetime64("NaT")
    return pd.Series(stamps)


def local_dates(micros: Micros, zone: str) -> pd.Series:
    """The calendar date (midnight timestamp) in a time zone."""
    local = times(micros).dt.tz_localize("UTC").dt.tz_convert(zone)
    return local.dt.tz_localize(None).dt.normalize().astype("datetime64[us]")
