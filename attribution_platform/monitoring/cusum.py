"""Daily alarms: a two-sided CUSUM on the standardised day, or one day so far off that nothing need accumulate.

A baseline is fitted on the first 28 good days, refined every seventh good day, and frozen at 84. It never rolls: a window that
moves swallows the fault it should show. An alarm opens an episode that lasts until the series is back (a sequential
likelihood-ratio test between the size of the fault and none) or a person accepts a new baseline, which starts a new series
here. k = 1 and h = 4 were chosen by measurement: at 100 units a day a fall from 80 to 65 % is seen within three days nine
times of ten, at about one false alarm in seven metric-years.
"""

from dataclasses import dataclass, field

import numpy as np

from attribution_platform.monitoring.baseline import (
    Bools,
    Fit,
    Floats,
    Ints,
    fit_counts,
    fit_rates,
    weekday_of,
)

__all__ = ["CusumOptions", "Episodes", "Panel", "Scan", "scan"]

RECOVERY_EVIDENCE = 12.0
FEWEST_GOOD_DAYS = 2
REFIT_EVERY = 7


@dataclass(frozen=True)
class CusumOptions:
    """Settings of the daily alarm.

    Attributes:
        k: Allowance in sigmas; half the shift that is found fastest.
        h: Decision interval in sigmas.
        point: One day beyond this many sigmas is an alarm by itself.
        clip: Largest |z| one day may add to the sum.
        baseline_days: Good days after which the baseline is frozen.
        min_baseline_days: Good days before the first judgement.
        min_volume: Mean daily denominator (or count) below which nothing is said.
        follow: The baseline is the last `follow_days` good days instead of the first `baseline_days`: for what grows with the
            business. Days of an alarm still never enter, so a fault is not swallowed; a leak slower than about one sigma in
            `follow_days` is.
        follow_days: See `follow`.
        warm_up_days: Days from the first of the whole table that are neither judged nor learned from: for what compares a day
            with what was known before it, when nothing was.
    """

    k: float = 1.0
    h: float = 4.0
    point: float = 4.5
    clip: float = 4.0
    baseline_days: int = 84
    min_baseline_days: int = 28
    min_volume: float = 10.0
    follow: bool = False
    follow_days: int = 42
    warm_up_days: int = 0

    def __post_init__(self) -> None:
        for name in ("k", "h", "point", "clip", "min_volume"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")
        if self.warm_up_days < 0:
            raise ValueError(f"warm_up_days must not be negative, not {self.warm_up_days!r}")
        if not 14 <= self.min_baseline_days <= self.baseline_days:
            raise ValueError(
                f"min_baseline_days must be between 14 and baseline_days, not {self.min_baseline_days!r} of "
                f"{self.baseline_days!r}"
            )


@dataclass(frozen=True)
class Panel:
    """Series of the same kind, padded on the right to one length.

    Attributes:
        numerator: (series, days), usable days only, in order.
        denominator: (series, days); None for counts.
        day: (series, days), days since 1970-01-01.
        length: (series,) how many of the columns are the series' own.
    """

    numerator: Floats
    denominator: Floats | None
    day: Ints
    length: Ints


@dataclass(frozen=True)
class Episodes:
    """One entry per alarm, in order of series and day; positions index a panel's columns.

    Attributes:
        series: Row of the panel.
        position: Day of the alarm.
        first_bad: First day of the fault: the day after the sum was last at zero; of a point alarm the day itself.
        recovered: First good day again, or -1.
        is_point: Whether one day alone was enough.
        direction: -1 down, 1 up.
        z: Of the day of the alarm.
        expected, observed: Over the bad days so far; rates, or daily counts (geometric means).
        size, size_low, size_high: observed - expected in rate units with its 95 % interval; for counts observed / expected - 1.
        n: Sum of the denominators of the bad days; for counts the number of days.
    """

    series: Ints
    position: Ints
    first_bad: Ints
    recovered: Ints
    is_point: Bools
    direction: Ints
    z: Floats
    expected: Floats
    observed: Floats
    size: Floats
    size_low: Floats
    size_high: Floats
    n: Floats


@dataclass(frozen=True)
class Scan:
    """Everything found in a panel.

    Attributes:
        z: (series, days), NaN where a day was not judged.
        is_judged: (series,) whether any day was.
        volume: (series,) mean daily denominator or count of the baseline; of all days where there is none.
        episodes: The alarms.
    """

    z: Floats
    is_judged: Bools
    volume: Floats
    episodes: Episodes


@dataclass
class _State:
    """What is carried from day to day; all arrays (series,)."""

    series: int
    up: Floats = field(init=False)
    down: Floats = field(init=False)
    up_from: Ints = field(init=False)
    down_from: Ints = field(init=False)
    good: Ints = field(init=False)
    fitted_at: Ints = field(init=False)
    active: Ints = field(init=False)
    episode: Ints = field(init=False)
    bad_sum: Floats = field(init=False)
    bad_days: Ints = field(init=False)
    back: Floats = field(init=False)
    back_from: Ints = field(init=False)
    back_sum: Floats = field(init=False)
    back_days: Ints = field(init=False)

    def __post_init__(self) -> None:
        for name in ("up", "down", "bad_sum", "back", "back_sum"):
            setattr(self, name, np.zeros(self.series))
        for name in (
            "up_from",
            "down_from",
            "good",
            "fitted_at",
            "active",
            "bad_days",
            "back_from",
            "back_days",
        ):
            setattr(self, name, np.zeros(self.series, dtype=np.int64))
        self.episode = np.full(self.series, -1, dtype=np.int64)


def scan(panel: Panel, options: CusumOptions) -> Scan:
    """Judge every day of every series in order, using only the days before it."""
    series, width = panel.numerator.shape
    is_count = panel.denominator is None
    denominator = np.ones_like(panel.numerator) if panel.denominator is None else panel.denominator
    weekday = weekday_of(panel.day)
    fit = Fit.empty(series, is_count)
    state = _State(series)
    use = np.zeros((series, width), dtype=bool)
    z_all = np.full((series, width), np.nan)
    found: list[tuple[int, int, int, bool, int, float]] = []
    recovered: list[int] = []
    # The baseline that judged each episode, kept because a young one is refined later.
    kept: list[tuple[Floats, Floats, float, float]] = []

    for t in range(width):
        live = t < panel.length
        due = live & (state.active == 0) & (state.fitted_at < state.good)
        due &= state.good >= options.min_baseline_days
        is_weekly = (state.fitted_at == 0) | (state.good - state.fitted_at >= REFIT_EVERY)
        if options.follow:
            due &= is_weekly
        else:
            due &= (state.fitted_at < options.baseline_days) & (is_weekly | (state.good >= options.baseline_days))
        rows = np.flatnonzero(due)
        if len(rows):
            used, days = use[rows, :t], state.good[rows]
            if options.follow:
                later = used[:, ::-1].cumsum(axis=1)[:, ::-1]
                used, days = used & (later <= options.follow_days), np.minimum(days, options.follow_days)
            arguments = (weekday[rows, :t], used, days)
            if is_count:
                fit.put(rows, fit_counts(panel.numerator[rows, :t], *arguments, options.follow))
            else:
                fit.put(rows, fit_rates(panel.numerator[rows, :t], denominator[rows, :t], *arguments, options.follow))
            state.fitted_at[rows] = state.good[rows]
        judged = live & (state.fitted_at > 0)
        if judged.any():
            z = fit.z(panel.numerator[:, t], denominator[:, t], weekday[:, t])
            z_all[judged, t] = z[judged]
            step = np.clip(z, -options.clip, options.clip)
            watched = judged & (state.active == 0)
            _accumulate(state, step, watched, t, options.k)
            low = state.down > options.h
            high = state.up > options.h
            point = np.abs(z) > options.point
            for row in np.flatnonzero(watched & (low | high | point)):
                direction = (1 if z[row] > 0 else -1) if point[row] else (1 if high[row] else -1)
                total, begun = (
                    (state.up[row], state.up_from[row]) if direction > 0 else (state.down[row], state.down_from[row])
                )
                alone = not (high[row] if direction > 0 else low[row])
                if alone:
                    # The sum was at most one sigma before: the days that led there are no evidence.
                    total, begun = options.clip - options.k, t
                state.active[row], state.episode[row] = direction, len(found)
                state.bad_days[row] = t - begun + 1
                state.bad_sum[row] = total + options.k * state.bad_days[row]
                state.back[row] = state.back_sum[row] = state.back_days[row] = 0
                found.append((int(row), t, int(begun), bool(alone), direction, float(z[row])))
                recovered.append(-1)
                kept.append((fit.expected[row].copy(), fit.unit_variance[row].copy(), fit.sigma[row], fit.weight[row]))
                state.good[row] -= use[row, begun:t].sum()
                use[row, begun : t + 1] = False
            ongoing = judged & (state.active != 0) & ~watched
            for row in np.flatnonzero(_recovers(state, step, ongoing, t)):
                begun = int(state.back_from[row])
                recovered[state.episode[row]] = begun
                use[row, begun : t + 1] = True
                # Today is counted below with every other good day.
                state.good[row] += t - begun
                state.active[row] = 0
                state.up[row] = state.down[row] = 0.0
        calm = live & (state.active == 0)
        use[calm, t] = True
        state.good[calm] += 1

    columns = np.arange(width)
    own = columns < panel.length[:, None]
    plain = np.where(own, panel.numerator if is_count else denominator, 0.0).sum(axis=1) / np.maximum(panel.length, 1)
    is_judged = ~np.isnan(z_all).all(axis=1) if width else np.zeros(series, dtype=bool)
    volume = np.where(is_judged, fit.volume, plain)
    return Scan(z_all, is_judged, volume, _episodes(panel, denominator, weekday, found, recovered, kept))


def _accumulate(state: _State, step: Floats, watched: Bools, t: int, k: float) -> None:
    for name, sign in (("up", 1.0), ("down", -1.0)):
        before = getattr(state, name)
        begun = getattr(state, f"{name}_from")
        begun[watched & (before == 0)] = t
        before[watched] = np.maximum(before + sign * step - k, 0.0)[watched]


def _recovers(state: _State, step: Floats, ongoing: Bools, t: int) -> Bools:
    """Sequential test, fault against none; the good days are those since its sum was last at zero."""
    size = np.clip(state.bad_sum / np.maximum(state.bad_days, 1), 1.0, 4.0)
    signed = step * state.active
    state.back_from[ongoing & (state.back == 0)] = t
    after = np.maximum(state.back + size / 2 - signed, 0.0)
    fell = ongoing & (after == 0)
    state.back[ongoing] = after[ongoing]
    state.back_sum[ongoing] += signed[ongoing]
    state.back_days[ongoing] += 1
    state.bad_sum[fell] += state.back_sum[fell]
    state.bad_days[fell] += state.back_days[fell]
    state.back_sum[fell] = 0.0
    state.back_days[fell] = 0
    return np.asarray(ongoing & (state.back * size > RECOVERY_EVIDENCE) & (state.back_days >= FEWEST_GOOD_DAYS))


def _episodes(
    panel: Panel,
    denominator: Floats,
    weekday: Ints,
    found: list[tuple[int, int, int, bool, int, float]],
    recovered: list[int],
    kept: list[tuple[Floats, Floats, float, float]],
) -> Episodes:
    order = sorted(range(len(found)), key=lambda i: found[i][:2])
    sizes = np.zeros((len(found), 6))
    for place, i in enumerate(order):
        row, _, begun = found[i][:3]
        end = recovered[i] if recovered[i] >= 0 else int(panel.length[row])
        days = slice(begun, end)
        x, n, d = panel.numerator[row, days], denominator[row, days], weekday[row, days]
        sizes[place] = _size(x, n, d, *kept[i], panel.denominator is None)
    ordered = [found[i] for i in order]
    return Episodes(
        series=np.array([each[0] for each in ordered], dtype=np.int64),
        position=np.array([each[1] for each in ordered], dtype=np.int64),
        first_bad=np.array([each[2] for each in ordered], dtype=np.int64),
        recovered=np.array([recovered[i] for i in order], dtype=np.int64),
        is_point=np.array([each[3] for each in ordered], dtype=bool),
        direction=np.array([each[4] for each in ordered], dtype=np.int64),
        z=np.array([each[5] for each in ordered], dtype=np.float64),
        expected=sizes[:, 0],
        observed=sizes[:, 1],
        size=sizes[:, 2],
        size_low=sizes[:, 3],
        size_high=sizes[:, 4],
        n=sizes[:, 5],
    )


def _size(
    x: Floats,
    n: Floats,
    d: Ints,
    expected: Floats,
    unit_variance: Floats,
    sigma: float,
    weight: float,
    is_count: bool,
) -> tuple[float, float, float, float, float, float]:
    if is_count:
        observed, usual = float(np.log(np.maximum(x, 0) + 0.5).mean()), float(expected[d].mean())
        error = 1.96 * sigma * float(np.sqrt(unit_variance[d].mean() / len(x) + unit_variance.mean() / max(weight, 1)))
        change = observed - usual
        ends = (float(np.expm1(change - error)), float(np.expm1(change + error)))
        return float(np.exp(usual)), float(np.exp(observed)), float(np.expm1(change)), *ends, float(len(x))
    total = float(n.sum())
    usual, observed = float((n * expected[d]).sum() / total), float(x.sum() / total)
    # At the observed rate, where that is the wider: a baseline of 100 % has no variance of its own.
    seen = np.maximum(unit_variance[d], observed * (1 - observed))
    spread = float((n * seen + 1).sum()) / total**2
    base = float(unit_variance.mean()) / max(weight, 1)
    error = 1.96 * sigma * float(np.sqrt(spread + base))
    change = observed - usual
    return usual, observed, change, change - error, change + error, total
