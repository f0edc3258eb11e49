"""How simulated people come to be touched and to convert: the causal core of the sandbox world and of the truth lab.

A world is a grid of people by days. Each channel may touch a person once a day, with a probability that follows the
person's latent intent, earlier touches (harvesting, retargeting) and chance. Conversion follows a hazard that intent and
decaying exposures raise; a person converts when the cumulative hazard passes an exponential clock drawn in advance.

Every draw is made in advance, per (person, day, channel), from counter-based Philox streams. Switching a channel off
therefore replays the *same* world without it: its touches vanish, so do the touches they caused, and whoever it never
reached lives exactly the same life. The Shapley value over these replays is the truth that credit models are scored by.

Choices, made once and relied upon:
- every channel of the config is a player, Direct included: it deserves what its effect says (none in the presets)
  and what it makes possible (a visit that retargeting then follows);
- ``v(no channel)`` is what would have happened anyway. It belongs to no channel and is left out of the shares;
- a closing touch (somebody about to buy types the address or searches the brand) is a symptom of the conversion, so it
  carries no effect, whatever the effect of its channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import factorial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import poisson

FloatArray = NDArray[np.floating]
Index = NDArray[np.int64]

# People are simulated in blocks so that a world of 2,000 is the beginning of a world of 200,000 with the same seed, and
# so that a block's arrays stay in cache.
BLOCK = 8192
MAX_PLAYERS = 10
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
        trigger_half_life: days after which half of a touch's power to trigger others is left.
        max_conversions: conversions a person can have.
        exit_after_conversion: leave out the touches that follow a person's last possible conversion.
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
    triggers: tuple[Trigger, ...] = ()
    trigger_half_life: float = 1.5
    synergies: tuple[Synergy, ...] = ()
    link: Literal["log", "linear"] = "log"
    max_conversions: int = 1
    exit_after_conversion: bool = True

    def __post_init__(self) -> None:
        names = [channel.name for channel in self.channels]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"channels: names must be given and differ, got {names}")
        if self.people < 1 or self.days < 1 or self.max_conversions < 1:
            raise ValueError("people, days and max_conversions must be at least 1")
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
    def channel_names(self) -> tuple[str, ...]:
        """Names in config order."""
        return tuple(channel.name for channel in self.channels)


@dataclass(frozen=True)
class Journeys:
    """What an omniscient log of a world would hold.

    Attributes:
        touches: person (int64), time (days since the start), channel; ordered by person and time.
        conversions: person (int64), time; ordered likewise.
    """

    touches: pd.DataFrame
    conversions: pd.DataFrame


@dataclass
class _Block:
    """The drawn luck of up to BLOCK people. ``luck`` is days x channels x people, the rest per person."""

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


@dataclass
class _Outcome:
    """Result of one replay of a block: cumulative hazard, who was ever touched, and, if recorded, when."""

    hazard: NDArray[np.float64]
    touched: NDArray[np.bool_]
    touch_person: list[Index] = field(default_factory=list)
    touch_day: list[Index] = field(default_factory=list)
    touch_channel: list[Index] = field(default_factory=list)
    conversion_day: NDArray[np.int64] | None = None


def _stream(config: BehaviourConfig, block: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[config.seed, block * 16 + purpose]))


def _draw_block(config: BehaviourConfig, block: int) -> _Block:
    first = block * BLOCK
    size = min(BLOCK, config.people - first)
    count = len(config.channels)
    traits = _stream(config, block, 0)
    intent = config.intent_sd * traits.standard_normal(BLOCK)[:size]
    in_market = traits.random(BLOCK)[:size] < config.episode_share
    start = traits.random(BLOCK)[:size] * (config.days + config.episode_days) - config.episode_days
    length = traits.exponential(config.episode_days, BLOCK)[:size] + 1.0
    start = np.where(in_market, start, np.inf)
    affinity = config.affinity_sd * traits.standard_normal((count, BLOCK))[:, :size]
    clock = np.cumsum(traits.exponential(1.0, (config.max_conversions, BLOCK))[:, :size], axis=0)

    rate = np.array([channel.rate for channel in config.channels])[:, None]
    pull = np.array([channel.intent for channel in config.channels])[:, None]
    outside = rate * np.exp(pull * intent + affinity)
    hazard = config.base_hazard * np.exp(config.intent_hazard * intent)
    luck = _stream(config, block, 1).random((config.days, count, BLOCK), dtype=np.float32)
    return _Block(
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
    )


def _replay(
    config: BehaviourConfig,
    block: _Block,
    active: Iterable[int],
    who: Index | None = None,
    record: bool = False,
) -> _Outcome:
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
    last_visit = np.full(size, -(10**6), np.int32)
    total = np.zeros(size)
    hazard = np.zeros(size)
    outcome = _Outcome(hazard=total, touched=np.zeros((len(config.channels), size), bool))
    if record:
        outcome.conversion_day = np.full((config.max_conversions, size), -1, np.int64)

    for day in range(config.days):
        inside = (start <= day) & (day < end)
        any_inside = bool(inside.any())
        touched_today: dict[int, NDArray[np.bool_]] = {}
        for c in active:
            channel = config.channels[c]
            chance = np.where(inside, rates_in[c], rates_out[c]) if any_inside else rates_out[c]
            for cause, probability in causes[c]:
                chance = chance + probability * trace[cause]
            if channel.hazard_driven:
                chance = chance + np.float32(channel.hazard_driven) * hazard.astype(np.float32)
            touched = block.luck[day, c, rows] < chance
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
            exposure[c] = exposure[c] * decay[c] + touched_today[c]
            level = exposure[c].astype(np.float64)
            if c in paired:
                presence[c] = -np.expm1(-level)
            if channel.saturation:
                level = -np.expm1(level * (-1.0 / channel.saturation)) * channel.saturation
            lift += channel.effect * level
        for a, b, effect in pairs:
            lift += effect * presence[a] * presence[b]
        base = np.where(inside, hazard_in, hazard_out) if any_inside else hazard_out
        hazard = base * (np.exp(lift) if config.link == "log" else np.maximum(1.0 + lift, 0.0))
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


def _block_count(config: BehaviourConfig) -> int:
    return -(-config.people // BLOCK)


def _block_journeys(
    config: BehaviourConfig, number: int, active: list[int]
) -> tuple[tuple[NDArray, NDArray, NDArray], tuple[NDArray, NDArray]]:
    """Touches (person, time, channel position) and conversions (person, time) of one block."""
    block = _draw_block(config, number)
    outcome = _replay(config, block, active, record=True)
    assert outcome.conversion_day is not None
    count = len(config.channels)
    hours = _stream(config, number, 2).random((config.days, count, BLOCK), dtype=np.float32)
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

    latest = np.full(config.days * BLOCK, -1.0)
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
    touches = (person[order] + block.first_person, time[order], channel[order])
    order = np.lexsort((converted_at, who))
    return touches, (who[order] + block.first_person, converted_at[order])


def simulate(config: BehaviourConfig, active_channels: Iterable[str] | None = None) -> Journeys:
    """Run the world, with all its channels or only some.

    Args:
        active_channels: names of the channels that exist; None for all. Whoever none of the others would have reached
            has exactly the journey of the full world.

    Raises:
        ValueError: a name is not a channel of this world.
    """
    active = _active_positions(config, active_channels)
    touches, conversions = zip(
        *(_block_journeys(config, number, active) for number in range(_block_count(config))), strict=True
    )
    person, time, channel = (np.concatenate(parts) for parts in zip(*touches, strict=True))
    who, when = (np.concatenate(parts) for parts in zip(*conversions, strict=True))
    names = pd.Categorical.from_codes(channel.astype(np.int64), categories=list(config.channel_names))
    return Journeys(
        touches=pd.DataFrame({"person": person.astype(np.int64), "time": time, "channel": names.astype(str)}),
        conversions=pd.DataFrame({"person": who.astype(np.int64), "time": when}),
    )


def _expected_conversions(config: BehaviourConfig, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
    """E[min(N, max_conversions)] with N Poisson(hazard): the exponential clock integrated out, so v(S) has no clock noise."""
    expected = -np.expm1(-hazard)
    for k in range(1, config.max_conversions):
        expected = expected + poisson.sf(k, hazard)
    return expected


def _masks_below(mask: int) -> Iterator[int]:
    below = mask
    while True:
        yield below
        if below == 0:
            return
        below = (below - 1) & mask


def coalition_values(config: BehaviourConfig, realised: bool = False) -> NDArray[np.float64]:
    """v(S) for every coalition: conversions with only the channels of S. Index = bit mask over config order.

    A person whom the full world touches through the channels A lives the same life under S as under S ∩ A, because
    switching channels off only ever removes touches. So each person is replayed 2^|A| times instead of 2^n (measured:
    about a tenth of the work). Where a negative effect meets hazard-driven touches that is not so, and A is everything.

    Args:
        realised: count the clock's actual conversions instead of their expectation.

    Raises:
        ValueError: more than 10 channels.
    """
    count = len(config.channels)
    if count > MAX_PLAYERS:
        raise ValueError(f"exact truth replays 2^n coalitions: at most {MAX_PLAYERS} channels, got {count}")
    negative = any(c.effect < 0 for c in config.channels) or any(s.effect < 0 for s in config.synergies)
    inhibits = any(t.probability < 0 for t in config.triggers)
    monotone = not inhibits and not (negative and any(c.hazard_driven for c in config.channels))
    bits = 1 << np.arange(count)
    values = np.zeros(1 << count)
    for number in range(_block_count(config)):
        block = _draw_block(config, number)

        def worth(hazard: NDArray[np.float64], who: Index, block: _Block = block) -> NDArray[np.float64]:
            if realised:
                return (block.clock[:, who] <= hazard).sum(axis=0).astype(np.float64)
            return _expected_conversions(config, hazard)

        everyone = np.arange(block.size)
        full = _replay(config, block, range(count))
        reached = (full.touched * bits[:, None]).sum(axis=0) if monotone else np.full(block.size, (1 << count) - 1)
        by_reach: dict[int, dict[int, float]] = {int(mask): {} for mask in np.unique(reached)}
        needed = sorted({below for mask in by_reach for below in _masks_below(mask)})
        for mask in needed:
            who = everyone[(reached & mask) == mask]
            active = [c for c in range(count) if mask >> c & 1]
            value = worth(_replay(config, block, active, who).hazard, who)
            sums = np.bincount(reached[who], weights=value, minlength=1 << count)
            for reach in np.unique(reached[who]):
                by_reach[int(reach)][mask] = float(sums[reach])
        for reach, table in by_reach.items():
            lookup = np.zeros(1 << count)
            lookup[list(table)] = list(table.values())
            values += lookup[np.arange(1 << count) & reach]
    return values


def shapley_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shapley value of a game given as 2^n coalition values indexed by bit mask (Shapley 1953)."""
    count = int(np.log2(len(values)))
    masks = np.arange(1 << count)
    size = np.array([int(m).bit_count() for m in masks])
    weight = np.array([factorial(s) * factorial(count - s - 1) / factorial(count) for s in range(count)])
    result = np.zeros(count)
    for player in range(count):
        without = masks[(masks >> player & 1) == 0]
        result[player] = np.sum(weight[size[without]] * (values[without | 1 << player] - values[without]))
    return result


