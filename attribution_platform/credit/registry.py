"""The models by name, and running them: one entry point for files, warehouse and lab.

A model is a function from journeys to a `ModelResult`, plus (optionally) the statistic its intervals resample. Adding
one, ours or a peer's, is one call of `register`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from attribution_platform.credit.hazard.credit import hazard_credit
from attribution_platform.credit.hazard.model import HazardOptions
from attribution_platform.credit.intervals import (
    Interval,
    Parts,
    Statistic,
    bootstrap,
    linear_statistic,
    markov_statistic,
    reach_statistic,
    split_parts,
)
from attribution_platform.credit.journeys import Journeys
from attribution_platform.credit.markov import MarkovResult, markov
from attribution_platform.credit.order import choose_order
from attribution_platform.credit.paths import Floats, Paths, conserve
from attribution_platform.credit.rules import NOT_CONSERVED, RULES, RuleOptions, rule_weights
from attribution_platform.credit.shapley import GAMES, shapley
from attribution_platform.credit.spread import spread

DEFAULT_MODELS = (
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "time_decay",
    "position_based",
    "markov",
    "shapley",
)
MIN_CONVERSIONS = 1000


@dataclass(frozen=True)
class CreditOptions:
    """What a user may set for a run.

    Attributes:
        rules: Half-lives, direct names, custom weights.
        markov_order: Order of the model `markov`; 0 chooses it by held-out likelihood.
        min_conversions: Below it a data-driven model says "insufficient data".
        replicates: Bootstrap replicates; 0 leaves intervals empty.
        seed: Of everything random.
        level: Coverage of the intervals.
        hazard: Settings of the model `hazard`; its seed and level are those above.
    """

    rules: RuleOptions = field(default_factory=RuleOptions)
    markov_order: int = 1
    min_conversions: int = MIN_CONVERSIONS
    replicates: int = 1000
    seed: int = 0
    level: float = 0.95
    hazard: HazardOptions = field(default_factory=HazardOptions)


@dataclass(frozen=True)
class ModelResult:
    """What a model says.

    Attributes:
        conversions, revenue: Credit, summing to the totals. Shape (channels,).
        touch_weights: Share of each touch in its journey; sums to 1 a row. Shape (touches,).
        method: How the numbers came about, in a few words.
        effects, value_effects: Raw strengths before normalising, where the model has them. Shape (channels,).
        residual: Share of credit the touch weights could not place as the totals ask.
        details: Further figures by name.
        interval: Of the conversions, where the model makes its own instead of resampling.
    """

    conversions: Floats
    revenue: Floats
    touch_weights: Floats
    method: str
    effects: Floats | None = None
    value_effects: Floats | None = None
    residual: float = 0.0
    details: dict[str, float] = field(default_factory=dict)
    interval: Interval | None = None


@dataclass(frozen=True)
class Model:
    """A named model.

    Attributes:
        name: As in `model_type`.
        run: Journeys or distinct paths to credit.
        statistic: What its intervals resample; None for a model that has none.
        data_driven: Whether the threshold of conversions applies.
        conserved: Whether channel credit sums to the conversions.
        needs_losses: Whether it learns from journeys that did not convert.
        needs_people: Whether it reads `Paths.log`: touches and conversions with person and time.
    """

    name: str
    run: Callable[[Paths, CreditOptions], ModelResult]
    statistic: Callable[[Paths, Parts, ModelResult, CreditOptions], Statistic] | None = None
    data_driven: bool = False
    conserved: bool = True
    needs_losses: bool = False
    needs_people: bool = False


@dataclass(frozen=True)
class Outcome:
    """One model on one set of journeys; `result` is None where the data do not suffice."""

    model: str
    result: ModelResult | None
    interval: Interval | None
    n_conversions: float
    status: str


MODELS: dict[str, Model] = {}


def register(model: Model) -> None:
    """Make a model available by name.

    Raises:
        ValueError: The name is taken.
    """
    if model.name in MODELS:
        raise ValueError(f"a model named {model.name!r} is registered already")
    MODELS[model.name] = model


def _run_rule(name: str, paths: Paths, options: CreditOptions) -> ModelResult:
    weights = rule_weights(name, paths, options.rules)
    conversions = paths.credit_totals(weights, paths.conversions)
    revenue = paths.credit_totals(weights, paths.revenue)
    if name not in NOT_CONSERVED:
        conversions = conserve(conversions, paths.total_conversions)
        revenue = _settle(revenue, paths.total_revenue)
    return ModelResult(conversions, revenue, weights, "rule")


def _settle(values: Floats, total: float) -> Floats:
    """Like `conserve` for revenue, which may be negative and cancel: only the rounding error moves."""
    settled = values.copy()
    if len(settled):
        settled[int(np.argmax(np.abs(settled)))] += total - float(settled.sum())
    return settled


def _rule_statistic(name: str, paths: Paths, parts: Parts, result: ModelResult, options: CreditOptions) -> Statistic:
    return linear_statistic(name, paths, parts, result.touch_weights)


def _spread_over(
    paths: Paths, distinct: Paths, group: np.ndarray, totals: Floats, strengths: Floats
) -> tuple[Floats, float]:
    placed = spread(distinct, totals, strengths)
    touch = distinct.offsets[:-1][group][paths.row_of_touch] + paths.position
    return placed.weights[touch], placed.residual


def _run_markov(order: int | None, paths: Paths, options: CreditOptions) -> ModelResult:
    distinct, group = paths.distinct()
    wanted = options.markov_order if order is None else order
    chosen = wanted or choose_order(distinct, seed=options.seed).order
    found: MarkovResult = markov(distinct, chosen)
    weights, residual = _spread_over(paths, distinct, group, found.conversions, found.removal_effects)
    return ModelResult(
        conversions=found.conversions,
        revenue=found.revenue,
        touch_weights=weights,
        method=f"order {chosen}, removal to null, closed form" + ("" if wanted else ", order by held-out likelihood"),
        effects=found.removal_effects,
        value_effects=found.value_removal_effects,
        residual=residual,
        details={"order": float(chosen), "conversion_probability": found.conversion_probability},
    )


def _markov_statistic(paths: Paths, parts: Parts, result: ModelResult, options: CreditOptions) -> Statistic:
    return markov_statistic(paths, parts, int(result.details["order"]))


def _run_shapley(game: str, paths: Paths, options: CreditOptions) -> ModelResult:
    distinct, group = paths.distinct()
    found = shapley(distinct, game, seed=options.seed)
    weights, residual = _spread_over(paths, distinct, group, found.conversions, found.conversions)
    error = float(found.standard_error.max(initial=0.0))
    how = "exact" if found.exact else f"sampled, standard error at most {error:.3g} conversions"
    total = distinct.total_conversions
    return ModelResult(
        conversions=found.conversions,
        revenue=found.revenue,
        touch_weights=weights,
        method=f"game {game}, {how}",
        effects=found.conversions / total if total else None,
        residual=residual,
        details={"standard_error": error},
    )


def _shapley_statistic(paths: Paths, parts: Parts, result: ModelResult, options: CreditOptions) -> Statistic:
    return reach_statistic(paths, parts, result.conversions, options.seed)


def _subset_sums_statistic(paths: Paths, parts: Parts, result: ModelResult, options: CreditOptions) -> Statistic:
    uniform = spread(replace(paths, conversions=np.zeros(paths.rows), _cache={}), np.ones(len(paths.channels)))
    return linear_statistic("shapley_subset_sums", paths, parts, uniform.weights)


for _name in RULES:
    register(
        Model(_name, partial(_run_rule, _name), partial(_rule_statistic, _name), conserved=_name not in NOT_CONSERVED)
    )
register(Model("markov", partial(_run_markov, None), _markov_statistic, data_driven=True))
for _order in (2, 3, 4):
    register(Model(f"markov_{_order}", partial(_run_markov, _order), _markov_statistic, data_driven=True))
register(Model("shapley", partial(_run_shapley, "reach"), _shapley_statistic, data_driven=True))
register(Model("shapley_subset_sums", partial(_run_shapley, "subset_sums"), _subset_sums_statistic, data_driven=True))
register(Model("shapley_conversion_rate", partial(_run_shapley, "conversion_rate"), data_driven=True))
register(Model("shapley_fitted", partial(_run_shapley, "fitted"), data_driven=True, needs_losses=True))
assert set(GAMES) == {"reach", "subset_sums", "conversion_rate", "fitted"}


def _run_hazard(paths: Paths, options: CreditOptions) -> ModelResult:
    assert paths.log is not None
    settings = replace(options.hazard, seed=options.seed, level=options.level)
    found = hazard_credit(paths, paths.log, settings)
    return ModelResult(
        conversions=found.conversions,
        revenue=_settle(paths.credit_totals(found.touch_weights, paths.revenue), paths.total_revenue),
        touch_weights=found.touch_weights,
        method=found.method,
        effects=found.caused / paths.total_conversions,
        residual=found.residual,
        details=found.details,
        interval=Interval(found.low, found.high, found.draws) if options.replicates else None,
    )


register(Model("hazard", _run_hazard, data_driven=True, needs_people=True))


def credit_view(journeys: Paths | Journeys) -> Paths:
    """The smallest rows that say the same: distinct paths, or (where people are known) each converting journey
    followed by the distinct paths of those who did not convert.

    Rows of the second kind get negative person codes: each is its own unit with its count. The view of `Journeys` also
    carries the log of people that models like `hazard` need.
    """
    paths, log = (journeys.paths, journeys.log) if isinstance(journeys, Journeys) else (journeys, None)
    if paths.person is None:
        return paths.distinct()[0]
    won = paths.take(np.flatnonzero(paths.conversions > 0))
    lost_rows = np.flatnonzero((paths.conversions <= 0) & (paths.nulls > 0))
    lost = paths.take(lost_rows).distinct()[0]
    assert won.person is not None
    return Paths(
        channels=paths.channels,
        codes=np.concatenate([won.codes, lost.codes]),
        offsets=np.concatenate([won.offsets, won.offsets[-1] + lost.offsets[1:]]),
        conversions=np.concatenate([won.conversions, lost.conversions]),
        nulls=np.concatenate([won.nulls, lost.nulls]),
        revenue=np.concatenate([won.revenue, lost.revenue]),
        hours=None if won.hours is None else np.concatenate([won.hours, np.zeros(len(lost.codes))]),
        person=np.concatenate([won.person, -1 - np.arange(lost.rows)]),
        log=log,
    )


def run_models(
    view: Paths,
    models: Sequence[str] = DEFAULT_MODELS,
    options: CreditOptions = CreditOptions(),
) -> list[Outcome]:
    """Run models on a `credit_view`, with intervals from shared replicates.

    Raises:
        KeyError: A name is not registered.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise KeyError(f"no credit model {unknown[0]!r}; there are: {', '.join(MODELS)}")
    n = view.total_conversions
    parts = split_parts(view)
    results: dict[str, ModelResult | None] = {}
    statistics: dict[str, Statistic] = {}
    statuses: dict[str, str] = {}
    for name in dict.fromkeys(models):
        model = MODELS[name]
        if model.needs_people and view.log is None:
            results[name] = None
            statuses[name] = "insufficient data: needs touches and conversions with person and time, not paths"
            continue
        if model.needs_losses and not view.nulls.any():
            results[name] = None
            statuses[name] = "insufficient data: needs journeys that did not convert"
            continue
        needed = max(options.min_conversions, 1) if model.data_driven else 1
        if n < needed:
            results[name] = None
            statuses[name] = f"insufficient data: needs {needed:,} conversions, has {n:,.10g}"
            continue
        result = model.run(view, options)
        results[name], statuses[name] = result, "ok"
        if model.statistic is not None and options.replicates:
            statistics[name] = model.statistic(view, parts, result, options)
    intervals = bootstrap(view, parts, statistics, options.replicates, options.seed, options.level)
    return [
        Outcome(name, result, intervals.get(name) or (result.interval if result else None), n, statuses[name])
        for name, result in results.items()
    ]


