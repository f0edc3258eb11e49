"""From touches and conversions of people to journeys.

Every conversion looks back over its own window: all touches of the person at or before it, at most `lookback_days` old,
whether or not an earlier conversion used them too. A conversion with no touch in its window is one `Direct` touch at the
moment of conversion, so that no conversion loses its credit. A person who never converts is one journey without a
conversion: the touches of the `lookback_days` up to their last.

Touches at the same instant are ordered by channel and campaign, not by their place in the file: shuffling the input
changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.paths import DIRECT, Floats, Ints, Paths, PeopleLog, sum_by

MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True)
class Touches:
    """Touches in any order; codes index names held elsewhere. Shape (touches,) each.

    Attributes:
        person: Code of the person.
        at: Microseconds since 1970, UTC.
        channel: Code of the channel.
        campaign: Code of the campaign; 0 where unknown.
    """

    person: Ints
    at: Ints
    channel: Ints
    campaign: Ints


@dataclass(frozen=True)
class Conversions:
    """Conversions in any order. Shape (conversions,) each; `person` uses the codes of the touches."""

    person: Ints
    at: Ints
    revenue: Floats


@dataclass(frozen=True)
class Journeys:
    """Journeys ready for the models.

    Attributes:
        paths: Converting journeys first, by person and time; then those who did not convert.
        conversion: Index of the conversion of each converting row. Shape (converting rows,).
        touch: Index of the touch behind each touch of `paths`; −1 for a synthetic Direct touch. Shape (touches,).
        touches, conversions, channels: What they were built from.
    """

    paths: Paths
    conversion: Ints
    touch: Ints
    touches: Touches
    conversions: Conversions
    channels: tuple[str, ...]

    @property
    def log(self) -> PeopleLog:
        """People and times, for the models that need them."""
        return PeopleLog(
            channels=self.channels,
            person=self.touches.person,
            at=self.touches.at,
            channel=self.touches.channel,
            buyer=self.conversions.person,
            bought_at=self.conversions.at,
            touch=self.touch[: self.paths.offsets[len(self.conversion)]],
            conversion=self.conversion,
        )


def direct_name(channels: list[str]) -> str:
    """How these channels spell Direct."""
    return next((name for name in channels if name.casefold() in ("direct", "(direct)")), DIRECT)


def build_journeys(touches: Touches, conversions: Conversions, channels: list[str], lookback_days: float) -> Journeys:
    """Assemble journeys.

    Args:
        touches: All touches.
        conversions: Conversions of one kind (or all pooled); people without one of these are the non-converting.
        channels: Sorted names; the code of a channel is its place. Must hold `direct_name(channels)`
            where a conversion has no touch.
        lookback_days: Width of the window, both ends included.

    Raises:
        ValueError: A conversion has no touch and no channel to hold it.
    """
    name = direct_name(channels)
    direct = channels.index(name) if name in channels else None
    window = int(lookback_days * 24 * MICROSECONDS_PER_HOUR)
    order = np.lexsort((touches.campaign, touches.channel, touches.at, touches.person))
    person, at = touches.person[order], touches.at[order]
    ranked = np.lexsort((conversions.revenue, conversions.at, conversions.person))
    buyer, bought = conversions.person[ranked], conversions.at[ranked]

    people, first_touch = np.unique(person, return_index=True)
    last_touch = np.concatenate([first_touch[1:], [len(person)]])[: len(people)] - 1
    lost = ~np.isin(people, buyer)
    owner = np.concatenate([buyer, people[lost]])
    end = np.concatenate([bought, at[last_touch[lost]]])

    # One sortable number per (person, instant): instants become ranks, because microseconds times people overflow.
    instants = np.unique(np.concatenate([at, end, end - window]))
    width = len(instants) + 1
    key = person * width + np.searchsorted(instants, at)
    low = np.searchsorted(key, owner * width + np.searchsorted(instants, end - window), side="left")
    high = np.searchsorted(key, owner * width + np.searchsorted(instants, end), side="right")

    found = high - low
    lengths = np.maximum(found, 1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    row = np.repeat(np.arange(len(lengths)), lengths)
    source = np.arange(offsets[-1]) - offsets[:-1][row] + low[row]
    real = found[row] > 0
    index = np.full(len(row), -1, dtype=np.int64)
    index[real] = order[source[real]]
    if direct is None and not real.all():
        raise ValueError(f"some conversions have no touch and the channels lack {name!r} to hold them")
    codes = np.full(len(row), direct or 0, dtype=np.int64)
    codes[real] = touches.channel[index[real]]
    hours = np.zeros(len(row))
    hours[real] = (end[row[real]] - touches.at[index[real]]) / MICROSECONDS_PER_HOUR
    converts = np.arange(len(lengths)) < len(buyer)
    paths = Paths(
        channels=tuple(channels),
        codes=codes,
        offsets=offsets,
        conversions=converts.astype(np.float64),
        nulls=(~converts).astype(np.float64),
        revenue=np.concatenate([conversions.revenue[ranked], np.zeros(int(lost.sum()))]),
        hours=hours,
        person=owner.astype(np.int64),
    )
    return Journeys(paths, ranked, index, touches, conversions, tuple(channels))


def median_cycle_days(journeys: Journeys) -> float | None:
    """Median days from the first touch in the window to the conversion; None without a touched conversion."""
    paths = journeys.paths
    first = paths.offsets[:-1][: len(journeys.conversion)]
    touched = first[journeys.touch[first] >= 0]
    if not len(touched) or paths.hours is None:
        return None
    return float(np.median(paths.hours[touched])) / 24.0


def spread_cost(campaign: Ints, channel: Ints, campaigns: int, channels: int) -> Floats:
    """Share of each campaign's touches by channel, for spend that names only its campaign.

    Returns:
        Rows sum to 1, or to 0 for a campaign without touches. Shape (campaigns, channels).
    """
    counts = sum_by(campaign * channels + channel, np.ones(len(campaign)), campaigns * channels)
    table = counts.reshape(campaigns, channels)
    total = table.sum(axis=1, keepdims=True)
    return np.divide(table, total, out=np.zeros_like(table), where=total > 0)
