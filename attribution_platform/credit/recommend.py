"""Which model to read first, by a fixed rule, with its reasons in words.

The rule follows how much data there is and how the business sells. It knows nothing of what the models would say, which
is why the truth lab stands beside it: the model that was nearest to the truth in simulated worlds that look like these
journeys. Looking alike is not being alike, so the match says how near it is and how often such a match is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from attribution_platform.credit.paths import Paths
from attribution_platform.credit.resemblance import best_models, journey_features, nearest_kind

FEW_CONVERSIONS = 100
MANY_CONVERSIONS = 1000
LONG_CYCLE_DAYS = 30.0
DATA_DRIVEN_MODEL = "markov"


@dataclass(frozen=True)
class Recommendation:
    """A model name, or `data_driven`'s concrete choice, and why."""

    model: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model}: " + " ".join(self.reasons)


def recommend(conversions_per_month: float, sales_cycle_days: float | None = None, b2b: bool = False) -> Recommendation:
    """Pick a model.

    Args:
        conversions_per_month: Average over the period at hand.
        sales_cycle_days: Median days from first touch to conversion; None where paths carry no dates.
        b2b: Whether an account, not a person, buys.
    """
    volume = f"{conversions_per_month:,.0f} conversions a month"
    if conversions_per_month < FEW_CONVERSIONS:
        return Recommendation(
            "last_touch",
            (
                f"{volume} is under {FEW_CONVERSIONS}.",
                "Spread over channels, that is too few to tell a finer model from chance;",
                "last touch is the one whose every number can be checked by hand.",
            ),
        )
    cycle = (
        "The sales cycle is unknown (paths carry no dates)."
        if sales_cycle_days is None
        else f"Half of all conversions come within {sales_cycle_days:,.1f} days of the first touch."
    )
    if sales_cycle_days is not None and sales_cycle_days > LONG_CYCLE_DAYS:
        return Recommendation(
            "time_decay",
            (
                f"{volume} is enough for several touches.",
                f"The median sales cycle of {sales_cycle_days:,.0f} days is over {LONG_CYCLE_DAYS:.0f}:",
                "touches from long ago should count, but less.",
            ),
        )
    if b2b:
        return Recommendation(
            "position_based",
            (
                f"{volume}.",
                cycle,
                "Business customers: the touch that found the account and the one that closed it matter most.",
            ),
        )
    if conversions_per_month > MANY_CONVERSIONS:
        return Recommendation(
            DATA_DRIVEN_MODEL,
            (
                f"{volume} is over {MANY_CONVERSIONS:,}, enough to learn credit from the paths themselves.",
                cycle,
                "Read shapley beside it: where the two differ, neither is settled.",
            ),
        )
    return Recommendation(
        "linear",
        (
            f"{volume} is between {FEW_CONVERSIONS} and {MANY_CONVERSIONS:,}:",
            "more than last touch can describe, too few for a data-driven model.",
            cycle,
        ),
    )


@dataclass(frozen=True)
class MeasuredRecommendation:
    """What the truth lab says of data that look like these.

    Attributes:
        model: The usable model nearest to the truth in the kind of world that looks most alike.
        reasons: The match, the distances and where they were measured, in words.
    """

    model: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.model}: " + " ".join(self.reasons)


def recommend_measured(
    journeys: Paths, scores: pd.DataFrame, looks: pd.DataFrame, usable: Sequence[str], measured: str
) -> MeasuredRecommendation | None:
    """Pick the model that measured best where the truth is known.

    Args:
        journeys: Converting and lost journeys with hours to their end.
        scores: The lab's measurements: kind, model, half_l1.
        looks: How the lab's worlds look: kind and the features of `resemblance`, several draws of each kind.
        usable: Models that had enough data here.
        measured: Where the table comes from, in words.

    Returns:
        None where journeys carry no times, none converts, or no usable model was measured.
    """
    if journeys.hours is None or not (journeys.conversions > 0).any():
        return None
    match = nearest_kind(journey_features(journeys), looks)
    overall = scores[scores["model"].isin(list(usable))].groupby("model")["half_l1"].mean().sort_values(kind="stable")
    # Far from every world, the kind says nothing: what was best over all of them is all the lab can offer.
    ranked = best_models(scores, match.kind, usable) if match.close else overall
    if not len(ranked):
        return None
    best = str(ranked.index[0])
    alike = (
        f"These journeys look most like the lab's `{match.kind}` worlds (distance {match.distance:.1f}; worlds of one kind lie "
        f"{match.typical:.1f} from their centre, and the nearest kind is the right one {match.hit_rate:.0%} of the time)."
        if match.close
        else f"These journeys look like no world of the lab (nearest `{match.kind}`, distance {match.distance:.1f} where its own "
        f"lie {match.typical:.1f} apart), so this is what was best over all of them."
    )
    where = "there" if match.close else "over all"
    others = ", ".join(f"{name} {ranked[name]:.2f}" for name in ranked.index[1:3])
    return MeasuredRecommendation(
        best,
        (
            alike,
            f"On average {ranked.iloc[0]:.0%} of its credit sat on the wrong channel {where}"
            + (f" (next: {others})." if others else "."),
            f"Measured on {measured}.",
        ),
    )
