"""The measurements that ship with the product: the file `attribution lab --out` wrote for this version."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import pandas as pd

from attribution_platform.credit.paths import Paths
from attribution_platform.credit.recommend import MeasuredRecommendation, recommend_measured
from attribution_platform.credit.registry import Outcome

SCORES, LOOKS = "measured.csv", "looks.csv"


@dataclass(frozen=True)
class Provenance:
    """Where a measured table comes from."""

    version: str
    measured_on: str
    people: int
    worlds: int

    def __str__(self) -> str:
        return f"{self.worlds} simulated worlds of {self.people:,} people, version {self.version}, {self.measured_on}"


@cache
def shipped_scores() -> pd.DataFrame:
    """One row a world and model: the columns of `attribution lab --out`."""
    return _shipped(SCORES)


@cache
def shipped_looks() -> pd.DataFrame:
    """How worlds look: world, kind and the features of `credit.resemblance`, several draws of each world."""
    return _shipped(LOOKS)


def _shipped(name: str) -> pd.DataFrame:
    with (files("attribution_platform.lab") / name).open("r", encoding="utf-8") as file:
        return pd.read_csv(file)


def provenance(scores: pd.DataFrame) -> Provenance:
    """Of a table of scores."""
    return Provenance(
        version=str(scores["version"].max()),
        measured_on=str(scores["measured_on"].max()),
        people=int(scores["people"].min()),
        worlds=len(scores[["world", "draw"]].drop_duplicates()),
    )


def measured_for(journeys: Paths, outcomes: Sequence[Outcome]) -> MeasuredRecommendation | None:
    """What the shipped measurements recommend for journeys, among the models that had enough data."""
    scores = shipped_scores()
    usable = [outcome.model for outcome in outcomes if outcome.result is not None]
    return recommend_measured(journeys, scores, shipped_looks(), usable, str(provenance(scores)))