def true_shapley(config: BehaviourConfig, realised: bool = False) -> pd.DataFrame:
    """What each channel truly caused: columns channel, conversions, share.

    ``conversions`` sum to v(all channels) - v(none); ``share`` is of that sum (0 where nothing was caused). Channels come
    in config order.
    """
    caused = shapley_of(coalition_values(config, realised=realised))
    total = caused.sum()
    share = caused / total if abs(total) > 1e-12 else np.zeros_like(caused)
    return pd.DataFrame({"channel": list(config.channel_names), "conversions": caused, "share": share})


def _plain_channels() -> tuple[Channel, ...]:
    return (
        Channel("Paid Search", rate=0.007, effect=2.0, half_life=4.0),
        Channel("Paid Social", rate=0.009, effect=1.3, half_life=7.0),
        Channel("Display", rate=0.009, effect=0.7, half_life=5.0),
        Channel("Organic Search", rate=0.007, effect=1.2, half_life=5.0),
        Channel("Email", rate=0.006, effect=1.6, half_life=3.0),
        Channel("Referral", rate=0.004, effect=1.7, half_life=6.0),
        Channel("Direct", rate=0.006),
    )


def _changed(channels: tuple[Channel, ...], **changes: dict[str, float | int]) -> tuple[Channel, ...]:
    """Channels with fields replaced; keys are names with spaces as underscores."""
    by_name = {name.replace("_", " "): fields for name, fields in changes.items()}
    return tuple(replace(c, **by_name[c.name]) if c.name in by_name else c for c in channels)  # type: ignore[arg-type]


