"""From a fitted hazard to credit on journeys: totals by channel that add up, a weight per touch, intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from attribution_platform.credit.hazard.model import REST, HazardFit, HazardOptions, fit_hazard, share_interval
from attribution_platform.credit.paths import Floats, Ints, Paths, PeopleLog, conserve, sum_by
from attribution_platform.credit.spread import spread

MICROSECONDS_PER_DAY = 86_400_000_000.0


@dataclass(frozen=True)
class HazardCredit:
    """Credit on the rows of a `credit_view`.

    Attributes:
        conversions, low, high: Credit and its interval, summing to the conversions. Shape (channels,).
        caused: Conversions that would not have happened without the channel's part. Shape (channels,).
        touch_weights: Sum to 1 on every row. Shape (touches,).
        residual: Share of credit the touch weights could not place.
        details: Baseline share, mean half-life, largest standard error.
        draws: Draws behind the interval.
        method: In a few words.
    """

    conversions: Floats
    low: Floats
    high: Floats
    caused: Floats
    touch_weights: Floats
    residual: float
    details: dict[str, float]
    draws: int
    method: str


def hazard_credit(paths: Paths, log: PeopleLog, options: HazardOptions) -> HazardCredit:
    """Fit the model to `log` and credit the journeys of `paths`.

    The model sees every touch of the log. The journeys may hold fewer (filters, a shorter window) or name them otherwise;
    a channel then gets what its remaining touches deserve.
    """
    names = np.array(log.channels, dtype=object)
    fit = fit_hazard(
        pd.DataFrame({"person": log.person, "time": log.at / MICROSECONDS_PER_DAY, "channel": names[log.channel]}),
        pd.DataFrame({"person": log.buyer, "time": log.bought_at / MICROSECONDS_PER_DAY}),
        options=options,
    )
    size = len(log.touch)
    player_of_code = _players(fit, log.channels)
    real = log.touch >= 0
    age = np.zeros(size)
    bought = log.bought_at[log.conversion][paths.row_of_touch[:size]]
    age[real] = (bought[real] - log.at[log.touch[real]]) / MICROSECONDS_PER_DAY
    strength = np.zeros(len(paths.codes))
    strength[:size][real] = fit.touch_strengths(player_of_code[log.channel[log.touch[real]]], age[real])

    # Share of each player's credit by channel of the journeys: one to one unless a filter renamed or removed touches.
    count = len(paths.channels)
    player = np.full(size, -1)
    player[real] = player_of_code[log.channel[log.touch[real]]]
    key = player[real] * count + paths.codes[:size][real]
    table = sum_by(key, strength[:size][real], len(fit.players) * count).reshape(len(fit.players), count)
    held = table.sum(axis=1, keepdims=True)
    table = np.divide(table, held, out=np.zeros_like(table), where=held > 0)

    total = paths.total_conversions
    share, draws = _scaled(fit.share @ table), _scaled(fit.shares @ table)
    if not share.any():
        # Nothing caused anything, so there is nothing to divide by: every touch counts alike.
        share = sum_by(paths.codes[:size], np.ones(size), count) / max(size, 1)
    conversions = conserve(share, total)
    low, high = (end * total for end in share_interval(conversions / max(total, 1.0), draws, options.level))
    placed = spread(paths, conversions, touch_strengths=strength)
    scale = total / max(len(fit.case), 1)
    found = fit.diagnostics()
    return HazardCredit(
        conversions=conversions,
        low=low,
        high=high,
        caused=(fit.caused.mean(axis=0) * scale) @ table,
        touch_weights=placed.weights,
        residual=placed.residual,
        details={
            "baseline_share": fit.baseline_share,
            "intent_pull": fit.intent_pull,
            "largest_standard_error": float(draws.std(axis=0).max(initial=0.0)),
            **{
                f"half_life_days {name}": float(days)
                for name, days in zip(found["channel"], found["half_life_days"], strict=True)
            },
        },
        draws=len(fit.draws),
        method=f"person-time hazard, Shapley of the caused conversions ({1 - fit.baseline_share:.0%} of all)",
    )


def _scaled(values: Floats) -> Floats:
    """Rows that sum to 1, or to 0 where there is nothing."""
    total = values.sum(axis=-1, keepdims=True)
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0)


def _players(fit: HazardFit, channels: tuple[str, ...]) -> Ints:
    place = {name: int(fit.player_of[i]) for i, name in enumerate(fit.people.channels)}
    rest = fit.players.index(REST) if REST in fit.players else 0
    return np.array([place.get(name, rest) for name in channels], dtype=np.int64)
