"""One world, every model: how far each is from the truth and whether its intervals hold it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from attribution_platform.credit.journeys import Conversions, Journeys, Touches, build_journeys, direct_name
from attribution_platform.credit.paths import Floats
from attribution_platform.credit.registry import MODELS, CreditOptions, credit_view, run_models
from attribution_platform.credit.resemblance import journey_features
from attribution_platform.lab.peers import Contender
from attribution_platform.lab.worlds import World
from dlt_pipelines.sandbox.behaviour import BehaviourConfig, simulate
from dlt_pipelines.sandbox.behaviour import Journeys as Log
from dlt_pipelines.sandbox.counterfactual import true_shapley

MICROSECONDS_PER_DAY = 86_400_000_000
SCORE_COLUMNS = (
    "world",
    "kind",
    "seen",
    "draw",
    "people",
    "conversions",
    "caused",
    "model",
    "half_l1",
    "coverage",
    "interval_width",
    "seconds",
    "status",
)


@dataclass(frozen=True)
class LabOptions:
    """How the lab measures.

    Attributes:
        people: In each world.
        draws: Draws of each world.
        level: Of the intervals.
        replicates: Of the bootstrap.
        min_conversions: Below it a data-driven model withholds its number, as it would for a user.
        lookback_days: Of the journeys.
    """

    people: int = 60_000
    draws: int = 1
    level: float = 0.9
    replicates: int = 200
    min_conversions: int = 1
    lookback_days: float = 90.0


def journeys_of(log: Log, lookback_days: float) -> Journeys:
    """A simulated world's log as the journeys every model reads."""
    names = sorted(set(log.touches["channel"]))
    channels = sorted({*names, direct_name(names)})
    code = {name: i for i, name in enumerate(channels)}
    touches = Touches(
        person=log.touches["person"].to_numpy(np.int64),
        at=(log.touches["time"].to_numpy() * MICROSECONDS_PER_DAY).astype(np.int64),
        channel=log.touches["channel"].map(code).to_numpy(np.int64),
        campaign=np.zeros(len(log.touches), np.int64),
    )
    bought = Conversions(
        person=log.conversions["person"].to_numpy(np.int64),
        at=(log.conversions["time"].to_numpy() * MICROSECONDS_PER_DAY).astype(np.int64),
        revenue=np.zeros(len(log.conversions)),
    )
    return build_journeys(touches, bought, channels, lookback_days)


def truth_of(config: BehaviourConfig, channels: Sequence[str]) -> tuple[Floats, float]:
    """True share of each channel, in the order of `channels`, and the conversions that channels caused."""
    truth = true_shapley(config).set_index("channel")
    return truth["share"].reindex(list(channels)).fillna(0.0).to_numpy(), float(truth["conversions"].sum())


def score_world(
    world: World, draw: int, models: Sequence[str], options: LabOptions, peers: Mapping[str, Contender]
) -> Iterator[dict[str, object]]:
    """Rows of `SCORE_COLUMNS` plus the world's features, one a model."""
    config = world.draw(options.people, draw)
    journeys = journeys_of(simulate(config), options.lookback_days)
    view = credit_view(journeys)
    shares, caused = truth_of(config, view.channels)
    base: dict[str, object] = {
        "world": world.name,
        "kind": world.kind,
        "seen": world.seen,
        "draw": draw,
        "people": options.people,
        "conversions": int(view.total_conversions),
        "caused": round(caused, 1),
    }
    features = journey_features(journeys.paths)
    credit = CreditOptions(
        min_conversions=options.min_conversions,
        replicates=options.replicates,
        level=options.level,
        seed=draw,
    )
    # Participation does not add up to the conversions, so it has no shares to compare.
    for name in (name for name in models if MODELS[name].conserved):
        begun = time.perf_counter()
        (outcome,) = run_models(view, [name], credit)
        row = {**base, "model": name, "status": outcome.status, "seconds": round(time.perf_counter() - begun, 2)}
        if outcome.result is not None:
            row["half_l1"] = half_l1(outcome.result.conversions, shares)
            if outcome.interval is not None:
                low, high = outcome.interval.low / outcome.n_conversions, outcome.interval.high / outcome.n_conversions
                row["coverage"] = float(((low <= shares + 1e-12) & (shares <= high + 1e-12)).mean())
                row["interval_width"] = float((high - low).mean())
        yield {**row, **features}
    for name, contender in peers.items():
        begun = time.perf_counter()
        found = contender(view)
        row = {**base, "model": name, "status": "ok", "seconds": round(time.perf_counter() - begun, 2)}
        yield {**row, "half_l1": half_l1(found, shares), **features}


def half_l1(credit: Floats, shares: Floats) -> float:
    """Half the L1 distance of credit, scaled to sum to 1, to the true shares: 0 is the same, 1 is disjoint."""
    return float(np.abs(credit / credit.sum() - shares).sum() / 2)


def score_frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Rows with `SCORE_COLUMNS` first."""
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=[*SCORE_COLUMNS, *(name for name in frame.columns if name not in SCORE_COLUMNS)])
