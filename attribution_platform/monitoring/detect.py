"""From a table of daily numerators and denominators to a table of signals, one row per alarm and never a silent series.

Pure: frames in, frame out. Every series ends in at least one row: its alarms, or why it could not be judged, or `ok`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from attribution_platform.monitoring.baseline import Bools, Floats, Ints
from attribution_platform.monitoring.cusum import CusumOptions, Panel, Scan, scan
from attribution_platform.monitoring.xmr import RUN_LENGTH, xmr_chart

__all__ = [
    "FINE_CUTS",
    "SIGNAL_COLUMNS",
    "DetectOptions",
    "DuplicateDayError",
    "daily_z",
    "detect",
    "is_fine_cut",
    "segment_label",
]

SIGNAL_COLUMNS = (
    "metric",
    "segment",
    "date",
    "scheme",
    "direction",
    "z",
    "first_bad_on",
    "status",
    "recovered_on",
    "expected",
    "observed",
    "size",
    "size_low",
    "size_high",
    "n",
)
ALARM, OK, SIGNAL = "alarm", "ok", "signal"
LOW_VOLUME, SHORT_HISTORY, STALE = "insufficient volume", "insufficient history", "stale"
RECENT_DAYS = 28
STALE_AFTER_DAYS = 7
FEWEST_WEEKS = 8
ANY, ALL = "*", "all"
# Cuts with many values. Judged like the others, some 350 of them would call wolf 40 times a year; two sigmas more on the sum
# make a false alarm e^(2k·2) = 55 times rarer, and a page that lost its click ids is far beyond that the same day.
FINE_CUTS = frozenset({"landing_page", "browser", "device", "country", "channel"})
FINE_EXTRA_H = 2.0
FINE_EXTRA_POINT = 1.5


def segment_label(kind: str, segment: str) -> str:
    """One text for a cut and its value: `browser=Safari`; `all` and other totals stay as they are."""
    return segment if kind in ("", ALL, ANY) else f"{kind}={segment}"


def is_fine_cut(segments: pd.Series) -> pd.Series:
    """Which labels are of a cut with many values: these say where something is, the others that it is."""
    return segments.map(lambda label: str(label).partition("=")[0] in FINE_CUTS).astype(bool)


class DuplicateDayError(ValueError):
    """Two rows for one day of one series; `row` is the position of the second."""

    def __init__(self, row: int, message: str) -> None:
        super().__init__(message)
        self.row = row


@dataclass(frozen=True)
class DetectOptions:
    """How to judge.

    Attributes:
        default: For every metric not named in `metrics`.
        metrics: Metric to its own settings.
        weekly_chart: Also list the weekly XmR chart's signals (status `signal`, scheme `xmr_weekly`). Off, because that chart
            is for reading: it calls wolf once a metric-year.
    """

    default: CusumOptions = field(default_factory=CusumOptions)
    metrics: Mapping[str, CusumOptions] = field(default_factory=dict)
    weekly_chart: bool = False

    def of(self, metric: str, segment: str) -> CusumOptions:
        """Settings of one series; one of a fine cut (`browser=Safari`) needs more evidence."""
        chosen = self.metrics.get(metric, self.default)
        if segment.partition("=")[0] not in FINE_CUTS:
            return chosen
        return replace(chosen, h=chosen.h + FINE_EXTRA_H, point=chosen.point + FINE_EXTRA_POINT)


@dataclass(frozen=True)
class _Series:
    """All series end to end, ordered by series and day."""

    metrics: list[str]
    segments: list[str]
    start: Ints
    stop: Ints
    day: Ints
    numerator: Floats
    denominator: Floats
    is_count: Bools


def detect(frame: pd.DataFrame, options: DetectOptions, phases: pd.DataFrame | None = None) -> pd.DataFrame:
    """Judge every (metric, segment) of a table.

    Args:
        frame: metric, segment, date, numerator, denominator (NaN throughout a series: a count without denominator); in any
            order, at most one row a day and series. A day whose denominator is zero or NaN is skipped.
        options: Thresholds.
        phases: metric, segment, phase_start_on (`*` for any): a person accepted a new baseline from that day on.

    Returns:
        SIGNAL_COLUMNS, sorted by metric, segment, date and scheme. `date` is the day of the alarm, or the last judged day.

    Raises:
        DuplicateDayError: A day appears twice in a series.
    """
    series = _series(frame)
    starts = _phase_starts(series, phases)
    last_day = int(series.day.max()) if len(series.day) else 0
    rows: list[dict[str, object]] = []
    usable = _usable(series, options)
    if options.weekly_chart:
        for i in range(len(series.start)):
            rows += _weekly_rows(series, i, np.flatnonzero(usable[_own(series, i)]) + series.start[i], starts[i])
    for group in _groups(series, usable, starts, options):
        rows += _judge(series, group, last_day)
    table = pd.DataFrame(rows, columns=list(SIGNAL_COLUMNS))
    table = table.sort_values(["metric", "segment", "date", "scheme", "status"], kind="stable", ignore_index=True)
    for column in ("date", "first_bad_on", "recovered_on"):
        table[column] = pd.to_datetime(table[column], unit="D").astype("datetime64[s]")
    for column in ("z", "expected", "observed", "size", "size_low", "size_high", "n"):
        table[column] = table[column].astype(np.float64)
    return table


def daily_z(frame: pd.DataFrame, options: DetectOptions, phases: pd.DataFrame | None = None) -> pd.DataFrame:
    """The z every judged day got from its own chart: one row a day, one column `metric · segment` a series of enough volume."""
    series = _series(frame)
    parts = []
    for group in _groups(series, _usable(series, options), _phase_starts(series, phases), options):
        result = scan(group.panel, group.options)
        for s, (i, *_) in enumerate(group.members):
            if result.volume[s] >= group.options.min_volume:
                length = int(group.panel.length[s])
                name = f"{series.metrics[i]} · {series.segments[i]}"
                parts.append(pd.Series(result.z[s, :length], index=group.panel.day[s, :length], name=name))
    columns: dict[str, pd.Series] = {}
    for part in parts:
        held = columns.get(str(part.name))
        columns[str(part.name)] = part if held is None else pd.concat([held, part])
    table = pd.DataFrame({name: columns[name] for name in sorted(columns)}).sort_index()
    table.index = pd.to_datetime(table.index, unit="D")
    return table


@dataclass(frozen=True)
class _Group:
    """Series of one kind, with like settings and like length, as a panel; members: series, first and last position, is newest."""

    panel: Panel
    options: CusumOptions
    members: list[tuple[int, int, int, bool]]


def _usable(series: _Series, options: DetectOptions) -> Bools:
    """Days with something to judge, after the warm-up of their metric."""
    owner = _owner(series)
    pairs = zip(series.metrics, series.segments, strict=True)
    warm_up = np.array([options.of(*pair).warm_up_days for pair in pairs], dtype=np.int64)
    since = series.day - (series.day.min() if len(series.day) else 0)
    return np.asarray((series.is_count[owner] | (series.denominator > 0)) & (since >= warm_up[owner]))


def _own(series: _Series, i: int) -> slice:
    return slice(series.start[i], series.stop[i])


def _groups(series: _Series, usable: Bools, starts: list[list[int]], options: DetectOptions) -> Iterator[_Group]:
    groups: dict[tuple[bool, CusumOptions, int], list[tuple[int, int, int, bool]]] = {}
    for i in range(len(series.start)):
        cuts = [*starts[i], np.inf]
        kept = np.flatnonzero(usable[_own(series, i)]) + series.start[i]
        edges = [0, *(int(np.searchsorted(series.day[kept], cut)) for cut in cuts)]
        chosen = options.of(series.metrics[i], series.segments[i])
        for j in range(len(edges) - 1):
            is_last = j == len(edges) - 2
            length = edges[j + 1] - edges[j]
            if length or is_last:
                # Series of like length are judged together, so that padding never more than doubles the work.
                key = (bool(series.is_count[i]), chosen, int(length).bit_length())
                groups.setdefault(key, []).append((i, edges[j], edges[j + 1], is_last))
    positions = np.flatnonzero(usable)
    first_usable = np.searchsorted(positions, series.start)
    for (is_count, chosen, _), members in groups.items():
        yield _Group(_panel(series, positions, first_usable, is_count, members), chosen, members)


def _series(frame: pd.DataFrame) -> _Series:
    metric, segment = (frame[name].astype("category") for name in ("metric", "segment"))
    names = [[str(name) for name in column.cat.categories] for column in (metric, segment)]
    ranks = [np.argsort(np.argsort(np.array(each, dtype=object))) for each in names]
    key = ranks[0][metric.cat.codes] * len(names[1]) + ranks[1][segment.cat.codes] if len(frame) else np.zeros(0, int)
    day = pd.to_datetime(frame["date"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    order = np.lexsort((day, key))
    key, day = key[order], day[order]
    twice = np.flatnonzero((key[1:] == key[:-1]) & (day[1:] == day[:-1]))
    if len(twice):
        row = int(min(order[i + 1] for i in twice))
        label = f"metric {frame['metric'].iloc[row]}, segment {frame['segment'].iloc[row]}"
        raise DuplicateDayError(row, f"{label}: this day appears twice; sum the rows of one day first")
    start = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.zeros(0, dtype=np.int64)
    stop = np.r_[start[1:], len(key)] if len(key) else start
    denominator = frame["denominator"].to_numpy(dtype=np.float64)[order]
    is_count = np.logical_and.reduceat(np.isnan(denominator), start) if len(key) else np.zeros(0, dtype=bool)
    by_rank = [sorted(each) for each in names]
    return _Series(
        metrics=[by_rank[0][k // len(by_rank[1])] for k in key[start]],
        segments=[by_rank[1][k % len(by_rank[1])] for k in key[start]],
        start=start,
        stop=stop,
        day=day,
        numerator=frame["numerator"].to_numpy(dtype=np.float64)[order],
        denominator=denominator,
        is_count=is_count,
    )


def _owner(series: _Series) -> Ints:
    return np.repeat(np.arange(len(series.start)), series.stop - series.start)


def _phase_starts(series: _Series, phases: pd.DataFrame | None) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in series.metrics]
    if phases is None or phases.empty:
        return found
    days = pd.to_datetime(phases["phase_start_on"]).to_numpy().astype("datetime64[D]").astype(np.int64)
    for metric, segment, day in zip(phases["metric"], phases["segment"], days, strict=True):
        for i, (own_metric, own_segment) in enumerate(zip(series.metrics, series.segments, strict=True)):
            in_type = segment.endswith(f"={ANY}") and own_segment.startswith(segment[: -len(ANY)])
            if metric in (own_metric, ANY) and (segment in (own_segment, ANY) or in_type):
                found[i].append(int(day))
    return [sorted(set(each)) for each in found]


def _panel(
    series: _Series, positions: Ints, first_usable: Ints, is_count: bool, members: list[tuple[int, int, int, bool]]
) -> Panel:
    length = np.array([end - begin for _, begin, end, _ in members], dtype=np.int64)
    column = np.arange(int(length.max()))
    own = column < length[:, None]
    begin = np.array([first_usable[i] + begin for i, begin, _, _ in members], dtype=np.int64)
    at = np.where(own, begin[:, None] + column, 0)
    at = positions[at] if len(positions) else at
    return Panel(
        numerator=np.where(own, series.numerator[at], 0.0),
        denominator=None if is_count else np.where(own, series.denominator[at], 1.0),
        day=np.where(own, series.day[at], 0),
        length=length,
    )


def _judge(series: _Series, group: _Group, last_day: int) -> list[dict[str, object]]:
    panel, options, members = group.panel, group.options, group.members
    length = panel.length
    result = scan(panel, options)
    rows: list[dict[str, object]] = []
    has_alarm, is_open = np.zeros(len(members), dtype=bool), np.zeros(len(members), dtype=bool)
    enough = result.volume >= options.min_volume
    found = result.episodes
    for e, s in enumerate(found.series):
        if not enough[s]:
            continue
        has_alarm[s], is_open[s] = True, found.recovered[e] < 0
        rows.append(
            _row(series, members[s][0])
            | {
                "date": int(panel.day[s, found.position[e]]),
                "scheme": "point" if found.is_point[e] else "cusum",
                "direction": "down" if found.direction[e] < 0 else "up",
                "z": found.z[e],
                "first_bad_on": int(panel.day[s, found.first_bad[e]]),
                "status": ALARM,
                "recovered_on": int(panel.day[s, found.recovered[e]]) if found.recovered[e] >= 0 else None,
                "expected": found.expected[e],
                "observed": found.observed[e],
                "size": found.size[e],
                "size_low": found.size_low[e],
                "size_high": found.size_high[e],
                "n": found.n[e],
            }
        )
    for s, (i, _, _, is_last) in enumerate(members):
        if not is_last or is_open[s]:
            continue
        status = _status(series, i, panel, result, s, options, last_day)
        if status == OK and has_alarm[s]:
            continue
        rows.append(
            _row(series, i)
            | {
                "date": int(panel.day[s, length[s] - 1]) if length[s] else int(series.day[series.stop[i] - 1]),
                "scheme": "cusum",
                "z": result.z[s, length[s] - 1] if length[s] else None,
                "status": status,
                "n": result.volume[s],
            }
        )
    return rows


def _row(series: _Series, i: int) -> dict[str, object]:
    blank: dict[str, object] = dict.fromkeys(SIGNAL_COLUMNS)
    return blank | {"metric": series.metrics[i], "segment": series.segments[i], "direction": ""}


def _status(series: _Series, i: int, panel: Panel, result: Scan, s: int, options: CusumOptions, last_day: int) -> str:
    """Volume first: a series too thin to judge does not get better by waiting."""
    own = slice(series.start[i], series.stop[i])
    units = np.nan_to_num(series.numerator[own] if series.is_count[i] else series.denominator[own])
    recent = units[series.day[own] > last_day - RECENT_DAYS]
    if result.volume[s] < options.min_volume:
        return LOW_VOLUME
    if not result.is_judged[s]:
        return SHORT_HISTORY
    if last_day - int(panel.day[s, panel.length[s] - 1]) > STALE_AFTER_DAYS:
        return STALE
    if len(recent) and recent.mean() < options.min_volume:
        return LOW_VOLUME
    return OK


def _weekly_rows(series: _Series, i: int, kept: Ints, phase_starts: list[int]) -> list[dict[str, object]]:
    """Signals of the weekly chart, on Monday weeks that lie wholly inside the series."""
    day = series.day[kept]
    if not len(day):
        return []
    week = (day + 3) // 7
    whole = (week >= -((-(day[0] + 3)) // 7)) & (week < (day[-1] + 4) // 7)
    weeks, slot = np.unique(week[whole], return_inverse=True)
    if len(weeks) <= FEWEST_WEEKS:
        return []
    total: Floats = np.bincount(slot, weights=series.numerator[kept][whole]).astype(np.float64)
    if not series.is_count[i]:
        total = total / np.bincount(slot, weights=series.denominator[kept][whole])
    given = [int(np.searchsorted(weeks, -(-(start + 3) // 7))) for start in phase_starts]
    chart = xmr_chart(total, [start for start in given if 0 < start < len(weeks)])
    rows = []
    for p in np.flatnonzero((chart.signal != 0) | (chart.run != 0)):
        by_limits = chart.signal[p] != 0
        sigma = (chart.upper[p] - chart.centre[p]) / 3
        rows.append(
            _row(series, i)
            | {
                "date": int(weeks[p] * 7 - 3 + 6),
                "scheme": "xmr_weekly" if by_limits else "xmr_weekly_run",
                "direction": "down" if (chart.signal[p] if by_limits else chart.run[p]) < 0 else "up",
                "z": (total[p] - chart.centre[p]) / sigma if sigma > 0 else None,
                "first_bad_on": int(weeks[p if by_limits else p - RUN_LENGTH + 1] * 7 - 3),
                "status": SIGNAL,
                "expected": chart.centre[p],
                "observed": total[p],
            }
        )
    return rows
