"""What a day should have looked like: level, weekday effects and day-to-day spread, fitted on a frozen stretch of days.

Rates are a p-chart with Laney's correction (Laney 2002, "Improved control charts for attributes"): each day's binomial
z is divided by the moving-range sigma of z, so that a rate which wobbles more than coin flips is not called broken every
week. Counts without a denominator are an individuals chart on logarithms. Everything is vectorised over series: arrays are
(series, days), padded on the right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "fit_counts", "fit_rates", "weekday_of"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MOVING_RANGE_TO_SIGMA = 1.128
SIGMA_FLOOR = 0.5
CHANCE_FLOOR = 0.95
RARE = 1.2
FEW = 30.0
LOG_SIGMA_FLOOR = 0.01
FEWEST_DAYS_FOR_WEEKDAYS = 28
FEWEST_DAYS_A_WEEKDAY = 3
# 95 % point of chi-square with six degrees of freedom: seven equal weekdays look as unequal as this one time in twenty.
WEEKDAYS_DIFFER = 12.6
TRIM_AT = 4.5
TRIM_SHARE = 0.1
# One in 20 baselines of independent days looks as alike as this.
ALIKE, MOST_ALIKE = 1.645, 0.6
YOUNG_INFLATION = 7.0
MATURE_DAYS = 84


def weekday_of(day: Ints) -> Ints:
    """Monday = 0 of days counted from 1970-01-01 (a Thursday)."""
    return (day + 3) % 7


@dataclass(frozen=True)
class Fit:
    """Baselines of several series.

    Attributes:
        expected: (series, 7) expected rate (rates) or expected log count (counts) on each weekday.
        unit_variance: (series, 7) variance of one unit of the denominator (rates) or of one log count.
        sigma: (series,) by which z is divided.
        volume: (series,) mean daily denominator, or mean count.
        weight: (series,) sum of the denominators, or number of days for counts.
        is_count: Which of the two formulas applies.
    """

    expected: Floats
    unit_variance: Floats
    sigma: Floats
    volume: Floats
    weight: Floats
    is_count: bool

    @staticmethod
    def empty(series: int, is_count: bool) -> "Fit":
        """Room for `series` baselines, not fitted yet."""
        return Fit(
            np.zeros((series, 7)),
            np.ones((series, 7)),
            np.ones(series),
            np.zeros(series),
            np.zeros(series),
            is_count,
        )

    def put(self, rows: Ints, other: "Fit") -> None:
        """Overwrite the baselines of `rows`."""
        for name in ("expected", "unit_variance", "sigma", "volume", "weight"):
            getattr(self, name)[rows] = getattr(other, name)

    def z(self, numerator: Floats, denominator: Floats, weekday: Ints) -> Floats:
        """Standardised distance from the baseline; all shapes (series,) or (series, days)."""
        rows = np.arange(len(self.sigma)).reshape((-1,) + (1,) * (weekday.ndim - 1))
        sigma = self.sigma.reshape(rows.shape)
        expected = self.expected[rows, weekday]
        if self.is_count:
            return np.asarray(_count_z(numerator, expected, self.unit_variance[rows, weekday]) / sigma)
        return np.asarray(_raw_z(numerator, denominator, expected, self.unit_variance[rows, weekday]) / sigma)


def fit_rates(
    numerator: Floats, denominator: Floats, weekday: Ints, use: Bools, days: Ints, carries_over: bool = False
) -> Fit:
    """Fit rate baselines on the days marked in `use`; odd single days are left out once.

    Args:
        numerator, denominator, weekday, use: (series, days).
        days: (series,) how many days the baseline rests on, for the allowance a young one needs.
        carries_over: of what follows the business: days resemble their neighbours, and sigma allows for it.
    """
    fit = _rates(numerator, denominator, weekday, use, days, carries_over)
    return _refit(
        fit,
        use,
        fit.z(numerator, denominator, weekday),
        lambda rows, kept: _rates(numerator[rows], denominator[rows], weekday[rows], kept, days[rows], carries_over),
    )


def fit_counts(count: Floats, weekday: Ints, use: Bools, days: Ints, carries_over: bool = False) -> Fit:
    """Fit log-count baselines; arguments as in `fit_rates`."""
    fit = _counts(count, weekday, use, days, carries_over)
    return _refit(
        fit,
        use,
        fit.z(count, count, weekday),
        lambda rows, kept: _counts(count[rows], weekday[rows], kept, days[rows], carries_over),
    )


def _refit(fit: Fit, use: Bools, z: Floats, again: Callable[[Ints, Bools], Fit]) -> Fit:
    odd = use & (np.abs(z) > TRIM_AT)
    rows = np.flatnonzero(odd.any(axis=1) & (odd.sum(axis=1) <= TRIM_SHARE * use.sum(axis=1)))
    if len(rows):
        fit.put(rows, again(rows, use[rows] & ~odd[rows]))
    return fit


def _rates(x: Floats, n: Floats, weekday: Ints, use: Bools, days: Ints, carries_over: bool) -> Fit:
    used = use.astype(np.float64)
    total, hits = (n * used).sum(axis=1), (x * used).sum(axis=1)
    total = np.maximum(total, 1e-9)
    # More hits than units (sessions per click, spend twice reported) is no proportion: its odds are a rate.
    is_ratio: Bools = np.logical_or.reduce((x > n * (1 + 1e-9)) & use, axis=1)
    edge = np.minimum(0.5 / total, 0.5)
    level = np.where(is_ratio, np.maximum(hits / total, edge), np.clip(hits / total, edge, 1 - edge))
    variance = _unit_variance(level, is_ratio)
    z = _raw_z(x, n, level[:, None], variance[:, None])
    n_of_day, x_of_day, seen, spread = _by_weekday(n * used, x * used, z, weekday, used)
    link = _link(level, is_ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk_level = (x_of_day + 0.5 * level[:, None]) / (n_of_day + 0.5)
        effect = _link(np.where(is_ratio[:, None], shrunk_level, np.clip(shrunk_level, 1e-9, 1 - 1e-9)), is_ratio)
        effect = effect - link[:, None]
        # Per weekday: overdispersion does not average out over the units of a day, only over days.
        error = spread[:, None] ** 2 * (n_of_day + seen / variance[:, None]) / (n_of_day**2 * variance[:, None])
    effect, shrinkage = _shrink(effect, error, seen, used.sum(axis=1))
    shift = np.zeros_like(level)
    for _ in range(3):
        expected = _unlink(link[:, None] + shift[:, None] + effect, is_ratio)
        slope = np.sum(n_of_day * _unit_variance(expected, is_ratio), axis=1)
        missing = np.where(is_ratio, np.maximum(hits, edge * total), np.clip(hits, edge * total, total - edge * total))
        shift -= np.clip(((n_of_day * expected).sum(axis=1) - missing) / np.maximum(slope, 1e-12), -1, 1)
    expected = _unlink(link[:, None] + shift[:, None] + effect, is_ratio)
    unit_variance = _unit_variance(expected, is_ratio)
    rows = np.arange(len(level))[:, None]
    z = _raw_z(x, n, expected[rows, weekday], unit_variance[rows, weekday])
    chance = (n * used * unit_variance[rows, weekday]).sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    floor = _floor(x, use) * np.where(is_ratio, 1.0, np.sqrt(chance / (chance + 1)))
    sigma = np.maximum(_sigma(z, use, shrinkage, days, carries_over), np.maximum(floor, SIGMA_FLOOR))
    return Fit(expected, unit_variance, sigma, total / np.maximum(used.sum(axis=1), 1), total, False)


def _counts(x: Floats, weekday: Ints, use: Bools, days: Ints, carries_over: bool) -> Fit:
    used = use.astype(np.float64)
    size = np.maximum(used.sum(axis=1), 1)
    y = _log_count(x)
    level = (y * used).sum(axis=1) / size
    n_of_day, y_of_day, seen, spread = _by_weekday(used, y * used, y, weekday, used)
    effect = y_of_day / np.maximum(n_of_day, 1) - level[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = spread[:, None] ** 2 / n_of_day
    effect, shrinkage = _shrink(effect, error, seen, used.sum(axis=1))
    level = level - (effect * n_of_day).sum(axis=1) / size
    expected = level[:, None] + effect
    rows = np.arange(len(level))[:, None]
    volume = (x * used).sum(axis=1) / size
    # A Sunday of eight wobbles more on the log scale than a Monday of twenty: chance is 1 / mean, the rest is common.
    chance = 1 / np.maximum(np.exp(expected), 0.5)
    left = (y - expected[rows, weekday]) * used
    common = (left**2 - chance[rows, weekday] * used).sum(axis=1) / np.maximum(size - 1 - shrinkage, 1)
    variance = np.maximum(common, LOG_SIGMA_FLOOR**2)[:, None] + chance
    z = _count_z(x, expected[rows, weekday], variance[rows, weekday])
    sigma = np.maximum(_sigma(z, use, shrinkage, days, carries_over), np.maximum(_floor(x, use), SIGMA_FLOOR))
    return Fit(expected, variance, sigma, volume, used.sum(axis=1), True)


def _raw_z(x: Floats, n: Floats, expected: Floats, variance: Floats) -> Floats:
    # One unit of variance on top: at a rate of exactly 100 % a single miss would otherwise be infinitely surprising. Where
    # volume is steady the division by sigma takes it out again.
    plain = (x - n * expected) / np.sqrt(n * variance + 1.0)
    # With about one miss a day the long tail of a Poisson count gave .9 false alarms a year (99 % of 100); on the scale of
    # square roots (Anscombe 1948) it is nearly symmetric.
    flip = expected > 0.5
    usual = n * np.where(flip, 1 - expected, expected)
    rare = np.where(flip, n - x, x)
    root = 2 * (np.sqrt(np.maximum(rare, 0) + 0.375) - np.sqrt(np.maximum(usual, 0) + 0.375))
    is_rare = (usual >= 0) & (usual < RARE) & (rare >= 0) & (x >= 0)
    return np.asarray(np.where(is_rare, np.where(flip, -root, root), plain))


def _count_z(x: Floats, expected: Floats, variance: Floats) -> Floats:
    usual = np.exp(expected)
    plain = (_log_count(x) - expected) / np.sqrt(variance)
    # Where chance outweighs what days have in common, logarithms are skewed the other way: Sundays of eight alone gave .7
    # false alarms a year.
    root = 2 * (np.sqrt(np.maximum(x, 0) + 0.375) - np.sqrt(usual + 0.375)) / np.sqrt(variance * np.maximum(usual, 0.5))
    return np.asarray(np.where((usual < FEW) | (usual * variance < 2), root, plain))


def _log_count(x: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(x, 0.0) + 0.5))


def _link(level: Floats, is_ratio: Bools) -> Floats:
    flag = is_ratio.reshape((-1,) + (1,) * (level.ndim - 1))
    safe = np.where(flag, 0.5, level)
    return np.where(flag, np.log(np.maximum(level, 1e-300)), np.log(safe / (1 - safe)))


def _unlink(value: Floats, is_ratio: Bools) -> Floats:
    value = np.clip(value, -50, 50)
    return np.where(is_ratio[:, None], np.exp(value), 1 / (1 + np.exp(-value)))


def _unit_variance(level: Floats, is_ratio: Bools) -> Floats:
    flag = is_ratio.reshape((-1,) + (1,) * (level.ndim - 1))
    return np.asarray(np.where(flag, level, level * (1 - level)))


def _by_weekday(n: Floats, x: Floats, z: Floats, weekday: Ints, used: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Sums per weekday of n, x and days, each (series, 7), and the spread of z within weekdays (series,)."""
    n_of_day, x_of_day, seen, z_of_day = (np.empty((len(n), 7)) for _ in range(4))
    for d in range(7):
        on = used * (weekday == d)
        n_of_day[:, d], x_of_day[:, d] = (n * on).sum(axis=1), (x * on).sum(axis=1)
        seen[:, d], z_of_day[:, d] = on.sum(axis=1), (z * on).sum(axis=1)
    mean = z_of_day / np.maximum(seen, 1)
    left = (z - mean[np.arange(len(n))[:, None], weekday]) * used
    freedom = np.maximum(used.sum(axis=1) - (seen > 0).sum(axis=1), 1)
    return n_of_day, x_of_day, seen, np.sqrt((left**2).sum(axis=1) / freedom)


