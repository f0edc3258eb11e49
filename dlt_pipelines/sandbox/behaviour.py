"""How simulated people come to be touched and to convert: the causal core of the sandbox world and of the truth lab.

A world is a grid of people by days. Each channel may touch a person once a day, with a probability that follows the
person's latent intent, earlier touches (harvesting, retargeting) and chance. Conversion follows a hazard that intent and
decaying exposures raise; a person converts when the cumulative hazard passes an exponential clock drawn in advance.

Every draw is made in advance, per (person, day, channel), from counter-based Philox streams. Switching a channel off
therefore replays the *same* world without it: its touches vanish, so do the touches they caused, and whoever it never
reached lives exactly the same life. ``counterfactual`` makes the truth of these replays, ``causal_worlds`` has the worlds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Index = NDArray[np.int64]

# People are simulated in blocks so that a world of 2,000 is the beginning of a world of 200,000 with the same seed, and
# so that a block's arrays stay in cache.
BLOCK = 8192
_MINUTE = 1.0 / 1440.0
_LATEST_TOUCH = 0.85  # of a day; leaves room for closing touches and the conversion on the same day


@dataclass(frozen=True)
class Channel:
    """One channel. Rates are touches a day for a person of average intent; effects act on the conversion hazard.

    Attributes:
        rate: probability of a touch on a day, before intent and affinity.
        intent: how strongly latent intent raises the rate (log scale, per unit of intent).
        effect: effect of one fresh touch on the hazard (log hazard under link "log", relative hazard under "linear").
        half_life: days after which half of a touch's effect is left.
        saturation: exposure at which returns flatten, ``k (1 - exp(-x / k))``; 0 means never.
        needs_visit_days: the channel reaches only people who visited through a channel without this need, at most so
            many days ago and not today (retargeting, e-mail to known visitors); 0 means it reaches anyone.
        hazard_driven: extra touch probability per unit of yesterday's conversion hazard (brand search of the convinced).
        closing: probability of a touch just before a conversion, caused by it.
        delay_days: days before a touch begins to act.
        flight_days: the channel runs for so many days, then pauses for as many, and again; 0 means always.
    """

    name: str
    rate: float
    intent: float = 0.0
    effect: float = 0.0
    half_life: float = 7.0
    saturation: float = 3.0
    needs_visit_days: int = 0
    hazard_driven: float = 0.0
    closing: float = 0.0
    delay_days: int = 0
    flight_days: int = 0


@dataclass(frozen=True)
class Trigger:
    """A touch of ``cause`` raises the probability of a touch of ``channel`` on the following days."""

    cause: str
    channel: str
    probability: float


@dataclass(frozen=True)
class Synergy:
    """Both channels present raise the hazard by ``effect * (1 - exp(-x)) * (1 - exp(-y))`` on top of their own."""

    first: str
    second: str
    effect: float


@dataclass(frozen=True)
class BehaviourConfig:
    """A whole world. Equal configs give equal worlds, bit for bit on one machine.

    Attributes:
        base_hazard: conversions a day of a person of average intent whom nothing touches.
        intent_sd: spread of the constant part of latent intent (normal).
        intent_hazard: how strongly intent raises the hazard (log scale).
        episode_share, episode_days, episode_boost: share of people in the market once, for how many days on average, and
            how much intent is higher then.
        affinity_sd: spread of each person's own taste for each channel (log rate), unrelated to intent.
        activity_sd: spread of how much a person is about at all (log rate of every channel alike), unrelated to intent.
        season_days, season_rate, season_hazard: length of a season, and how far it swings all rates and the hazard (log).
        trigger_half_life: days after which half of a touch's power to trigger others is left.
        max_conversions: conversions a person can have.
        exit_after_conversion: leave out the touches that follow a person's last possible conversion.
        stay_days: people come at random and are about for so many days, and the world has been like that for as long before
            its first day, so that nothing grows or dries up; 0: everybody is there from the first day to the last.
    """

    channels: tuple[Channel, ...]
    name: str = "custom"
    people: int = 20_000
    days: int = 90
    seed: int = 0
    base_hazard: float = 0.0004
    intent_sd: float = 0.0
    intent_hazard: float = 1.0
    episode_share: float = 0.0
    episode_days: float = 12.0
    episode_boost: float = 1.5
    affinity_sd: float = 0.4
    activity_sd: float = 0.0
    season_days: float = 28.0
    season_rate: float = 0.0
    season_hazard: float = 0.0
    triggers: tuple[Trigger, ...] = ()
    trigger_half_life: float = 1.5
    synergies: tuple[Synergy, ...] = ()
    link: Literal["log", "linear"] = "log"
    max_conversions: int = 1
    exit_after_conversion: bool = True
    stay_days: int = 0

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"channels: names must be given and differ, got {names}")
        if self.people < 1 or self.days < 1 or self.max_conversions < 1:
            raise ValueError("people, days and max_conversions must be at least 1")
        if self.stay_days < 0:
            raise ValueError(f"stay_days must not be negative, got {self.stay_days}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        known = set(names)
        for what, used in (
            ("triggers", {name for t in self.triggers for name in (t.cause, t.channel)}),
            ("synergies", {name for s in self.synergies for name in (s.first, s.second)}),
        ):
            if used - known:
                raise ValueError(f"{what}: unknown channels {sorted(used - known)}; this world has {names}")

    @property
    def lived_days(self) -> int:
        """Days that are simulated: those before the first one are nobody's to see, and people have lived them."""
        return self.stay_days + self.days

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names in config order."""
        return tuple(channel.name for channel in self.channels)


@dataclass(frozen=True)
class Journeys:
    """What an omniscient log of a world would hold.

    Attributes:
        touches: person (int64), time (days since the start, negative before it), channel; ordered by person and time.
        conversions: person (int64), time; ordered likewise.
        came, left: per person when they were about first and last, in days since the start; infinite where all always are.
    """

    touches: pd.DataFrame
    conversions: pd.DataFrame
    came: NDArray[np.float64]
    left: NDArray[np.float64]


@dataclass
class Block:
    """The drawn luck of up to BLOCK people. ``luck`` is lived days x channels x people, the rest per person."""

    first_person: int
    size: int
    luck: NDArray[np.float32]
    rate_outside: NDArray[np.float32]
    rate_inside: NDArray[np.float32]
    hazard_outside: NDArray[np.float64]
    hazard_inside: NDArray[np.float64]
    episode_start: NDArray[np.float32]
    episode_end: NDArray[np.float32]
    clock: NDArray[np.float64]
    came: NDArray[np.float64]
    left: NDArray[np.float64]


@dataclass
class Outcome:
    """Result of one replay of a block: cumulative hazard by the last day and before the first, who was ever touched, and, if
    recorded, when (lived days)."""

    hazard: NDArray[np.float64]
    hazard_before: NDArray[np.float64]
    touched: NDArray[np.bool_]
    touch_person: list[Index] = field(default_factory=list)
    touch_day: list[Index] = field(default_factory=list)
    touch_channel: list[Index] = field(default_factory=list)
    conversion_day: NDArray[np.int64] | None = None


def _stream(config: BehaviourConfig, block: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[config.seed, block * 16 + purpose]))


def draw_block(config: BehaviourConfig, block: int) -> Block:
    first = block * BLOCK
    size = min(BLOCK, config.people - first)
    count = len(config.channels)
    traits = _stream(config, block, 0)
    intent = config.intent_sd * traits.standard_normal(BLOCK)[:size]
    in_market = traits.random(BLOCK)[:size] < config.episode_share
    came, left = np.full(size, -np.inf), np.full(size, np.inf)
    first_day = np.zeros(size)
    about = config.days
    if config.stay_days:
        about = config.stay_days
        came = first_day = _stream(config, block, 5).random(BLOCK)[:size] * config.lived_days
        left = came + config.stay_days
    start = first_day + traits.random(BLOCK)[:size] * (about + config.episode_days) - config.episode_days
    length = traits.exponential(config.episode_days, BLOCK)[:size] + 1.0
    start = np.where(in_market, start, np.inf)
    affinity = config.affinity_sd * traits.standard_normal((count, BLOCK))[:, :size]
    clock = np.cumsum(traits.exponential(1.0, (config.max_conversions, BLOCK))[:, :size], axis=0)

    rate = np.array([channel.rate for channel in config.channels])[:, None]
    pull = np.array([channel.intent for channel in config.channels])[:, None]
    outside = rate * np.exp(pull * intent + affinity)
    if config.activity_sd:
        outside *= np.exp(config.activity_sd * _stream(config, block, 4).standard_normal(BLOCK)[:size])
    hazard = config.base_hazard * np.exp(config.intent_hazard * intent)
    luck = _stream(config, block, 1).random((config.lived_days, count, BLOCK), dtype=np.float32)
    return Block(
        first_person=first,
        size=size,
        luck=luck[:, :, :size],
        rate_outside=outside.astype(np.float32),
        rate_inside=(outside * np.exp(pull * config.episode_boost)).astype(np.float32),
        hazard_outside=hazard,
        hazard_inside=hazard * np.exp(config.intent_hazard * config.episode_boost),
        episode_start=start.astype(np.float32),
        episode_end=(start + length).astype(np.float32),
        clock=clock,
        came=came,
        left=left,
    )


def replay(
    config: BehaviourConfig,
    block: Block,
    active: Iterable[int],
    who: Index | None = None,
    record: bool = False,
) -> Outcome:
    """Live through all days with the channels ``active`` (positions), for the people ``who`` of the block.

    Sums run channel by channel instead of through a matrix product: adding an absent channel's exact zero changes no
    bit, while a product of another shape does, and replays must agree to the last bit.
    """
    active = sorted(active)
    rows: Index | slice = slice(0, block.size) if who is None else who
    size = block.size if who is None else len(who)
    start, end = block.episode_start[rows], block.episode_end[rows]
    rates_out = {c: block.rate_outside[c, rows] for c in active}
    rates_in = {c: block.rate_inside[c, rows] for c in active}
    hazard_out, hazard_in = block.hazard_outside[rows], block.hazard_inside[rows]
    clock = block.clock[:, rows]
    came, left = block.came[rows], block.left[rows]

    position = {name: c for c, name in enumerate(config.channel_names)}
    causes: dict[int, list[tuple[int, np.float32]]] = {c: [] for c in active}
    for trigger in config.triggers:
        if position[trigger.cause] in causes and position[trigger.channel] in causes:
            causes[position[trigger.channel]].append((position[trigger.cause], np.float32(trigger.probability)))
    tracked = {cause for pairs in causes.values() for cause, _ in pairs}
    pairs = [(position[s.first], position[s.second], s.effect) for s in config.synergies]
    pairs = [(a, b, effect) for a, b, effect in pairs if a in causes and b in causes]
    paired = {c for a, b, _ in pairs for c in (a, b)}
    exposed = [c for c in active if config.channels[c].effect != 0.0 or c in paired]
    decay = {c: np.float32(0.5 ** (1.0 / config.channels[c].half_life)) for c in exposed}
    fade = np.float32(0.5 ** (1.0 / config.trigger_half_life))

    exposure = {c: np.zeros(size, np.float32) for c in exposed}
    trace = {c: np.zeros(size, np.float32) for c in tracked}
    delayed = {c: [np.zeros(size, bool)] * config.channels[c].delay_days for c in exposed}
    last_visit = np.full(size, -(10**6), np.int32)
    total = np.zeros(size)
    hazard = np.zeros(size)
    outcome = Outcome(hazard=total, hazard_before=np.zeros(size), touched=np.zeros((len(config.channels), size), bool))
    if record:
        outcome.conversion_day = np.full((config.max_conversions, size), -1, np.int64)

    for day in range(config.lived_days):
        if day == config.stay_days:
            outcome.hazard_before = total.copy()
        inside = (start <= day) & (day < end)
        here = (came <= day) & (day < left) if config.stay_days else None
        any_inside = bool(inside.any())
        season = np.sin(2.0 * np.pi * day / config.season_days)
        touched_today: dict[int, NDArray[np.bool_]] = {}
        for c in active:
            channel = config.channels[c]
            chance = np.where(inside, rates_in[c], rates_out[c]) if any_inside else rates_out[c]
            for cause, probability in causes[c]:
                chance = chance + probability * trace[cause]
            if channel.hazard_driven:
                chance = chance + np.float32(channel.hazard_driven) * hazard.astype(np.float32)
            if config.season_rate:
                chance = chance * np.float32(np.exp(config.season_rate * season))
            if channel.flight_days and (day // channel.flight_days + c) % 2:
                chance = np.zeros(size, np.float32)
            touched = block.luck[day, c, rows] < chance
            if here is not None:
                touched &= here
            if channel.needs_visit_days:
                touched &= day - last_visit <= channel.needs_visit_days
            touched_today[c] = touched
        for c, touched in touched_today.items():
            outcome.touched[c] |= touched
            if not config.channels[c].needs_visit_days:
                last_visit[touched] = day
            if record:
                people = np.flatnonzero(touched)
                outcome.touch_person.append(people)
                outcome.touch_day.append(np.full(len(people), day))
                outcome.touch_channel.append(np.full(len(people), c))
        for c in tracked:
            trace[c] = trace[c] * fade + touched_today[c]

        lift = np.zeros(size)
        presence: dict[int, NDArray[np.float64]] = {}
        for c in exposed:
            channel = config.channels[c]
            delayed[c] = [*delayed[c], touched_today[c]]
            exposure[c] = exposure[c] * decay[c] + delayed[c].pop(0)
            level = exposure[c].astype(np.float64)
            if c in paired:
                presence[c] = -np.expm1(-level)
            if channel.saturation:
                level = -np.expm1(level * (-1.0 / channel.saturation)) * channel.saturation
            lift += channel.effect * level
        for a, b, effect in pairs:
            lift += effect * presence[a] * presence[b]
        base = np.where(inside, hazard_in, hazard_out) if any_inside else hazard_out
        if config.season_hazard:
            base = base * np.exp(config.season_hazard * season)
        hazard = base * (np.exp(lift) if config.link == "log" else np.maximum(1.0 + lift, 0.0))
        if here is not None:
            hazard = hazard * here
        if outcome.conversion_day is not None:
            crossed = (clock > total) & (clock <= total + hazard)
            outcome.conversion_day[crossed] = day
        total += hazard
    return outcome


def _active_positions(config: BehaviourConfig, active_channels: Iterable[str] | None) -> list[int]:
    if active_channels is None:
        return list(range(len(config.channels)))
    wanted = set(active_channels)
    unknown = wanted - set(config.channel_names)
    if unknown:
        raise ValueError(f"unknown channels {sorted(unknown)}; this world has {list(config.channel_names)}")
    return [c for c, name in enumerate(config.channel_names) if name in wanted]


def block_count(config: BehaviourConfig) -> int:
    return -(-config.people // BLOCK)


def _block_journeys(
    config: BehaviourConfig, number: int, active: list[int]
) -> tuple[tuple[NDArray, NDArray, NDArray], tuple[NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Touches (person, time, channel position), conversions (person, time), and when people came and left, of one block."""
    block = draw_block(config, number)
    outcome = replay(config, block, active, record=True)
    assert outcome.conversion_day is not None
    count = len(config.channels)
    hours = _stream(config, number, 2).random((config.lived_days, count, BLOCK), dtype=np.float32)
    empty = np.zeros(0, np.int64)
    person = np.concatenate([*outcome.touch_person, empty])
    day = np.concatenate([*outcome.touch_day, empty])
    channel = np.concatenate([*outcome.touch_channel, empty])
    time = day + 0.02 + (_LATEST_TOUCH - 0.02) * hours[day, channel, person].astype(np.float64)

    endings = _stream(config, number, 3)
    anytime = endings.random((config.max_conversions, BLOCK))
    pause = endings.random((config.max_conversions, BLOCK))
    close_luck = endings.random((config.max_conversions, count, BLOCK))
    close_time = endings.random((config.max_conversions, count, BLOCK))
    close_rate = np.array([c.closing for c in config.channels])

    latest = np.full(config.lived_days * BLOCK, -1.0)
    np.maximum.at(latest, day * BLOCK + person, time)
    turn, who = np.nonzero(outcome.conversion_day >= 0)
    on = outcome.conversion_day[turn, who]
    before = latest[on * BLOCK + who]
    before = np.where(before < 0, on + 0.1 + (_LATEST_TOUCH - 0.1) * anytime[turn, who], before)
    # Drawn for all channels, active or not: the hour of a conversion must not depend on who is switched off.
    closes = close_luck[turn, :, who] < close_rate
    has_closing = closes.any(axis=1)
    wait = np.where(has_closing, 45 + 75 * pause[turn, who], 2 + 13 * pause[turn, who]) * _MINUTE
    converted_at = before + wait + turn * 20 * _MINUTE

    switched_on = np.isin(np.arange(count), active)
    row, close_channel = np.nonzero(closes & switched_on)
    close_at = converted_at[row] - (1 + 12 * close_time[turn[row], close_channel, who[row]]) * _MINUTE
    person = np.concatenate([person, who[row]])
    time = np.concatenate([time, close_at])
    channel = np.concatenate([channel, close_channel])
    if config.exit_after_conversion:
        last = np.full(BLOCK, np.inf)
        final = turn == config.max_conversions - 1
        last[who[final]] = converted_at[final]
        keep = time <= last[person]
        person, time, channel = person[keep], time[keep], channel[keep]
    order = np.lexsort((channel, time, person))
    touches = (person[order] + block.first_person, time[order] - config.stay_days, channel[order])
    order = np.lexsort((converted_at, who))
    conversions = (who[order] + block.first_person, converted_at[order] - config.stay_days)
    return touches, conversions, (block.came - config.stay_days, block.left - config.stay_days)


def simulate(config: BehaviourConfig, active_channels: Iterable[str] | None = None) -> Journeys:
    """Run the world, with all its channels or only some.

    Args:
        active_channels: names of the channels that exist; None for all. Whoever none of the others would have reached
            has exactly the journey of the full world.

    Raises:
        ValueError: a name is not a channel of this world.
    """
    active = _active_positions(config, active_channels)
    touches, conversions, stays = zip(
        *(_block_journeys(config, number, active) for number in range(block_count(config))), strict=True
    )
    person, time, channel = (np.concatenate(parts) for parts in zip(*touches, strict=True))
    who, when = (np.concatenate(parts) for parts in zip(*conversions, strict=True))
    came, left = (np.concatenate(parts) for parts in zip(*stays, strict=True))
    names = pd.Categorical.from_codes(channel.astype(np.int64), categories=list(config.channel_names))
    return Journeys(
        touches=pd.DataFrame({"person": person.astype(np.int64), "time": time, "channel": names.astype(str)}),
        conversions=pd.DataFrame({"person": who.astype(np.int64), "time": when}),
        came=came,
        left=left,
    )