def _plain(people: int = 60_000, days: int = 90, seed: int = 1) -> BehaviourConfig:
    """Touches at random, effects as they are."""
    return BehaviourConfig(_plain_channels(), name="plain", people=people, days=days, seed=seed)


def _intent_confounded(people: int = 60_000, days: int = 90, seed: int = 2) -> BehaviourConfig:
    """Whoever is about to buy anyway searches more: search looks better than it is, social looks worse."""
    channels = _changed(
        _plain_channels(),
        Paid_Search={"intent": 1.3, "effect": 1.0, "rate": 0.003},
        Organic_Search={"intent": 1.3, "effect": 0.4, "rate": 0.003},
        Direct={"intent": 1.3, "rate": 0.003},
        Email={"intent": 0.4},
        Paid_Social={"effect": 1.8},
        Display={"effect": 1.0},
    )
    return BehaviourConfig(
        channels, name="intent_confounded", people=people, days=days, seed=seed,
        base_hazard=0.0002, intent_sd=0.8, episode_share=0.3, episode_boost=1.5,
    )  # fmt: skip


def _retargeting(people: int = 60_000, days: int = 90, seed: int = 3) -> BehaviourConfig:
    """Display and e-mail reach only people who visited lately, so they follow interest instead of making it."""
    channels = _changed(
        _plain_channels(),
        Display={"needs_visit_days": 7, "rate": 0.12, "effect": 0.3},
        Email={"needs_visit_days": 30, "rate": 0.03, "effect": 0.9},
        Paid_Search={"intent": 0.5},
    )
    return BehaviourConfig(
        channels, name="retargeting", people=people, days=days, seed=seed, intent_sd=0.5, episode_share=0.2
    )


