"""The chance that a journey converts: a logistic model, calibrated, judged on moments it did not see.

A state is a journey at a moment. Moments lie two weeks apart; the youngest whose outcome is known is held out, and the model
that is judged on it learns only from moments whose outcome was known by then. The model that is used learns from all.

Coefficients are chosen by cross-validation over people and then calibrated on predictions for people the fit had not seen
(Platt 1999): log odds' = a + b · log odds. That is linear again, so the calibrated model is a list of coefficients and a
warehouse scores any number of journeys with one sum each.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from attribution_platform.credit.paths import Floats, Ints

MODEL = "logistic.1"
STRENGTHS = (0.01, 0.1, 1.0, 10.0)
FOLDS = 5
BINS = 10
# Fewer held-out conversions than this say nothing about calibration.
MIN_HELD_OUT = 50
INTERCEPT = "(intercept)"
METRICS = ("brier", "brier_skill", "log_loss", "calibration_error")


@dataclass(frozen=True)
class States:
    """Journeys at moments whose outcome is known.

    Attributes:
        terms: Names of the columns of `matrix`.
        matrix: Values of the terms. Shape (states, terms), sparse.
        converts: Whether a conversion followed within the horizon. Shape (states,).
        person: Code of the person. Shape (states,).
        days_before_last: Days between the moment and the youngest one. Shape (states,).
        weight: People each state stands for. Shape (states,).
        conversions: Distinct conversions that followed.
    """

    terms: tuple[str, ...]
    matrix: sp.csr_matrix
    converts: Floats
    person: Ints
    days_before_last: Ints
    weight: Floats
    conversions: int


@dataclass(frozen=True)
class Fit:
    """Calibrated coefficients: log odds = intercept + values · coefficients."""

    intercept: float
    coefficients: Floats

    def chance(self, matrix: sp.csr_matrix) -> Floats:
        """Chance of a conversion. Shape (states,)."""
        return _logistic(self.intercept + np.asarray(matrix @ self.coefficients))


@dataclass(frozen=True)
class ScoringResult:
    """A conversion model and how good it is.

    Attributes:
        status: `ok`, or why there is none.
        fit: The model to use; None without enough data.
        quality: Figures of the held-out moment: `METRICS` with `_low` and `_high`, `base_rate`, `held_out_states`,
            `held_out_conversions`; empty without a model.
        reliability: bin, predicted, observed, ci_low, ci_high, journeys.
    """

    status: str
    fit: Fit | None
    quality: dict[str, float]
    reliability: pd.DataFrame


def fit_scoring(
    states: States, horizon_days: int, min_conversions: int, replicates: int = 500, seed: int = 0, level: float = 0.95
) -> ScoringResult:
    """Fit and judge the conversion model of one conversion type.

    Args:
        states: Journeys at moments.
        horizon_days: Days ahead that count.
        min_conversions: Below it there is no model.
        replicates: Of the bootstrap over people.
        seed: Of folds and bootstrap.
        level: Coverage of the intervals.
    """
    if states.conversions < max(min_conversions, 1):
        return _none(f"insufficient data: needs {min_conversions:,} conversions, has {states.conversions:,}")
    held_out = states.days_before_last == 0
    past = states.days_before_last >= horizon_days
    lost = held_out.sum() - states.converts[held_out].sum()
    if states.converts[held_out].sum() < MIN_HELD_OUT or lost < MIN_HELD_OUT:
        return _none(
            f"insufficient data: needs {MIN_HELD_OUT} journeys that convert and {MIN_HELD_OUT} that do not in the last "
            f"{horizon_days} days, has {int(states.converts[held_out].sum()):,} and {int(lost):,}"
        )
    if min(states.converts[past].sum(), (1 - states.converts[past]).sum()) < MIN_HELD_OUT:
        return _none(
            f"insufficient data: needs {MIN_HELD_OUT} conversions whose {horizon_days} days had passed a horizon before the "
            f"held-out moment, has {int(states.converts[past].sum()):,}; history is too short"
        )
    judged = _fit(states, np.flatnonzero(past), seed)
    rows = np.flatnonzero(held_out)
    chance = judged.chance(states.matrix[rows])
    quality, reliability = judge(
        chance, states.converts[rows], states.weight[rows], states.person[rows], replicates, seed, level
    )
    quality["held_out_states"] = float(len(rows))
    quality["held_out_conversions"] = float(states.converts[rows].sum())
    return ScoringResult("ok", _fit(states, np.arange(len(states.converts)), seed), quality, reliability)


def _none(status: str) -> ScoringResult:
    columns = ["bin", "predicted", "observed", "ci_low", "ci_high", "journeys"]
    return ScoringResult(status, None, {}, pd.DataFrame(columns=columns, dtype=np.float64))


def _logistic(value: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-value))


def _fit(states: States, rows: Ints, seed: int) -> Fit:
    matrix, y, weight = states.matrix[rows], states.converts[rows], states.weight[rows]
    # Terms differ in size by orders of magnitude, and a penalty must not.
    scale = np.sqrt(np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel())
    scale[scale == 0] = 1.0
    scaled = sp.csr_matrix(matrix @ sp.diags(1.0 / scale))
    folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(scaled, y, states.person[rows]))
    unseen = {strength: np.zeros(len(y)) for strength in STRENGTHS}
    for strength, found in unseen.items():
        for train, test in folds:
            model = _regression(scaled[train], y[train], weight[train], strength)
            found[test] = model.decision_function(scaled[test])
    best = min(STRENGTHS, key=lambda strength: _log_loss(_logistic(unseen[strength]), y, weight))
    calibration = _regression(unseen[best][:, None], y, weight, np.inf)
    a, b = float(calibration.intercept_[0]), float(calibration.coef_[0, 0])
    final = _regression(scaled, y, weight, best)
    return Fit(a + b * float(final.intercept_[0]), b * final.coef_[0] / scale)


def _regression(x: Floats | sp.csr_matrix, y: Floats, weight: Floats, strength: float) -> LogisticRegression:
    # A few dozen terms: Newton's steps are few and cheap. L-BFGS took 32 s where this takes 5 (56,000 states, 88 fits).
    model = LogisticRegression(C=strength, max_iter=200, tol=1e-8, solver="newton-cholesky")
    return model.fit(x, y, sample_weight=weight)


def _losses(chance: Floats, y: Floats) -> Floats:
    sure = np.clip(chance, 1e-12, 1 - 1e-12)
    return -(y * np.log(sure) + (1 - y) * np.log1p(-sure))


def _log_loss(chance: Floats, y: Floats, weight: Floats) -> float:
    return float(np.average(_losses(chance, y), weights=weight))


def judge(
    chance: Floats, y: Floats, weight: Floats, person: Ints, replicates: int = 500, seed: int = 0, level: float = 0.95
) -> tuple[dict[str, float], pd.DataFrame]:
    """How good chances are, with percentile intervals from a bootstrap over people.

    Args:
        chance, y, weight, person: Of each journey: promised chance, whether it converted, how many it stands for, whose.
        replicates, seed, level: Of the bootstrap.

    Returns:
        `METRICS` with their `_low` and `_high` and `base_rate`; and the reliability table over tenths of the journeys.
    """
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, BINS + 1)[1:-1]))
    # Equal chances share a tenth, and then there are fewer of them.
    bin_of = np.unique(np.searchsorted(edges, chance, side="right"), return_inverse=True)[1]
    bins = int(bin_of.max()) + 1
    # Everything is a ratio of sums, so a replicate only reweights the sums of each person.
    columns = [weight, weight * y, weight * (chance - y) ** 2, weight * _losses(chance, y)]
    by_bin = [weight * (bin_of == b) * value for value in (np.ones_like(y), chance, y) for b in range(bins)]
    people, unit = np.unique(person, return_inverse=True)
    gather = sp.csr_matrix((np.ones(len(y)), (unit, np.arange(len(y)))), shape=(len(people), len(y)))
    sums = np.asarray(gather @ np.column_stack([*columns, *by_bin]))
    draws = np.random.default_rng(seed).poisson(1.0, size=(replicates, len(people))).astype(np.float64)
    point = _figures(sums.sum(axis=0)[None], bins)
    spread = _figures(draws @ sums, bins)
    tail = 50.0 * (1.0 - level)
    quality = {"base_rate": float(point["base_rate"][0])}
    for name in METRICS:
        low, high = np.percentile(spread[name], [tail, 100.0 - tail])
        value = float(point[name][0])
        quality |= {name: value, f"{name}_low": min(float(low), value), f"{name}_high": max(float(high), value)}
    low, high = np.nanpercentile(spread["observed"], [tail, 100.0 - tail], axis=0)
    reliability = pd.DataFrame(
        {
            "bin": np.arange(1, bins + 1),
            "predicted": point["predicted"][0],
            "observed": point["observed"][0],
            "ci_low": low,
            "ci_high": high,
            "journeys": np.bincount(bin_of, minlength=bins),
        }
    )
    return quality, reliability


def _figures(sums: Floats, bins: int) -> dict[str, Floats]:
    total, won, squares, losses = sums[:, :4].T
    counts, promised, happened = (sums[:, 4 + i * bins : 4 + (i + 1) * bins] for i in range(3))
    rate = won / total
    brier = squares / total
    with np.errstate(invalid="ignore", divide="ignore"):
        predicted, observed = promised / counts, happened / counts
        skill = 1.0 - brier / (rate * (1.0 - rate))
    return {
        "base_rate": rate,
        "brier": brier,
        "brier_skill": skill,
        "log_loss": losses / total,
        "calibration_error": np.abs(promised - happened).sum(axis=1) / total,
        "predicted": predicted,
        "observed": observed,
    }


QUALITY_TYPES = {
    "conversion_type": "varchar",
    "status": "varchar",
    "model_version": "varchar",
    "fitted_at": "timestamp",
    "horizon_days": "bigint",
    "n_conversions": "bigint",
    "n_states": "bigint",
    "held_out_states": "bigint",
    "held_out_conversions": "bigint",
    "base_rate": "double",
    **{f"{name}{end}": "double" for name in METRICS for end in ("", "_low", "_high")},
}
TERM_TYPES = {"conversion_type": "varchar", "term": "varchar", "coefficient": "double"}
RELIABILITY_TYPES = {
    "conversion_type": "varchar",
    "bin": "bigint",
    "predicted": "double",
    "observed": "double",
    "ci_low": "double",
    "ci_high": "double",
    "journeys": "bigint",
}


def read_states(states: pd.DataFrame, features: pd.DataFrame) -> States:
    """From warehouse rows of one conversion type.

    Args:
        states: state_id, canonical_user_id, conversion_id, converts, days_before_last, stands_for.
        features: state_id, term, value; rows of other states are left out.
    """
    ordered = states.sort_values("state_id", ignore_index=True)
    ids = pd.Index(ordered["state_id"])
    row = ids.get_indexer(pd.Index(features["state_id"]))
    mine = features[row >= 0]
    column, terms = pd.factorize(mine["term"], sort=True)
    shape = (len(ordered), len(terms))
    matrix = sp.csr_matrix((mine["value"].to_numpy(np.float64), (row[row >= 0], column)), shape=shape)
    return States(
        terms=tuple(str(term) for term in terms),
        matrix=matrix,
        converts=ordered["converts"].to_numpy(np.float64),
        person=pd.factorize(ordered["canonical_user_id"], sort=True)[0].astype(np.int64),
        days_before_last=ordered["days_before_last"].to_numpy(np.int64),
        weight=ordered["stands_for"].to_numpy(np.float64),
        conversions=int(ordered["conversion_id"].nunique()),
    )


def score_tables(
    states: pd.DataFrame,
    features: pd.DataFrame,
    fitted_at: pd.Timestamp,
    horizon_days: int,
    min_conversions: int,
    conversion_types: list[str],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Conversion models of every type.

    Args:
        states: As of `read_states` plus conversion_type.
        features: state_id, term, value.
        fitted_at: The data's clock.
        horizon_days, min_conversions: See `fit_scoring`.
        conversion_types: All types there are; one without states has too little data.

    Returns:
        Tables with the columns of `TERM_TYPES`, `QUALITY_TYPES` and `RELIABILITY_TYPES`.
    """
    terms, quality, reliability = [], [], []
    for kind in conversion_types:
        read = read_states(states[states["conversion_type"] == kind], features)
        found = fit_scoring(read, horizon_days, min_conversions)
        row = {
            "conversion_type": kind,
            "status": found.status,
            "horizon_days": horizon_days,
            "fitted_at": fitted_at,
            "n_conversions": read.conversions,
            "n_states": len(read.converts),
            **found.quality,
        }
        if found.fit is not None:
            row["model_version"] = f"{MODEL}+{fitted_at:%Y-%m-%d}"
            # Twelve digits: the last ones differ between machines and mean nothing.
            values = np.round([found.fit.intercept, *found.fit.coefficients], 12)
            names = [INTERCEPT, *read.terms]
            terms.append(pd.DataFrame({"conversion_type": kind, "term": names, "coefficient": values}))
            reliability.append(found.reliability.assign(conversion_type=kind))
        quality.append(row)
    return (
        _typed(pd.concat(terms) if terms else pd.DataFrame(), TERM_TYPES),
        _typed(pd.DataFrame(quality), QUALITY_TYPES),
        _typed(pd.concat(reliability) if reliability else pd.DataFrame(), RELIABILITY_TYPES),
    )


def _typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    """All columns, typed, so that what is missing reaches SQL as null."""
    kinds = {"varchar": "string", "double": "Float64", "bigint": "Int64", "timestamp": "datetime64[us]"}
    return frame.reindex(columns=list(types)).reset_index(drop=True).astype({n: kinds[k] for n, k in types.items()})