def _shrink(effect: Floats, error: Floats, seen: Floats, days: Floats) -> tuple[Floats, Floats]:
    """Pull weekday effects to zero by their noise (DerSimonian and Laird 1986), all the way where they may be none.

    Returns the effects (series, 7) and how many parameters they cost (series,).
    """
    known = (seen >= FEWEST_DAYS_A_WEEKDAY) & (error > 0) & np.isfinite(error) & np.isfinite(effect)
    known &= (days >= FEWEST_DAYS_FOR_WEEKDAYS)[:, None]
    weight = np.where(known, 1 / np.where(known, error, 1.0), 0.0)
    effect = np.where(known, effect, 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    centre = (weight * effect).sum(axis=1) / total
    unlike = (weight * (effect - centre[:, None]) ** 2).sum(axis=1)
    excess = np.where(unlike > WEEKDAYS_DIFFER, unlike - (known.sum(axis=1) - 1), 0.0)
    scale = np.maximum(total - (weight**2).sum(axis=1) / total, 1e-300)
    between = np.maximum(excess / scale, 0.0)[:, None]
    factor = np.where(known, between / np.where(known, between + error, 1.0), 0.0)
    return effect * factor, factor.sum(axis=1)


def _floor(x: Floats, use: Bools) -> Floats:
    """Things that are counted one by one do not vary less than chance; a sigma that says so is luck, or a sum of scores."""
    is_whole: Bools = np.logical_and.reduce((x == np.round(x)) | ~use, axis=1)
    return np.where(is_whole, CHANCE_FLOOR, 0.0)


def _sigma(z: Floats, use: Bools, parameters: Floats, days: Ints, carries_over: bool) -> Floats:
    """Sigma of z, with allowances for fitted parameters, serial correlation and a young baseline."""
    pair = use[:, 1:] & use[:, :-1]
    moved = (np.abs(np.diff(z, axis=1)) * pair).sum(axis=1) / np.maximum(pair.sum(axis=1), 1)
    size = np.maximum(use.sum(axis=1), 2)
    centre = (z * use).sum(axis=1) / size
    deviation = np.sqrt((((z - centre[:, None]) * use) ** 2).sum(axis=1) / (size - 1))
    # Days that resemble their neighbours make the moving range too small, and chance does it in half of all baselines. The
    # larger of the two estimates took .21 false alarms a year to .12 and cost one point of power at three days.
    sigma = np.maximum(moved / MOVING_RANGE_TO_SIGMA, deviation)
    sigma = sigma * np.sqrt(size / np.maximum(size - 1 - parameters, 1))
    if carries_over:
        # The same people are about on neighbouring days, and a sum of days that are alike runs away by itself: where a baseline
        # shows it, the sigma is that of a mean of many days. A year without faults: 9 alarms where there were 12.
        left = (z - centre[:, None]) * use
        pairs = np.maximum(pair.sum(axis=1), 1)
        likeness = (left[:, 1:] * left[:, :-1] * pair).sum(axis=1) / pairs / np.maximum(deviation**2, 1e-12)
        likeness = np.where(likeness > ALIKE / np.sqrt(pairs), np.clip(likeness, 0.0, MOST_ALIKE), 0.0)
        sigma = sigma * np.sqrt((1 + likeness) / (1 - likeness))
    young = np.maximum(1.0 / np.maximum(days, 1) - 1.0 / MATURE_DAYS, 0.0)
    return np.asarray(sigma * (1 + YOUNG_INFLATION * young))
