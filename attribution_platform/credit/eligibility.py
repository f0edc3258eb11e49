"""Which touches of a journey may earn credit: channels and campaigns in or out, the last n touches, repeats merged.

Applied to built journeys, in this order, so that a filter never moves the window. Credit is renormalised by itself: models
see only what is left. A conversion of which nothing is left keeps its credit under `Unattributed`; conversions and revenue
add up under any filter. The SQL macro `kept_touches` says the same for the warehouse.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from attribution_platform.credit.journeys import Journeys
from attribution_platform.credit.paths import Ints

UNATTRIBUTED = "Unattributed"
# The names are those of Google's fractribution.
Transform = Literal["unique", "exposure", "first", "frequency"]


@dataclass(frozen=True)
class Eligibility:
    """What a user may leave out.

    Attributes:
        include_channels, exclude_channels: Names in any case; no included name means all.
        include_campaigns, exclude_campaigns: Regular expressions found anywhere in a campaign's name, in any case.
        lookback_steps: Only so many of the last touches; None for all.
        transform: `unique` keeps every touch, `exposure` one of each run of a channel, `first` the first of each channel,
            `frequency` the same with the count in its name, so that models tell "Display (1)" from "Display (4)".

    Raises:
        ValueError: A pattern is not a regular expression, the steps are not positive, or the transform is unknown.
    """

    include_channels: tuple[str, ...] = ()
    exclude_channels: tuple[str, ...] = ()
    include_campaigns: tuple[str, ...] = ()
    exclude_campaigns: tuple[str, ...] = ()
    lookback_steps: int | None = None
    transform: Transform = "unique"

    def __post_init__(self) -> None:
        for pattern in (*self.include_campaigns, *self.exclude_campaigns):
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"campaign pattern {pattern!r} is not a regular expression: {error}") from None
        if self.lookback_steps is not None and self.lookback_steps < 1:
            raise ValueError(f"lookback steps must be at least 1, not {self.lookback_steps}")
        if self.transform not in get_args(Transform):
            raise ValueError(f"path transform {self.transform!r} is not one of {', '.join(get_args(Transform))}")

    def channel_allowed(self, name: str) -> bool:
        """Whether a channel may earn credit."""
        included = {channel.casefold() for channel in self.include_channels}
        excluded = {channel.casefold() for channel in self.exclude_channels}
        return (not included or name.casefold() in included) and name.casefold() not in excluded

    def campaign_allowed(self, name: str) -> bool:
        """Whether a campaign may earn credit; a touch without one has the empty name."""

        def found(patterns: tuple[str, ...]) -> bool:
            return any(re.search(pattern, name, re.IGNORECASE) for pattern in patterns)

        return (not self.include_campaigns or found(self.include_campaigns)) and not found(self.exclude_campaigns)


ALL_TOUCHES = Eligibility()


def keep_eligible(
    journeys: Journeys, campaign: Ints, campaigns: list[str], rules: Eligibility, named: Sequence[str] = ()
) -> Journeys:
    """Journeys with only the touches that may earn credit.

    Args:
        campaign: Campaign code of every touch the journeys were built from. Shape (all touches,).
        campaigns: Names the codes index.
        named: Channels to report, if allowed, even where no touch of theirs is left.

    Returns:
        The same conversions in the same order; journeys that did not convert and lost all touches are gone.
    """
    paths = journeys.paths
    channel_ok = np.array([rules.channel_allowed(name) for name in paths.channels], dtype=bool)
    of_campaign = np.array([rules.campaign_allowed(name) for name in campaigns], dtype=bool)
    real = journeys.touch >= 0
    campaign_ok = np.full(len(paths.codes), rules.campaign_allowed(""))
    campaign_ok[real] = of_campaign[campaign[journeys.touch[real]]]
    kept = np.flatnonzero(channel_ok[paths.codes] & campaign_ok)

    row = paths.row_of_touch
    if rules.lookback_steps is not None:
        after = np.searchsorted(row[kept], row[kept], side="right") - np.arange(len(kept))
        kept = kept[after <= rules.lookback_steps]
    count = np.ones(len(kept), dtype=np.int64)
    if rules.transform == "exposure":
        again = (row[kept][1:] == row[kept][:-1]) & (paths.codes[kept][1:] == paths.codes[kept][:-1])
        kept = kept[np.concatenate([[True], ~again])] if len(kept) else kept
    elif rules.transform in ("first", "frequency"):
        key = row[kept] * len(paths.channels) + paths.codes[kept]
        _, first, count = np.unique(key, return_index=True, return_counts=True)
        order = np.argsort(first)
        kept, count = kept[first[order]], count[order]

    names = np.array(paths.channels, dtype=object)[paths.codes[kept]]
    if rules.transform == "frequency":
        names = np.array([f"{name} ({n})" for name, n in zip(names, count, strict=True)], dtype=object)
    lengths = np.bincount(row[kept], minlength=paths.rows)
    converts = np.arange(paths.rows) < len(journeys.conversion)
    emptied = np.flatnonzero((lengths == 0) & converts)
    owner = np.concatenate([row[kept], emptied])
    order = np.argsort(owner, kind="stable")
    names = np.concatenate([names, np.full(len(emptied), UNATTRIBUTED, dtype=object)])[order]
    silent = [] if rules.transform == "frequency" else [name for name in named if rules.channel_allowed(name)]
    channels = np.unique(np.concatenate([names.astype(str), np.array(silent, dtype=str)]))
    codes = np.searchsorted(channels, names.astype(str))
    rows = np.flatnonzero((lengths > 0) | converts)
    return replace(
        journeys,
        paths=replace(
            paths,
            channels=tuple(str(name) for name in channels),
            codes=codes.astype(np.int64),
            offsets=np.concatenate([[0], np.cumsum(np.maximum(lengths[rows], 1))]).astype(np.int64),
            conversions=paths.conversions[rows],
            nulls=paths.nulls[rows],
            revenue=paths.revenue[rows],
            hours=None if paths.hours is None else np.concatenate([paths.hours[kept], np.zeros(len(emptied))])[order],
            person=None if paths.person is None else paths.person[rows],
            _cache={},
        ),
        touch=np.concatenate([journeys.touch[kept], np.full(len(emptied), -1)])[order],
    )
