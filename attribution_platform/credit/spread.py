"""From channel totals back to the touches of each path.

A data-driven model knows what each channel deserves in total. Marts need it per journey: weights that sum to 1 on every
path and, over all conversions, to the model's totals. Start from the model's own strengths within each path, then rake
rows and columns in turn (iterative proportional fitting), which keeps the result as close to the start as it can be in
the Kullback-Leibler sense.

The totals may be out of reach: a channel that converts mostly alone must keep those conversions, whatever a model says.
The rows win then, and the residual says how much of the total could not be placed.
"""

from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.paths import Floats, Paths, sum_by


@dataclass(frozen=True)
class Spread:
    """Weights per touch.

    Attributes:
        weights: Sum to 1 on every row. Shape (touches,).
        residual: Share of all credit that sits on another channel than the totals ask (half the L1 distance).
    """

    weights: Floats
    residual: float


def spread(
    paths: Paths,
    totals: Floats,
    strengths: Floats | None = None,
    iterations: int = 500,
    tolerance: float = 1e-10,
    touch_strengths: Floats | None = None,
) -> Spread:
    """Rake `strengths` (default: `totals`) within paths so that columns meet `totals`.

    Args:
        paths: Distinct paths; rows without conversions get the weights their channels imply, and no say.
        totals: Credit of each channel, summing to the conversions; negatives count as 0. Shape (channels,).
        strengths: Relative strength of a channel within a path. Shape (channels,).
        iterations: At most this many rounds.
        tolerance: Stop when the residual, or its change in ten rounds, is below this.
        touch_strengths: Relative strength of each touch, instead of `strengths`; also splits a channel's credit among its
            touches, which share equally otherwise. Shape (touches,).
    """
    rows, codes = paths.distinct_channels()
    wanted = np.maximum(totals, 0.0)
    start = np.maximum(wanted if strengths is None else strengths, 0.0)
    # A path made only of channels that deserve nothing still has to place its conversions somewhere.
    floor = max(float(start.max(initial=0.0)), 1.0) * 1e-9
    n = max(len(paths.channels), 1)
    index = np.searchsorted(rows * n + codes, paths.row_of_touch * n + paths.codes)
    if touch_strengths is None:
        entry = np.maximum(start, floor)[codes]
        part = 1.0 / np.bincount(index, minlength=len(entry))[index]
    else:
        floor = max(float(touch_strengths.max(initial=0.0)), 1e-300) * 1e-9
        strength = np.maximum(touch_strengths, floor)
        entry = sum_by(index, strength, len(rows))
        part = strength / entry[index]
    grand = paths.total_conversions
    weight = paths.conversions[rows]
    row_sum = sum_by(rows, entry, paths.rows)
    entry = entry / row_sum[rows]
    factor = np.ones(n)
    residual, earlier = 0.0, np.inf
    for round_number in range(iterations if grand > 0 else 0):
        placed = sum_by(codes, entry * weight, n)
        residual = float(np.abs(placed - wanted).sum()) / (2.0 * grand)
        if residual < tolerance:
            break
        if round_number % 10 == 9:
            if abs(earlier - residual) < tolerance:
                break
            earlier = residual
        factor = np.divide(wanted, placed, out=np.ones(n), where=placed > 0)
        # A factor of 0 would leave a path whose only channels deserve nothing without any weight.
        entry = entry * np.maximum(factor, 1e-12)[codes]
        entry = entry / sum_by(rows, entry, paths.rows)[rows]
    return Spread(entry[index] * part, residual)