def _demand_harvesting(people: int = 60_000, days: int = 90, seed: int = 4) -> BehaviourConfig:
    """Social and display make the demand; brand search and direct visits collect the applause."""
    channels = _changed(
        _plain_channels(),
        Paid_Search={"rate": 0.003, "effect": 0.1, "intent": 0.3, "hazard_driven": 8.0, "closing": 0.15},
        Organic_Search={"rate": 0.003, "effect": 0.1, "intent": 0.3, "hazard_driven": 5.0, "closing": 0.10},
        Direct={"rate": 0.003, "intent": 0.3, "hazard_driven": 8.0, "closing": 0.20},
        Paid_Social={"effect": 1.8, "rate": 0.012},
        Display={"effect": 1.4, "rate": 0.010},
    )
    triggers = tuple(
        Trigger(cause, channel, probability)
        for cause in ("Paid Social", "Display", "Referral")
        for channel, probability in (("Paid Search", 0.07), ("Organic Search", 0.05), ("Direct", 0.07))
    )
    return BehaviourConfig(
        channels,
        name="demand_harvesting",
        people=people,
        days=days,
        seed=seed,
        intent_sd=0.5,
        triggers=triggers,
    )


def _synergy(people: int = 60_000, days: int = 90, seed: int = 5) -> BehaviourConfig:
    """Two channels do together what neither does alone."""
    channels = _changed(_plain_channels(), Paid_Social={"effect": 0.5}, Email={"effect": 0.5}, Display={"effect": 0.3})
    synergies = (Synergy("Paid Social", "Paid Search", 5.0), Synergy("Display", "Email", 5.0))
    return BehaviourConfig(channels, name="synergy", people=people, days=days, seed=seed, synergies=synergies)


def _long_memory(people: int = 60_000, days: int = 90, seed: int = 6) -> BehaviourConfig:
    """Some channels work for weeks, others for a day or two."""
    channels = _changed(
        _plain_channels(),
        Paid_Social={"half_life": 40.0, "effect": 0.8},
        Display={"half_life": 30.0, "effect": 0.5},
        Referral={"half_life": 45.0, "effect": 0.9},
        Paid_Search={"half_life": 1.0},
        Email={"half_life": 1.0},
        Organic_Search={"half_life": 2.0},
    )
    return BehaviourConfig(channels, name="long_memory", people=people, days=days, seed=seed, base_hazard=0.0003)


