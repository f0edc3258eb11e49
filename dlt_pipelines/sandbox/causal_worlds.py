"""The worlds of the truth lab: one mechanism each, mixtures of them drawn at random, and a set kept apart.

Models may be developed against `PRESETS` and against mixtures with a seed below `KEPT_APART_SEEDS`. What counts is how they
do elsewhere: on `KEPT_APART`, whose mechanisms nothing was tuned to, and on mixtures from that seed on.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dlt_pipelines.sandbox.behaviour import BehaviourConfig, Channel, Synergy, Trigger

KEPT_APART_SEEDS = 5000


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


def _heavy_users(people: int = 60_000, days: int = 90, seed: int = 101) -> BehaviourConfig:
    """Some people are online all day and see everything, which says nothing about what they will buy."""
    channels = _changed(_plain_channels(), Paid_Search={"intent": 0.8}, Direct={"intent": 0.8}, Display={"rate": 0.02})
    return BehaviourConfig(
        channels, name="heavy_users", people=people, days=days, seed=seed,
        base_hazard=0.0003, intent_sd=0.5, activity_sd=1.0,
    )  # fmt: skip


def _seasonal(people: int = 60_000, days: int = 90, seed: int = 102) -> BehaviourConfig:
    """Budgets and demand rise and fall together every four weeks."""
    channels = _changed(_plain_channels(), Email={"effect": 0.6}, Paid_Search={"effect": 1.2})
    return BehaviourConfig(
        channels, name="seasonal", people=people, days=days, seed=seed,
        base_hazard=0.0003, intent_sd=0.3, season_rate=0.7, season_hazard=0.9,
    )  # fmt: skip


def _flights(people: int = 60_000, days: int = 90, seed: int = 103) -> BehaviourConfig:
    """Paid channels are on air for a while, then off."""
    channels = _changed(
        _plain_channels(),
        Paid_Social={"flight_days": 14, "rate": 0.018, "half_life": 14.0},
        Display={"flight_days": 10, "rate": 0.02},
        Email={"flight_days": 4, "rate": 0.015, "effect": 0.8},
        Direct={"intent": 0.8},
        Organic_Search={"intent": 0.8, "effect": 0.6},
    )
    return BehaviourConfig(
        channels, name="flights", people=people, days=days, seed=seed, base_hazard=0.0003, intent_sd=0.6
    )


def _delayed(people: int = 60_000, days: int = 90, seed: int = 104) -> BehaviourConfig:
    """A touch works only after days of thinking it over."""
    channels = _changed(
        _plain_channels(),
        Paid_Social={"delay_days": 4, "effect": 1.6},
        Display={"delay_days": 7, "effect": 1.2},
        Referral={"delay_days": 3},
        Organic_Search={"intent": 0.5},
    )
    return BehaviourConfig(
        channels, name="delayed", people=people, days=days, seed=seed, base_hazard=0.0003, intent_sd=0.4
    )


def _annoyance(people: int = 60_000, days: int = 90, seed: int = 105) -> BehaviourConfig:
    """Much display advertising drives people away; the rest works. No credit without a negative can be wholly right."""
    channels = _changed(
        _plain_channels(),
        Display={"rate": 0.02, "effect": -0.2, "half_life": 7.0},
        Email={"rate": 0.02, "effect": 0.5},
        Paid_Search={"intent": 0.5},
    )
    return BehaviourConfig(
        channels, name="annoyance", people=people, days=days, seed=seed, base_hazard=0.0005, intent_sd=0.4
    )


def _repeat_buyers(people: int = 60_000, days: int = 90, seed: int = 106) -> BehaviourConfig:
    """People buy again and again, and go on being touched."""
    channels = _changed(_plain_channels(), Email={"rate": 0.015, "effect": 0.9}, Direct={"intent": 1.0})
    return BehaviourConfig(
        channels, name="repeat_buyers", people=people, days=days, seed=seed,
        base_hazard=0.0004, intent_sd=0.6, max_conversions=4,
    )  # fmt: skip


def _newsletter(people: int = 60_000, days: int = 90, seed: int = 107) -> BehaviourConfig:
    """Advertising wins subscribers, the newsletter brings them back for weeks, and they search before they buy."""
    channels = _changed(
        _plain_channels(),
        Email={"rate": 0.0005, "effect": 1.0},
        Organic_Search={"effect": 0.4},
        Paid_Social={"effect": 0.5, "rate": 0.015},
        Display={"effect": 0.3},
    )
    triggers = (
        Trigger("Paid Social", "Email", 0.06),
        Trigger("Display", "Email", 0.02),
        Trigger("Referral", "Email", 0.05),
        Trigger("Email", "Organic Search", 0.04),
    )
    return BehaviourConfig(
        channels, name="newsletter", people=people, days=days, seed=seed,
        base_hazard=0.0003, intent_sd=0.3, triggers=triggers, trigger_half_life=6.0,
    )  # fmt: skip


def _everything(people: int = 60_000, days: int = 90, seed: int = 108) -> BehaviourConfig:
    """Heavy users, seasons, flights, delay, harvesting and intent at once."""
    harvested = _demand_harvesting()
    channels = _changed(
        harvested.channels,
        Paid_Social={"flight_days": 14, "delay_days": 2},
        Display={"rate": 0.02, "effect": 0.9},
        Referral={"delay_days": 3},
    )
    return replace(
        harvested, channels=channels, name="everything", people=people, days=days, seed=seed,
        base_hazard=0.0002, activity_sd=0.6, season_rate=0.4, season_hazard=0.5, episode_share=0.2,
    )  # fmt: skip


KEPT_APART: dict[str, Callable[..., BehaviourConfig]] = {
    "heavy_users": _heavy_users,
    "seasonal": _seasonal,
    "flights": _flights,
    "delayed": _delayed,
    "annoyance": _annoyance,
    "repeat_buyers": _repeat_buyers,
    "newsletter": _newsletter,
    "everything": _everything,
}
