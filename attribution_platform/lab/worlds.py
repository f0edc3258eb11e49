"""Which worlds the lab knows, and which of them no model was developed on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dlt_pipelines.sandbox.behaviour import BehaviourConfig
from dlt_pipelines.sandbox.causal_worlds import KEPT_APART, KEPT_APART_SEEDS, PRESETS, random_mixture

MIXTURES = 6
MIXTURE = "mixture"
# Draws of a world differ by this much in their seed, so that worlds with neighbouring seeds never share one.
SEED_STEP = 1000


class LabError(ValueError):
    """The lab cannot run as asked; the message says what to change."""


@dataclass(frozen=True)
class World:
    """A world to draw from.

    Attributes:
        name: As in `--worlds`.
        kind: Its mechanism; all mixtures are one kind.
        seen: Whether models may have been developed on it.
        draw: From (people, number of the draw) to its configuration.
    """

    name: str
    kind: str
    seen: bool
    draw: Callable[[int, int], BehaviourConfig]


def _preset(make: Callable[..., BehaviourConfig], people: int, number: int) -> BehaviourConfig:
    config = make(people=people)
    return make(people=people, seed=config.seed + SEED_STEP * number)


def _mixture(first: int, people: int, number: int) -> BehaviourConfig:
    return random_mixture(first + 100 * number, people=people)


def _mixtures(first: int, seen: bool) -> list[World]:
    return [
        World(f"{MIXTURE}_{seed}", MIXTURE, seen, partial(_mixture, seed)) for seed in range(first, first + MIXTURES)
    ]


WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        *(World(name, name, True, partial(_preset, make)) for name, make in PRESETS.items()),
        *_mixtures(0, True),
        *(World(name, name, False, partial(_preset, make)) for name, make in KEPT_APART.items()),
        *_mixtures(KEPT_APART_SEEDS, False),
    )
}


def choose_worlds(names: Sequence[str], unseen: bool) -> list[World]:
    """Worlds by name; without names the seen ones, and with `unseen` those kept apart too.

    Raises:
        LabError: A name is no world.
    """
    unknown = [name for name in names if name not in WORLDS]
    if unknown:
        raise LabError(f"no world {unknown[0]!r}; there are: {', '.join(WORLDS)}")
    if names:
        return [WORLDS[name] for name in dict.fromkeys(names)]
    return [world for world in WORLDS.values() if world.seen or unseen]