def _saturation(people: int = 60_000, days: int = 90, seed: int = 7) -> BehaviourConfig:
    """Heavy channels whose second and third touch add next to nothing."""
    channels = _changed(
        _plain_channels(),
        Display={"rate": 0.06, "saturation": 0.4, "effect": 1.2},
        Paid_Social={"rate": 0.04, "saturation": 0.6, "effect": 1.2},
        Email={"rate": 0.03, "saturation": 0.8, "effect": 1.2},
        Referral={"saturation": 0.0},
    )
    return BehaviourConfig(
        channels, name="saturation", people=people, days=days, seed=seed, base_hazard=0.0002, affinity_sd=0.8
    )


def random_mixture(seed: int, people: int = 60_000, days: int = 90) -> BehaviourConfig:
    """A world nobody designed: six to eight channels, every mechanism on or off and of random strength."""
    rng = np.random.Generator(np.random.Philox(key=[seed, 1 << 40]))
    pool = [
        "Paid Search",
        "Paid Social",
        "Display",
        "Organic Search",
        "Email",
        "Referral",
        "Organic Social",
        "Direct",
    ]
    dropped = rng.permutation(len(pool) - 1)[: rng.integers(0, 3)]
    names = [name for c, name in enumerate(pool) if c not in dropped]
    confounded, harvest, retarget, chain = rng.random(4) < 0.6
    pulled = rng.random(len(names)) < 0.5
    channels = []
    for c, name in enumerate(names):
        harvester = harvest and name in ("Paid Search", "Organic Search", "Direct")
        follower = retarget and name in ("Display", "Email")
        effect = 0.0 if name == "Direct" else float(rng.uniform(0.2, 2.0))
        rate = float(np.exp(rng.uniform(np.log(0.003), np.log(0.015))))
        channels.append(
            Channel(
                name,
                rate=float(rng.uniform(0.02, 0.1)) if follower else rate,
                intent=float(rng.uniform(0.3, 1.2)) if confounded and pulled[c] else 0.0,
                effect=effect * (0.2 if harvester or follower else 1.0),
                half_life=float(np.exp(rng.uniform(np.log(1.0), np.log(35.0)))),
                saturation=float(np.exp(rng.uniform(np.log(0.5), np.log(5.0)))),
                needs_visit_days=int(rng.integers(5, 31)) if follower else 0,
                hazard_driven=float(rng.uniform(2.0, 8.0)) if harvester else 0.0,
                closing=float(rng.uniform(0.0, 0.2)) if harvester else 0.0,
            )
        )
    triggers = tuple(
        Trigger(cause, target, float(rng.uniform(0.02, 0.12)))
        for cause in names
        for target in names
        if chain and cause != target and target in ("Paid Search", "Organic Search", "Direct") and rng.random() < 0.4
    )
    first, second = (str(name) for name in rng.choice([n for n in names if n != "Direct"], 2, replace=False))
    synergies = (Synergy(first, second, float(rng.uniform(1.0, 5.0))),) if rng.random() < 0.4 else ()
    return BehaviourConfig(
        tuple(channels),
        name=f"random_{seed}",
        people=people,
        days=days,
        seed=10_000 + seed,
        base_hazard=float(rng.uniform(0.00015, 0.0004)),
        intent_sd=float(rng.uniform(0.3, 0.9)) if confounded else 0.0,
        episode_share=float(rng.uniform(0.0, 0.4)) if confounded else 0.0,
        episode_days=float(rng.uniform(5.0, 20.0)),
        episode_boost=float(rng.uniform(0.8, 1.8)),
        affinity_sd=float(rng.uniform(0.2, 0.9)),
        triggers=triggers,
        synergies=synergies,
        link="log" if rng.random() < 0.7 else "linear",
    )


PRESETS: dict[str, Callable[..., BehaviourConfig]] = {
    "plain": _plain,
    "intent_confounded": _intent_confounded,
    "retargeting": _retargeting,
    "demand_harvesting": _demand_harvesting,
    "synergy": _synergy,
    "long_memory": _long_memory,
    "saturation": _saturation,
}
