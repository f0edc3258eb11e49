"""Lift calibration: what experiments measured, put in place of what a model believes, with every conversion kept.

A geo or holdout test says what a channel caused; a credit model says what it was near. Where both exist the experiment wins:
the channel's credit is multiplied by incremental over attributed (both in the experiment's window), and the difference goes
where the residual policy says. Credit is calibrated in groups (a day, a conversion type), and each group keeps its total.

Residual policies:
`proportional`
    The channels without an experiment share what is left, in proportion to their credit.
`channels`
    Only the channels named share it; the other untested ones keep theirs.
`unattributed`
    Untested channels keep their credit, and what is left becomes Unattributed.

Where experiments claim more than what is left by the channels that should keep theirs, those shrink in proportion; where they
claim more than there is, the claims do. Nothing becomes negative. Between experiments of one channel, inverse variances
decide (fixed effect). A constant multiplier ignores diminishing returns: it holds near the spend that was tested.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np

from attribution_platform.credit.eligibility import UNATTRIBUTED
from attribution_platform.credit.paths import Floats

Residual = Literal["proportional", "channels", "unattributed"]
Kind = Literal["geo", "holdout"]
Unit = Literal["conversions", "relative", "multiplier"]
RESIDUALS: tuple[str, ...] = get_args(Residual)
KINDS: tuple[str, ...] = get_args(Kind)
UNITS: tuple[str, ...] = get_args(Unit)
DRAWS = 2000
# Less credit than this is none: dividing by it would make any number of nothing.
NOTHING = 1e-12


class LiftError(ValueError):
    """An experiment cannot be used; the message says which and what to change."""


@dataclass(frozen=True)
class Experiment:
    """One measured lift of a channel, with where it comes from.

    Attributes:
        experiment_id: Unique.
        channel: The channel that was switched or held out.
        kind: geo or holdout.
        unit: What `lift` is: incremental `conversions` in the window; `relative`, incremental over what happened without
            the channel (0.08 for 8 %); `multiplier`, incremental over attributed.
        lift, low, high: Estimate and interval of coverage `level`.
        start, end: First and last instant of the window, in any one unit of time.
        source: Who measured it, where it is documented.
        conversion_type: The conversion measured; None for all.
        level: Coverage of the interval.
    """

    experiment_id: str
    channel: str
    kind: Kind
    unit: Unit
    lift: float
    low: float
    high: float
    start: int
    end: int
    source: str
    conversion_type: str | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        name = f"experiment {self.experiment_id}"
        if self.kind not in KINDS:
            raise LiftError(f"{name}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if self.unit not in UNITS:
            raise LiftError(f"{name}: unit {self.unit!r} is none of {', '.join(UNITS)}")
        if not self.low <= self.lift <= self.high:
            raise LiftError(f"{name}: the interval {self.low:g} to {self.high:g} does not hold the lift {self.lift:g}")
        if not np.isfinite([self.lift, self.low, self.high]).all():
            raise LiftError(f"{name}: lift and its interval must be finite numbers")
        if self.unit == "relative" and self.low <= -1:
            raise LiftError(f"{name}: a relative lift of {self.low:g} would leave fewer than no conversions")
        if self.end < self.start:
            raise LiftError(f"{name}: it ends before it starts")
        if not 0 < self.level < 1:
            raise LiftError(f"{name}: level {self.level:g} is not between 0 and 1")


@dataclass(frozen=True)
class Window:
    """What a model says within an experiment's window: credit by channel, and conversions. Shape (channels,)."""

    credit: Floats
    conversions: float


@dataclass(frozen=True)
class Tested:
    """What experiments say of one channel under one model.

    Attributes:
        channel: Name.
        factor: Incremental over attributed; where the model gives the channel nothing, its share of all conversions.
        error: Standard error of `factor`.
        is_share: Whether `factor` is a share.
        experiments: Ids it rests on, sorted.
    """

    channel: str
    factor: float
    error: float
    is_share: bool
    experiments: tuple[str, ...]


