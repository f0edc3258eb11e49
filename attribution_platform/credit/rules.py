"""Rule models: credit from the position of a touch, exact, vectorised over touches.

`rule_weights(model, paths)` returns one weight per touch; the weights of a journey sum to 1 (except `participation`,
which gives every channel of the journey full credit and is therefore never added across channels).

Shapes follow the field's usage: position based and U give 40 % to the first and last touch; W gives 30 % to the first,
middle and last; J gives 20 / 60 and inverse J 60 / 20 to first / last (HubSpot's definitions). Whatever the named
positions leave is shared equally by the other touches; where there are none, the named shares are renormalised, so two
touches under position based get a half each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.paths import Floats, Ints, Paths, sum_by

DIRECT_NAMES = frozenset({"direct", "(direct)"})
# GA4's channels bought as media that do not say "Paid" in their name.
PAID_NAMES = frozenset({"display", "cross-network"})


@dataclass(frozen=True)
class CustomWeights:
    """Shares of the first, middle and last touch; the rest is shared equally by the others. None: not set apart.

    Raises:
        ValueError: A share is negative or the shares exceed 1.
    """

    first: float | None = None
    middle: float | None = None
    last: float | None = None

    def __post_init__(self) -> None:
        shares = [share for share in (self.first, self.middle, self.last) if share is not None]
        if min(shares, default=0.0) < 0 or self.rest < -1e-12:
            raise ValueError(f"custom weights must be at least 0 and sum to at most 1, not {shares}")

    @property
    def rest(self) -> float:
        """What the touches that are not set apart share."""
        return 1.0 - sum(share for share in (self.first, self.middle, self.last) if share is not None)


@dataclass(frozen=True)
class RuleOptions:
    """What a user may set.

    Attributes:
        half_life_days: Time decay halves credit every this many days before the conversion.
        half_life_steps: Used instead where only the order of touches is known (aggregated paths).
        direct_channels: Names, lower case, that last and first non-direct pass over.
        custom: Shares used by the model `custom`.
    """

    half_life_days: float = 7.0
    half_life_steps: float = 1.0
    direct_channels: frozenset[str] = DIRECT_NAMES
    custom: CustomWeights = CustomWeights(first=0.4, last=0.4)

    def __post_init__(self) -> None:
        if not (self.half_life_days > 0 and self.half_life_steps > 0):
            raise ValueError("half-life must be positive")


def is_paid(channel: str) -> bool:
    """Whether a channel is bought media by its GA4 display name."""
    name = channel.casefold()
    return name.startswith("paid") or name in PAID_NAMES


def _mask(paths: Paths, wanted: Iterable[bool]) -> np.ndarray:
    return np.fromiter(wanted, dtype=bool, count=len(paths.channels))[paths.codes]


def _one_hot(paths: Paths, touch: Ints) -> Floats:
    weights = np.zeros(len(paths.codes))
    weights[touch] = 1.0
    return weights


def _pick(paths: Paths, eligible: np.ndarray | None, last: bool) -> Floats:
    """All credit to the first or last eligible touch; to the first or last of all where none is eligible."""
    fallback = paths.offsets[1:] - 1 if last else paths.offsets[:-1]
    if eligible is None or not len(paths.codes):
        return _one_hot(paths, fallback)
    index = np.arange(len(paths.codes))
    if last:
        found = np.maximum.reduceat(np.where(eligible, index, -1), paths.offsets[:-1])
    else:
        found = np.minimum.reduceat(np.where(eligible, index, len(index)), paths.offsets[:-1])
    return _one_hot(paths, np.where((found < 0) | (found >= len(index)), fallback, found))


def _normalise(paths: Paths, raw: Floats) -> Floats:
    return raw / sum_by(paths.row_of_touch, raw, paths.rows)[paths.row_of_touch]


def _linear(paths: Paths, options: RuleOptions) -> Floats:
    return 1.0 / paths.lengths[paths.row_of_touch]


def _time_decay(paths: Paths, options: RuleOptions) -> Floats:
    if paths.hours is None:
        steps = (paths.lengths[paths.row_of_touch] - 1 - paths.position) / options.half_life_steps
    else:
        steps = paths.hours / (24.0 * options.half_life_days)
    if len(steps):
        # Relative to the touch nearest the conversion: an old journey under a short half-life would underflow to 0 / 0.
        steps = steps - np.minimum.reduceat(steps, paths.offsets[:-1])[paths.row_of_touch]
    return _normalise(paths, np.exp2(-steps))


def _shaped(paths: Paths, shape: CustomWeights) -> Floats:
    length = paths.lengths[paths.row_of_touch]
    position = paths.position
    named = [(position == 0, shape.first), (position == length - 1, shape.last)]
    if shape.middle is not None:
        # A middle exists only where it is neither the first nor the last touch.
        named.append(((position == length // 2) & (length > 2), shape.middle))
    raw = np.zeros(len(paths.codes))
    is_named = np.zeros(len(paths.codes), dtype=bool)
    for where, share in named:
        if share is not None:
            raw += where * share
            is_named |= where
    others = sum_by(paths.row_of_touch, ~is_named, paths.rows)[paths.row_of_touch]
    raw = np.where(is_named, raw, shape.rest / np.maximum(others, 1))
    # With nothing but zero shares in a short journey (a J with all credit in the middle) fall back to equal shares.
    total = sum_by(paths.row_of_touch, raw, paths.rows)[paths.row_of_touch]
    return _normalise(paths, np.where(total > 1e-12, raw, 1.0))


def _participation(paths: Paths, options: RuleOptions) -> Floats:
    """Full credit to each channel of the journey, given to its first touch in it."""
    key = paths.row_of_touch * max(len(paths.channels), 1) + paths.codes
    _, first = np.unique(key, return_index=True)
    return _one_hot(paths, first)


def _non_direct(paths: Paths, options: RuleOptions, last: bool) -> Floats:
    eligible = _mask(paths, (c.casefold() not in options.direct_channels for c in paths.channels))
    return _pick(paths, eligible, last)


RuleFunction = Callable[[Paths, RuleOptions], Floats]

RULES: dict[str, RuleFunction] = {
    "first_touch": lambda p, o: _pick(p, None, last=False),
    "last_touch": lambda p, o: _pick(p, None, last=True),
    "last_non_direct": lambda p, o: _non_direct(p, o, last=True),
    "linear": _linear,
    "time_decay": _time_decay,
    "position_based": lambda p, o: _shaped(p, CustomWeights(first=0.4, last=0.4)),
    "first_non_direct": lambda p, o: _non_direct(p, o, last=False),
    "first_paid": lambda p, o: _pick(p, _mask(p, map(is_paid, p.channels)), last=False),
    "last_paid": lambda p, o: _pick(p, _mask(p, map(is_paid, p.channels)), last=True),
    "u_shaped": lambda p, o: _shaped(p, CustomWeights(first=0.4, last=0.4)),
    "w_shaped": lambda p, o: _shaped(p, CustomWeights(first=0.3, middle=0.3, last=0.3)),
    "j_shaped": lambda p, o: _shaped(p, CustomWeights(first=0.2, last=0.6)),
    "inverse_j": lambda p, o: _shaped(p, CustomWeights(first=0.6, last=0.2)),
    "participation": _participation,
    "custom": lambda p, o: _shaped(p, o.custom),
}
# Every other rule conserves: the weights of a journey sum to 1.
NOT_CONSERVED = frozenset({"participation"})


def rule_weights(model: str, paths: Paths, options: RuleOptions = RuleOptions()) -> Floats:
    """Weight of every touch under one rule. Shape (touches,).

    Raises:
        KeyError: No rule has this name.
    """
    if model not in RULES:
        raise KeyError(f"no rule model {model!r}; there are: {', '.join(RULES)}")
    return RULES[model](paths, options)
