"""Experiments from a user's file, and the tables that show credit with them in place."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attribution_platform.credit.lift import (
    KINDS,
    RESIDUALS,
    UNITS,
    Experiment,
    LiftError,
    Residual,
    Tested,
    Window,
    calibrate,
    calibrated_interval,
    combine,
)
from attribution_platform.credit.paths import Floats, Paths
from attribution_platform.credit.registry import MODELS, Outcome
from attribution_platform.credit_input import CreditInputError, read_table

MICROSECONDS_PER_DAY = 86_400_000_000
REQUIRED = (
    "experiment_id",
    "channel",
    "kind",
    "unit",
    "lift",
    "lift_low",
    "lift_high",
    "started_on",
    "ended_on",
    "source",
)
EXPERIMENT_TYPES = {
    "experiment_id": "varchar",
    "channel": "varchar",
    "kind": "varchar",
    "unit": "varchar",
    "conversion_type": "varchar",
    "lift": "double",
    "lift_low": "double",
    "lift_high": "double",
    "level": "double",
    "started_on": "date",
    "ended_on": "date",
    "source": "varchar",
    "file": "varchar",
    "file_sha256": "varchar",
}
CALIBRATION_TYPES = {
    "model_type": "varchar",
    "conversion_type": "varchar",
    "channel": "varchar",
    "conversions": "double",
    "calibrated_conversions": "double",
    "revenue": "double",
    "calibrated_revenue": "double",
    "ci_low": "double",
    "ci_high": "double",
    "factor": "double",
    "experiments": "varchar",
    "residual_policy": "varchar",
    "n_conversions": "double",
    "status": "varchar",
}
DAILY_TYPES = {
    "converted_on": "date",
    "model_type": "varchar",
    "conversion_type": "varchar",
    "channel": "varchar",
    "conversions": "double",
    "calibrated_conversions": "double",
    "revenue": "double",
    "calibrated_revenue": "double",
}


@dataclass(frozen=True)
class Calibration:
    """Experiments and what becomes of the difference.

    Attributes:
        experiments: In the order of the file.
        records: The same as rows of `EXPERIMENT_TYPES`, with file and checksum: where each number comes from.
        residual, receivers: The residual policy.
    """

    experiments: tuple[Experiment, ...]
    records: pd.DataFrame
    residual: Residual = "proportional"
    receivers: tuple[str, ...] = ()


def read_calibration(path: Path, residual: Residual = "proportional", receivers: Sequence[str] = ()) -> Calibration:
    """Read experiments from CSV or Parquet.

    Args:
        path: Columns `REQUIRED`, and conversion_type and level (0.95) if wanted. `ended_on` counts as a whole day.
        residual, receivers: The residual policy.

    Raises:
        CreditInputError: The file or one of its rows cannot be used.
    """
    table = read_table(path, list(REQUIRED), {"conversion_type": ["conversion_type"], "level": ["level"]})
    if not len(table):
        raise CreditInputError(f"{path.name}: has no experiments")
    columns: dict[str, list[str]] = {}
    for name in ("experiment_id", "channel", "kind", "unit", "source", "conversion_type"):
        if table.has(name):
            codes, values = table.text(name, required=name != "conversion_type")
            columns[name] = [values[code] for code in codes]
    numbers = {name: table.numbers(name, required=True) for name in ("lift", "lift_low", "lift_high")}
    levels = table.numbers("level") if table.has("level") else np.zeros(len(table))
    start, end = table.times("started_on"), table.times("ended_on")
    experiments: list[Experiment] = []
    for row in range(len(table)):
        for name, allowed in (("kind", KINDS), ("unit", UNITS)):
            if columns[name][row] not in allowed:
                raise table.fail(row, name, f"{columns[name][row]!r} is none of {', '.join(allowed)}")
        if columns["experiment_id"][row] in columns["experiment_id"][:row]:
            raise table.fail(row, "experiment_id", f"{columns['experiment_id'][row]!r} appears twice")
        try:
            experiments.append(
                Experiment(
                    experiment_id=columns["experiment_id"][row],
                    channel=columns["channel"][row],
                    kind=columns["kind"][row],  # type: ignore[arg-type]  # checked above
                    unit=columns["unit"][row],  # type: ignore[arg-type]
                    lift=float(numbers["lift"][row]),
                    low=float(numbers["lift_low"][row]),
                    high=float(numbers["lift_high"][row]),
                    start=int(start[row]),
                    end=int(end[row]) + MICROSECONDS_PER_DAY - 1,
                    source=columns["source"][row],
                    conversion_type=columns.get("conversion_type", [""] * len(table))[row] or None,
                    level=float(levels[row]) or 0.95,
                )
            )
        except LiftError as error:
            raise table.fail(row, "lift", str(error)) from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    records = pd.DataFrame(
        {
            "experiment_id": [e.experiment_id for e in experiments],
            "channel": [e.channel for e in experiments],
            "kind": [e.kind for e in experiments],
            "unit": [e.unit for e in experiments],
            "conversion_type": [e.conversion_type for e in experiments],
            "lift": [e.lift for e in experiments],
            "lift_low": [e.low for e in experiments],
            "lift_high": [e.high for e in experiments],
            "level": [e.level for e in experiments],
            "started_on": pd.to_datetime([e.start for e in experiments], unit="us").date,
            "ended_on": pd.to_datetime([e.end for e in experiments], unit="us").date,
            "source": [e.source for e in experiments],
            "file": path.name,
            "file_sha256": digest,
        }
    )
    return Calibration(tuple(experiments), records, residual, tuple(receivers))


def calibration_of(path: Path | None, residual: str, receivers: Sequence[str]) -> Calibration | None:
    """What a command line asks for.

    Raises:
        CreditInputError: The policy is none, or the file cannot be used.
    """
    if residual not in RESIDUALS:
        raise CreditInputError(f"--residual {residual}: choose one of {', '.join(RESIDUALS)}")
    if (residual == "channels") != bool(receivers):
        raise CreditInputError("--residual channels goes with --residual-channel, and only with it")
    return None if path is None else read_calibration(path, residual, receivers)  # type: ignore[arg-type]  # checked above


def applicable(calibration: Calibration, conversion_type: str, conversion_types: Sequence[str]) -> list[Experiment]:
    """Experiments on this conversion type or on all.

    Raises:
        LiftError: A count of conversions does not say of which type.
    """
    for experiment in calibration.experiments:
        if experiment.unit == "conversions" and experiment.conversion_type is None and len(conversion_types) > 1:
            raise LiftError(
                f"experiment {experiment.experiment_id}: incremental conversions need a conversion_type, there are "
                f"{', '.join(conversion_types)}"
            )
        if experiment.conversion_type is not None and experiment.conversion_type not in conversion_types:
            raise LiftError(
                f"experiment {experiment.experiment_id}: no conversion of type {experiment.conversion_type!r}, there are "
                f"{', '.join(conversion_types)}"
            )
    return [e for e in calibration.experiments if e.conversion_type in (None, conversion_type)]


def calibrated_rows(
    calibration: Calibration,
    tested: Sequence[Tested],
    channels: Sequence[str],
    conversions: Floats,
    revenue: Floats,
    low: Floats | None,
    high: Floats | None,
    level: float = 0.95,
) -> pd.DataFrame:
    """One model's credit before and after: columns of `CALIBRATION_TYPES` from `channel` to `residual_policy`."""
    policy = (calibration.residual, calibration.receivers)
    names, after, money = calibrate(conversions[None], revenue[None], channels, tested, *policy)
    ends = calibrated_interval(conversions, low, high, channels, tested, *policy, level=level)
    by_channel = {one.channel: one for one in tested}
    wide = len(names) - len(channels)
    label = calibration.residual + (f": {', '.join(calibration.receivers)}" if calibration.receivers else "")
    return pd.DataFrame(
        {
            "channel": names,
            "conversions": np.append(conversions, np.zeros(wide)),
            "calibrated_conversions": after[0],
            "revenue": np.append(revenue, np.zeros(wide)),
            "calibrated_revenue": money[0],
            "ci_low": np.minimum(ends[0], after[0]),
            "ci_high": np.maximum(ends[1], after[0]),
            "factor": [by_channel[n].factor if n in by_channel and not by_channel[n].is_share else None for n in names],
            "experiments": [", ".join(by_channel[n].experiments) if n in by_channel else None for n in names],
            "residual_policy": label,
        }
    )


