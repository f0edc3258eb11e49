"""How soon a fall of click-id capture from 80 to 65 % is found, and how often a healthy year cries wolf.

    python benchmarks/drift_detection.py [--replicates 3000] [--seed 1]

The world: a 12-week baseline, volume that follows the day of the week, two points of day-to-day wobble in the rate on top of
chance, the fault on a random weekday. Beside the daily CUSUM stand the weekly XmR chart and a rolling 14-day 3-sigma rule,
each judged on the very same days.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution_platform.monitoring.baseline import Floats, Ints
from attribution_platform.monitoring.cusum import CusumOptions, Panel, scan
from attribution_platform.monitoring.xmr import natural_limits

BASELINE_DAYS = 84
YEAR = 364
AFTER = 35
WEEKDAY_VOLUME = np.array([1.1, 1.15, 1.15, 1.1, 1.0, 0.75, 0.75])
HEALTHY, BROKEN, WOBBLE = 0.80, 0.65, 0.02
ROLLING_DAYS = 14
SCHEMES = ("daily CUSUM or |z|>4.5", "weekly XmR", "rolling 14-day 3 sigma")


@dataclass(frozen=True)
class Measured:
    """One scheme at one volume: shares found within days of the fault, and false alarms per metric-year."""

    scheme: str
    n: int
    false_alarms: float
    within: dict[int, float]


def simulate(
    rng: np.random.Generator, series: int, days: int, n: float, fault_at: NDArray[np.int64] | None = None
) -> Panel:
    """Daily hits and units; the rate is lower from `fault_at` (series,) on."""
    first = rng.integers(0, 7, series)
    day = np.arange(days)[None, :] + 4 + first[:, None]
    units = rng.poisson(n * WEEKDAY_VOLUME[(day + 3) % 7]).astype(np.float64)
    rate = np.full((series, days), HEALTHY)
    if fault_at is not None:
        rate[np.arange(days)[None, :] >= fault_at[:, None]] = BROKEN
    rate = np.clip(rate + rng.normal(0, WOBBLE, rate.shape), 0, 1)
    hits = rng.binomial(units.astype(np.int64), rate).astype(np.float64)
    return Panel(hits, units, day.astype(np.int64), np.full(series, days, dtype=np.int64))


def cusum_alarms(panel: Panel) -> tuple[Ints, Ints]:
    """Series and day of every alarm."""
    episodes = scan(panel, CusumOptions()).episodes
    return episodes.series, episodes.position


def weekly_alarms(panel: Panel) -> tuple[Ints, Ints]:
    """Every week outside natural limits of the twelve baseline weeks; known on its last day."""
    assert panel.denominator is not None
    weeks = panel.numerator.shape[1] // 7
    hits, units = (x[:, : weeks * 7].reshape(-1, weeks, 7).sum(axis=2) for x in (panel.numerator, panel.denominator))
    rate = hits / np.maximum(units, 1)
    base = BASELINE_DAYS // 7
    _, low, high = natural_limits(rate[:, :base])
    out = (rate < low[:, None]) | (rate > high[:, None])
    out[:, :base] = False
    rows, week = np.nonzero(out)
    return rows.astype(np.int64), (week * 7 + 6).astype(np.int64)


def rolling_alarms(panel: Panel) -> tuple[Ints, Ints]:
    """Every day further than three standard deviations from the mean of the 14 days before it."""
    assert panel.denominator is not None
    rate: Floats = panel.numerator / np.maximum(panel.denominator, 1)
    window = np.lib.stride_tricks.sliding_window_view(rate, ROLLING_DAYS, axis=1)[:, :-1]
    deviation = np.maximum(window.std(axis=2, ddof=1), 1e-9)
    z = (rate[:, ROLLING_DAYS:] - window.mean(axis=2)) / deviation
    out = np.zeros(rate.shape, dtype=bool)
    out[:, ROLLING_DAYS:] = np.abs(z) > 3
    out[:, :BASELINE_DAYS] = False
    rows, day = np.nonzero(out)
    return rows.astype(np.int64), day.astype(np.int64)


def measure(n: int, replicates: int, seed: int, horizons: tuple[int, ...] = (1, 2, 3, 7, 14, 28)) -> list[Measured]:
    """Every scheme on the same simulated series.

    A series that already stood in a false alarm when the fault began counts as not found: a reader was told something else.
    """
    rng = np.random.default_rng([seed, n])
    quiet = simulate(rng, replicates, BASELINE_DAYS + YEAR, n)
    fault_at = BASELINE_DAYS + rng.integers(0, 7, replicates)
    broken = simulate(rng, replicates, BASELINE_DAYS + AFTER, n, fault_at)
    results = []
    for scheme, alarms in zip(SCHEMES, (cusum_alarms, weekly_alarms, rolling_alarms), strict=True):
        _, day = alarms(quiet)
        false = float((day >= BASELINE_DAYS).sum()) / replicates * 365 / YEAR
        rows, day = alarms(broken)
        after = day >= fault_at[rows]
        delay = np.full(replicates, 10_000)
        np.minimum.at(delay, rows[after], day[after] - fault_at[rows[after]] + 1)
        results.append(Measured(scheme, n, false, {d: float((delay <= d).mean()) for d in horizons}))
    return results


def young_false_alarms(n: int, replicates: int, seed: int) -> float:
    """False alarms per metric-year while the baseline is younger than 12 weeks."""
    panel = simulate(np.random.default_rng([seed, n, 2]), replicates, BASELINE_DAYS, n)
    rows, _ = cusum_alarms(panel)
    return len(rows) / replicates * 365 / (BASELINE_DAYS - CusumOptions().min_baseline_days)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    begun = time.perf_counter()
    horizons = (1, 2, 3, 7, 14, 28)
    print(f"80 % -> 65 %, {given.replicates} series, seed {given.seed}; share found within days of the fault\n")
    print(f"{'n/day':>5}  {'scheme':<24} {'false/yr':>8}  " + "  ".join(f"{f'<={d} d':>6}" for d in horizons))
    for n in (10, 30, 100, 300):
        for row in measure(n, given.replicates, given.seed, horizons):
            found = "  ".join(f"{row.within[d]:6.3f}" for d in horizons)
            print(f"{n:>5}  {row.scheme:<24} {row.false_alarms:8.2f}  {found}")
    print("\nfalse alarms per metric-year in weeks 5 to 12, on a young baseline:")
    for n in (30, 100):
        print(f"{n:>5}  {young_false_alarms(n, given.replicates, given.seed):.2f}")
    print(f"\n{time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