CREDIT_COLUMNS = (
    "model",
    "channel",
    "conversions",
    "revenue",
    "share",
    "ci_low",
    "ci_high",
    "n_conversions",
    "status",
)


def credit_table(outcomes: Sequence[Outcome], channels: Sequence[str]) -> pd.DataFrame:
    """One row per model and channel, with the columns of `CREDIT_COLUMNS` plus method and removal_effect."""
    frames = []
    for outcome in outcomes:
        empty = np.full(len(channels), np.nan)
        conversions = revenue = share = low = high = effects = empty
        method = ""
        if outcome.result is not None:
            result = outcome.result
            conversions, revenue, method = result.conversions, result.revenue, result.method
            share = conversions / outcome.n_conversions
            effects = empty if result.effects is None else result.effects
            if outcome.interval is not None:
                # A percentile interval of a skewed statistic can miss its own estimate; it is widened to hold it.
                low = np.minimum(outcome.interval.low, conversions)
                high = np.maximum(outcome.interval.high, conversions)
        frames.append(
            pd.DataFrame(
                {
                    "model": outcome.model,
                    "channel": list(channels),
                    "conversions": conversions,
                    "revenue": revenue,
                    "share": share,
                    "ci_low": low,
                    "ci_high": high,
                    "n_conversions": outcome.n_conversions,
                    "status": outcome.status,
                    "method": method,
                    "removal_effect": effects,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
