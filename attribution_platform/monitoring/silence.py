"""A source that says nothing: how many days may pass before that is no chance.

A source with two records a day is silent for a day once a week and for a fortnight never. If records came independently, the
chance of a silence over days that should have brought `m` records is e^-m; they come in bursts (a newsletter, then nothing), so a
silence must also be twice as long as any the baseline knew. Days are the data's own: a day counts when any source spoke on it.
"""

import math

import numpy as np
import pandas as pd

from attribution_platform.monitoring.baseline import Bools, Floats, Ints, weekday_of
from attribution_platform.monitoring.cusum import CusumOptions
from attribution_platform.monitoring.detect import ALARM, OK, SHORT_HISTORY, SIGNAL_COLUMNS

__all__ = ["FRESHNESS", "SILENCE", "detect_silence"]

FRESHNESS, SILENCE = "freshness", "silence"
# Chance of a silence that nothing explains, per silence that begins.
CHANCE = 1e-4
FEWEST_SEEN = 3


def detect_silence(frame: pd.DataFrame, options: CusumOptions | None = None) -> pd.DataFrame:
    """Silences of every segment of a table of daily record counts.

    Args:
        frame: segment, date, numerator (records of that day, 0 where there were none); one row a day and segment.
        options: `baseline_days` good days before a silence say what was to be expected, after `min_baseline_days`.

    Returns:
        SIGNAL_COLUMNS of metric `freshness`: one row a silence (`expected` records a day, `observed` 0, `n` days of silence so
        far), or the reason why there is none. `date` is the day on which it could be known.
    """
    options = options or CusumOptions()
    rows: list[dict[str, object]] = []
    for segment, own in frame.sort_values("date", kind="stable").groupby("segment", sort=True):
        day = pd.to_datetime(own["date"]).to_numpy().astype("datetime64[D]").astype(np.int64)
        rows += _of_source(str(segment), day, own["numerator"].to_numpy(dtype=np.float64), options)
    table = pd.DataFrame(rows, columns=list(SIGNAL_COLUMNS))
    for column in ("date", "first_bad_on", "recovered_on"):
        table[column] = pd.to_datetime(table[column], unit="D").astype("datetime64[s]")
    for column in ("z", "expected", "observed", "size", "size_low", "size_high", "n"):
        table[column] = table[column].astype(np.float64)
    return table


def _of_source(segment: str, day: Ints, records: Floats, options: CusumOptions) -> list[dict[str, object]]:
    blank: dict[str, object] = dict.fromkeys(SIGNAL_COLUMNS)
    blank |= {"metric": FRESHNESS, "segment": segment, "scheme": SILENCE, "direction": ""}
    rows: list[dict[str, object]] = []
    usual = np.zeros(7)
    longest = 0
    begun: int | None = None
    missed = 0.0
    alarm: dict[str, object] | None = None
    good = 0
    is_good = np.zeros(len(day), dtype=bool)
    for t in range(len(day)):
        if records[t] > 0:
            if alarm is not None:
                alarm |= {"recovered_on": int(day[t]), "n": float(day[t] - day[begun or 0])}
                alarm = None
            elif begun is not None:
                longest = max(longest, t - begun)
            begun, missed = None, 0.0
        elif begun is None:
            begun = t
        if alarm is None:
            good += 1
            is_good[t] = True
        if records[t] == 0 and begun is not None and alarm is None and good >= options.min_baseline_days:
            if begun == t or not usual.any():
                usual = _by_weekday(day[:t], records[:t], is_good[:t], options.baseline_days)
            missed += usual[int(weekday_of(day[t]))]
            silent = t - begun + 1
            if missed > -math.log(CHANCE) and silent > 2 * longest:
                alarm = blank | {
                    "date": int(day[t]),
                    "direction": "down",
                    "first_bad_on": int(day[begun]),
                    "status": ALARM,
                    "expected": missed / silent,
                    "observed": 0.0,
                    "size": -1.0,
                    "n": float(silent),
                }
                rows.append(alarm)
        elif alarm is not None:
            alarm["n"] = float(t - (begun or 0) + 1)
    if alarm is None and len(day):
        judged = good >= options.min_baseline_days and int((records > 0).sum()) >= FEWEST_SEEN
        if not judged or not rows:
            rows.append(
                blank | {"date": int(day[-1]), "status": OK if judged else SHORT_HISTORY, "n": float(records.mean())}
            )
    return rows


def _by_weekday(day: Ints, records: Floats, is_good: Bools, baseline_days: int) -> Floats:
    """Mean records of each weekday of the last good days, shrunk to the common mean by one week's worth."""
    kept = np.flatnonzero(is_good)[-baseline_days:]
    day, records = day[kept], records[kept]
    weekday = weekday_of(day)
    seen = np.bincount(weekday, minlength=7)
    total = np.bincount(weekday, weights=records, minlength=7)
    return np.asarray((total + records.mean()) / (seen + 1))