def calibration_tables(
    daily: pd.DataFrame, weights: pd.DataFrame, calibration: Calibration
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calibrate every model of the warehouse, day by day so that every day keeps its total.

    Args:
        daily: model_type, conversion_type, channel, converted_on, conversions, revenue.
        weights: model_type, conversion_type, channel, ci_low, ci_high of the models that have intervals.
        calibration: The experiments and the policy.

    Returns:
        Tables with the columns of `CALIBRATION_TYPES` (all days) and `DAILY_TYPES`. A model whose credit the experiments
        cannot be applied to has one row that says why.
    """
    totals, days = [], []
    kinds = sorted(set(daily["conversion_type"]))
    for (model, kind), rows in daily.groupby(["model_type", "conversion_type"], sort=True):
        table = rows.pivot_table(
            index="converted_on", columns="channel", values="conversions", aggfunc="sum", fill_value=0.0
        )
        money = rows.pivot_table(
            index="converted_on", columns="channel", values="revenue", aggfunc="sum", fill_value=0.0
        )
        channels = [str(name) for name in table.columns]
        credit, earned = table.to_numpy(np.float64), money.to_numpy(np.float64)
        at = pd.to_datetime(table.index).astype("datetime64[us]").astype(np.int64).to_numpy()

        def window(experiment: Experiment, at: np.ndarray = at, credit: Floats = credit) -> Window:
            inside = credit[(at >= experiment.start) & (at <= experiment.end)]
            return Window(inside.sum(axis=0), float(inside.sum()))

        base: dict[str, object] = {"model_type": model, "conversion_type": kind, "n_conversions": float(credit.sum())}
        try:
            tested = combine(applicable(calibration, str(kind), kinds), channels, window)
            known = weights[(weights["model_type"] == model) & (weights["conversion_type"] == kind)].set_index(
                "channel"
            )
            low, high = (
                known[end].reindex(channels).to_numpy(np.float64) if len(known) else None
                for end in ("ci_low", "ci_high")
            )
            policy = (calibration.residual, calibration.receivers)
            names, after, paid = calibrate(credit, earned, channels, tested, *policy)
            found = calibrated_rows(calibration, tested, channels, credit.sum(axis=0), earned.sum(axis=0), low, high)
        except LiftError as error:
            totals.append(pd.DataFrame([{**base, "status": f"not calibrated: {error}"}]))
            continue
        # Days are calibrated one by one, and the table of all days is their sum.
        found[["calibrated_conversions", "calibrated_revenue"]] = np.column_stack([after.sum(axis=0), paid.sum(axis=0)])
        found["ci_low"] = found[["ci_low", "calibrated_conversions"]].min(axis=1)
        found["ci_high"] = found[["ci_high", "calibrated_conversions"]].max(axis=1)
        totals.append(_labelled(found, base))
        wide = ((0, 0), (0, len(names) - len(channels)))
        days.append(
            pd.DataFrame(
                {
                    "converted_on": np.repeat(table.index.to_numpy(), len(names)),
                    "model_type": model,
                    "conversion_type": kind,
                    "channel": np.tile(np.array(names, dtype=object), len(table)),
                    "conversions": np.pad(credit, wide).ravel(),
                    "calibrated_conversions": after.ravel(),
                    "revenue": np.pad(earned, wide).ravel(),
                    "calibrated_revenue": paid.ravel(),
                }
            )
        )
    empty = pd.DataFrame()
    return typed(pd.concat(totals) if totals else empty, CALIBRATION_TYPES), typed(
        pd.concat(days) if days else empty, DAILY_TYPES
    )


def calibrated_outcomes(
    calibration: Calibration | None,
    outcomes: list[Outcome],
    view: Paths,
    converted_at: np.ndarray | None,
    kinds: list[str],
    level: float,
) -> pd.DataFrame | None:
    """Every model's credit on a file's journeys, with the experiments in place.

    Args:
        calibration: None gives None.
        outcomes: Of `run_models` on `view`.
        view: A `credit_view`.
        converted_at: Microseconds of the converting rows, which come first; None takes all as any experiment's window.
        kinds: Conversion types there are.
        level: Of the models' intervals.

    Raises:
        CreditInputError: An experiment does not fit these conversions.
    """
    if calibration is None:
        return None
    if len(kinds) > 1 and any(e.conversion_type for e in calibration.experiments):
        raise CreditInputError(
            f"an experiment on one conversion type cannot calibrate the pool of {', '.join(kinds)}: give the conversions "
            "of that type alone"
        )
    frames = []
    for outcome in outcomes:
        base = {"model_type": outcome.model, "conversion_type": "all", "n_conversions": outcome.n_conversions}
        result = outcome.result
        if result is None or not MODELS[outcome.model].conserved:
            frames.append(pd.DataFrame([{**base, "status": outcome.status if result is None else "does not add up"}]))
            continue
        weights = result.touch_weights

        def window(experiment: Experiment, weights: Floats = weights) -> Window:
            inside = view.conversions > 0
            if converted_at is not None:
                inside[: len(converted_at)] &= (converted_at >= experiment.start) & (converted_at <= experiment.end)
            per_row = np.where(inside, view.conversions, 0.0)
            return Window(view.credit_totals(weights, per_row), float(per_row.sum()))

        low, high = (None, None) if outcome.interval is None else (outcome.interval.low, outcome.interval.high)
        try:
            experiments = applicable(
                calibration, kinds[0] if len(kinds) == 1 else "all", kinds if len(kinds) == 1 else ["all"]
            )
            tested = combine(experiments, view.channels, window)
            rows = calibrated_rows(
                calibration, tested, view.channels, result.conversions, result.revenue, low, high, level
            )
        except LiftError as error:
            raise CreditInputError(f"{calibration.records['file'].iloc[0]}, model {outcome.model}: {error}") from None
        frames.append(_labelled(rows, base))
    return pd.concat(frames, ignore_index=True).reindex(columns=list(CALIBRATION_TYPES))


def _labelled(rows: pd.DataFrame, base: dict[str, object]) -> pd.DataFrame:
    labels = pd.DataFrame([{**base, "status": "ok"}] * len(rows), index=rows.index)
    return pd.concat([rows, labels], axis=1)


def typed(frame: pd.DataFrame, types: dict[str, str]) -> pd.DataFrame:
    """All columns, typed, so that what is missing reaches SQL as null."""
    kinds = {"varchar": "string", "double": "Float64", "date": "object"}
    return frame.reindex(columns=list(types)).reset_index(drop=True).astype({n: kinds[k] for n, k in types.items()})
