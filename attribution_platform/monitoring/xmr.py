"""Process-behaviour (XmR) charts that people read: natural limits from moving ranges, in phases that freeze.

Limits are mean ± 2.66 × mean moving range (Wheeler, "Understanding Variation"). Within a phase they are refined by each new
point up to the 25th and then stay. A phase ends only where eight points in a row lie on one side of the mean, or where a
person says so; never because a window rolled on. Each point is judged by limits made of the points before it: limits that
contain the tested point can hardly be left (of seven points none can be further out than 2.27 standard deviations).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribution_platform.monitoring.baseline import Bools, Floats, Ints

__all__ = ["XmrChart", "natural_limits", "xmr_chart"]

LIMIT_FACTOR = 2.66
FREEZE_AFTER = 25
FEWEST_POINTS = 8
RUN_LENGTH = 8


@dataclass(frozen=True)
class XmrChart:
    """One charted series; arrays have one entry per point, NaN where there is none yet.

    Attributes:
        phase: Number of the phase each point belongs to, from 0.
        phase_starts: Position of the first point of each phase.
        phase_reasons: Why each phase began: "start", "given" or "run of eight".
        moving_range: |x - previous x| within the phase.
        centre, lower, upper: Limits the point was judged by.
        signal: -1 below the limits, 1 above, 0 inside or not judged.
        run: -1 or 1 at the eighth point in a row on one side of the mean, else 0.
    """

    phase: Ints
    phase_starts: tuple[int, ...]
    phase_reasons: tuple[str, ...]
    moving_range: Floats
    centre: Floats
    lower: Floats
    upper: Floats
    signal: Ints
    run: Ints


def natural_limits(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Centre, lower and upper natural process limit over the last axis; at least two points."""
    if values.shape[-1] < 2:
        raise ValueError("natural limits need at least two points")
    centre = values.mean(axis=-1)
    reach = LIMIT_FACTOR * np.abs(np.diff(values, axis=-1)).mean(axis=-1)
    return centre, centre - reach, centre + reach


def xmr_chart(
    values: Floats,
    phase_starts: Sequence[int] = (),
    freeze_after: int = FREEZE_AFTER,
    fewest_points: int = FEWEST_POINTS,
) -> XmrChart:
    """Chart one series.

    Args:
        values: (points,) in order of time, without gaps or NaN.
        phase_starts: Positions at which a person starts a new phase.
        freeze_after: Points after which the limits of a phase stay as they are.
        fewest_points: Points before the first judgement.

    Raises:
        ValueError: A value is not finite, or the numbers of points make no chart.
    """
    if not np.isfinite(values).all():
        raise ValueError("an XmR chart needs finite values; leave days without data out")
    if not 2 <= fewest_points <= freeze_after:
        raise ValueError("fewest_points must be at least 2 and at most freeze_after")
    given = set(phase_starts)
    size = len(values)
    centre, lower, upper = (np.full(size, np.nan) for _ in range(3))
    signal, run = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    starts, reasons = [0], ["start"]
    side, streak = 0, 0
    for i in range(size):
        if i in given and i > starts[-1]:
            starts.append(i)
            reasons.append("given")
            side = streak = 0
        seen = i - starts[-1]
        if seen < fewest_points:
            continue
        phase = values[starts[-1] : starts[-1] + min(seen, freeze_after)]
        centre[i], lower[i], upper[i] = (float(x) for x in natural_limits(phase))
        signal[i] = int(values[i] > upper[i]) - int(values[i] < lower[i])
        now = int(values[i] > centre[i]) - int(values[i] < centre[i])
        streak = streak + 1 if now == side else 1
        side = now
        if side != 0 and streak == RUN_LENGTH:
            run[i] = side
            starts.append(i - RUN_LENGTH + 1)
            reasons.append("run of eight")
            side = streak = 0
    number = np.zeros(size, dtype=np.int64)
    for start in starts[1:]:
        number[start:] += 1
    moving = np.full(size, np.nan)
    if size > 1:
        same: Bools = number[1:] == number[:-1]
        moving[1:][same] = np.abs(np.diff(values))[same]
    return XmrChart(number, tuple(starts), tuple(reasons), moving, centre, lower, upper, signal, run)