def combine(
    experiments: Sequence[Experiment], channels: Sequence[str], window: Callable[[Experiment], Window]
) -> list[Tested]:
    """What experiments say under one model, by channel.

    Args:
        experiments: Those that apply.
        channels: Names of the model's channels.
        window: The model's credit in the window of an experiment.

    Raises:
        LiftError: A window holds no conversion, or a multiplier has nothing to multiply.
    """
    found: list[Tested] = []
    for name in sorted({experiment.channel for experiment in experiments}):
        mine = sorted((e for e in experiments if e.channel == name), key=lambda e: e.experiment_id)
        measures = [_measure(e, channels, window(e)) for e in mine]
        if len({is_share for *_, is_share in measures}) > 1:
            # Credited in one window and not in another: only the share of all conversions speaks of both.
            measures = [_measure(e, channels, window(e), as_share=True) for e in mine]
        factors = np.array([factor for factor, *_ in measures])
        errors = np.maximum([error for _, error, _ in measures], 1e-9)
        weights = errors**-2.0 / (errors**-2.0).sum()
        factor, error = float(factors @ weights), float((errors**-2.0).sum() ** -0.5)
        found.append(Tested(name, max(factor, 0.0), error, measures[0][2], tuple(e.experiment_id for e in mine)))
    return found


def _measure(
    experiment: Experiment, channels: Sequence[str], window: Window, as_share: bool = False
) -> tuple[float, float, bool]:
    """Factor, its standard error, and whether it is a share of all conversions."""
    name = f"experiment {experiment.experiment_id}"
    attributed = (
        float(window.credit[list(channels).index(experiment.channel)]) if experiment.channel in channels else 0.0
    )
    ends = np.array([experiment.lift, experiment.low, experiment.high])
    width = 2.0 * NormalDist().inv_cdf((1.0 + experiment.level) / 2.0)
    if experiment.unit == "multiplier":
        if attributed <= 0 or as_share:
            raise LiftError(f"{name}: a multiplier for {experiment.channel}, to which the model gives no credit")
        return float(ends[0]), float(ends[2] - ends[1]) / width, False
    if window.conversions <= 0:
        raise LiftError(f"{name}: no conversion falls into its window")
    # A relative lift compares with what happened without the channel: L / (1 + L) of all that happened is incremental.
    incremental = ends if experiment.unit == "conversions" else window.conversions * ends / (1.0 + ends)
    is_share = as_share or attributed <= 0
    factor = incremental / (window.conversions if is_share else attributed)
    return float(factor[0]), float(factor[2] - factor[1]) / width, is_share


def calibrate(
    conversions: Floats,
    revenue: Floats,
    channels: Sequence[str],
    tested: Sequence[Tested],
    residual: Residual = "proportional",
    receivers: Sequence[str] = (),
) -> tuple[tuple[str, ...], Floats, Floats]:
    """Put experiments in place of a model's credit.

    Args:
        conversions, revenue: Credit of groups by channel. Shape (groups, channels).
        channels: Names of the columns.
        tested: From `combine`.
        residual: Who shares what is left.
        receivers: Channels of the policy `channels`.

    Returns:
        Channel names (tested ones the model does not know and Unattributed come last), and conversions and revenue of the
        same totals per group. Shape (groups, channels).

    Raises:
        LiftError: The policy needs receivers, or one of them was tested or is unknown.
    """
    factors = np.tile([one.factor for one in tested], (len(conversions), 1))
    return _calibrate(conversions, revenue, channels, tested, factors, residual, receivers)


