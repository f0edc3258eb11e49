"""Which model to read first, by a fixed rule, with its reasons in words.

The rule follows how much data there is and how the business sells. It knows nothing of what the models would say, which
is why the truth lab stands beside it.
"""

from dataclasses import dataclass

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