def _calibrate(
    conversions: Floats,
    revenue: Floats,
    channels: Sequence[str],
    tested: Sequence[Tested],
    factors: Floats,
    residual: Residual,
    receivers: Sequence[str],
) -> tuple[tuple[str, ...], Floats, Floats]:
    """As `calibrate`, with factors of each group's own. Shape of `factors` (groups, tested)."""
    names = list(dict.fromkeys([*channels, *(one.channel for one in tested), UNATTRIBUTED]))
    before, money = (np.zeros((len(values), len(names))) for values in (conversions, revenue))
    before[:, : len(channels)], money[:, : len(channels)] = conversions, revenue
    unattributed = names.index(UNATTRIBUTED)
    takes = _takes(names, [one.channel for one in tested], residual, receivers)
    is_tested = np.zeros(len(names), dtype=bool)
    claimed, paid = np.zeros_like(before), np.zeros_like(money)
    total, paid_total = before.sum(axis=1), money.sum(axis=1)
    for one, factor in zip(tested, factors.T, strict=True):
        column = names.index(one.channel)
        is_tested[column] = True
        claimed[:, column] = factor * (total if one.is_share else before[:, column])
        paid[:, column] = factor * (paid_total if one.is_share else money[:, column])
    sums = claimed.sum(axis=1)
    too_much = _ratio(np.minimum(sums, total), sums)
    claimed, paid = claimed * too_much[:, None], paid * too_much[:, None]
    left = total - claimed.sum(axis=1)

    keeps = before * (~is_tested & ~takes)
    # Whoever keeps shrinks only when there is not enough left.
    enough = _ratio(np.minimum(keeps.sum(axis=1), left), keeps.sum(axis=1))
    kept = keeps * enough[:, None]
    left = np.maximum(left - kept.sum(axis=1), 0.0)
    share = before * takes
    base = share.sum(axis=1)
    given = share * _ratio(left, base)[:, None]
    given[:, unattributed] += np.where(base > NOTHING, 0.0, left)
    after = claimed + kept + given

    # Revenue follows conversions; what that leaves open goes where the residual went.
    moved = np.where(is_tested, paid, money * _ratio(after, before))
    open_money = paid_total - moved.sum(axis=1)
    to = given + np.where(given.sum(axis=1, keepdims=True) > NOTHING, 0.0, kept + claimed)
    return tuple(names), after, moved + open_money[:, None] * _ratio(to, to.sum(axis=1, keepdims=True))


def _takes(names: Sequence[str], tested: Sequence[str], residual: Residual, receivers: Sequence[str]) -> np.ndarray:
    """Which channels share what is left."""
    if residual not in RESIDUALS:
        raise LiftError(f"residual policy {residual!r} is none of {', '.join(RESIDUALS)}")
    if residual == "channels":
        if not receivers:
            raise LiftError("residual policy 'channels' needs the channels that share what is left")
        for name in receivers:
            if name not in names:
                raise LiftError(f"residual channel {name!r} earns no credit here; there are: {', '.join(names)}")
            if name in tested:
                raise LiftError(f"residual channel {name!r} has an experiment of its own, which decides its credit")
        return np.array([name in receivers for name in names])
    if receivers:
        raise LiftError(f"residual channels go with the policy 'channels', not {residual!r}")
    takes_all = residual == "proportional"
    return np.array([takes_all and name not in tested and name != UNATTRIBUTED for name in names])


def _ratio(top: Floats, bottom: Floats) -> Floats:
    top, bottom = np.broadcast_arrays(top, bottom)
    return np.divide(top, bottom, out=np.zeros(top.shape), where=bottom > NOTHING)


def calibrated_interval(
    conversions: Floats,
    low: Floats | None,
    high: Floats | None,
    channels: Sequence[str],
    tested: Sequence[Tested],
    residual: Residual = "proportional",
    receivers: Sequence[str] = (),
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """Interval of calibrated conversions: the experiments' errors and the model's own, drawn together.

    Args:
        conversions, low, high: The model's credit and interval; None where it has none. Shape (channels,).
        channels, tested, residual, receivers: As of `calibrate`.
        level: Coverage of both intervals.
        seed: Of the draws.

    Returns:
        Ends, over the names `calibrate` returns.
    """
    rng = np.random.default_rng(seed)
    width = 2.0 * NormalDist().inv_cdf((1.0 + level) / 2.0)
    spread = np.zeros(len(conversions)) if low is None or high is None else np.nan_to_num(high - low) / width
    # A tested channel's credit is incremental: the experiment's error is all of its error, the model's has no part in it.
    fixed = np.isin(list(channels), [one.channel for one in tested])
    drawn = np.maximum(conversions + rng.normal(size=(DRAWS, len(conversions))) * spread, 0.0)
    drawn[:, fixed] = conversions[fixed]
    open_credit = conversions[~fixed].sum()
    drawn[:, ~fixed] *= _ratio(np.full(DRAWS, open_credit), drawn[:, ~fixed].sum(axis=1))[:, None]
    factors = np.column_stack(
        [np.maximum(one.factor + one.error * rng.normal(size=DRAWS), 0.0) for one in tested] or [np.zeros((DRAWS, 0))]
    )
    found = _calibrate(drawn, np.zeros_like(drawn), channels, tested, factors, residual, receivers)[1]
    tail = 50.0 * (1.0 - level)
    ends = np.percentile(found, [tail, 100.0 - tail], axis=0)
    return ends[0], ends[1]
