"""What the warehouse asks of the models: distinct paths, or people's touches, in; small weight tables out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Floats, Ints, Paths, PeopleLog, parse_paths
from attribution_platform.credit.registry import (
    MIN_CONVERSIONS,
    MODELS,
    CreditOptions,
    Outcome,
    credit_table,
    run_models,
)

CHANNEL_WEIGHT_TYPES = {
    "model_type": "varchar",
    "conversion_type": "varchar",
    "channel": "varchar",
    "weight": "double",
    "conversions": "double",
    "revenue": "double",
    "ci_low": "double",
    "ci_high": "double",
    "n_conversions": "double",
    "method": "varchar",
    "status": "varchar",
    "removal_effect": "double",
}
PATH_WEIGHT_TYPES = {"model_type": "varchar", "path_id": "varchar", "position": "bigint", "weight": "double"}
TOUCH_WEIGHT_TYPES = {
    "model_type": "varchar",
    "conversion_id": "varchar",
    "touchpoint_id": "varchar",
    "weight": "double",
}


def by_input(models: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Registered names in two: those that read distinct paths, and those that need people and times."""
    people = tuple(name for name in models if MODELS[name].needs_people)
    return tuple(name for name in models if name not in people), people


def credit_from_paths(
    paths_frame: pd.DataFrame,
    models: Sequence[str] = ("markov", "shapley"),
    min_conversions: int = MIN_CONVERSIONS,
    n_bootstrap: int = 1000,
    seed: int = 0,
    markov_order: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Data-driven credit for the table `credit_paths`, per conversion type.

    Args:
        paths_frame: conversion_type, path_id, path, conversions, non_conversions, revenue.
        models: Registered names.
        min_conversions: Threshold per conversion type.
        n_bootstrap: Replicates of the intervals.
        seed: Of everything random.
        markov_order: 1 to 4, or 0 to choose by held-out likelihood.

    Returns:
        `credit.credit_channel_weights` and `credit.credit_path_weights`. The second has a row for each position (from 1)
        of each path with conversions, for the models that had enough data. Figures a model withholds are null.
    """
    options = CreditOptions(
        markov_order=markov_order, min_conversions=min_conversions, replicates=n_bootstrap, seed=seed
    )
    channel_frames, path_frames = [], []
    for conversion_type, rows in paths_frame.groupby("conversion_type", sort=True):
        parsed = parse_paths(
            rows["path"].tolist(),
            conversions=_floats(rows["conversions"]),
            revenue=_floats(rows["revenue"]),
            nulls=_floats(rows["non_conversions"]),
        )
        view, group = parsed.distinct()
        outcomes = run_models(view, models, options)
        channel_frames.append(_channel_table(outcomes, view.channels, str(conversion_type)))
        converts = parsed.conversions > 0
        won = parsed.converting()
        touch = view.offsets[:-1][group[converts]][won.row_of_touch] + won.position
        ids = rows["path_id"].to_numpy()[converts][won.row_of_touch]
        path_frames += [
            pd.DataFrame(
                {
                    "model_type": outcome.model,
                    "path_id": ids,
                    "position": won.position + 1,
                    "weight": outcome.result.touch_weights[touch],
                }
            )
            for outcome in outcomes
            if outcome.result is not None
        ]
    return _stack(channel_frames, CHANNEL_WEIGHT_TYPES), _stack(path_frames, PATH_WEIGHT_TYPES)


def credit_from_people(
    touches: pd.DataFrame,
    conversions: pd.DataFrame,
    journeys: pd.DataFrame,
    models: Sequence[str] = ("hazard",),
    min_conversions: int = MIN_CONVERSIONS,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Credit of the models that need people and times, per conversion type.

    Args:
        touches: touchpoint_id, canonical_user_id, channel, occurred_at; of everybody, whether or not they converted.
        conversions: conversion_id, canonical_user_id, conversion_type, converted_at, revenue.
        journeys: conversion_id, touchpoint_id, channel, position: the touches that may earn credit.
        models: Registered names.
        min_conversions: Threshold per conversion type.
        seed: Of everything random.

    Returns:
        Rows for `credit.credit_channel_weights`, and `credit.credit_touch_weights`: the weight of each touch in its
        journey for the models that had enough data, 1 per model and conversion.
    """
    options = CreditOptions(min_conversions=min_conversions, seed=seed)
    touches = touches.sort_values("touchpoint_id", ignore_index=True)
    conversions = conversions.sort_values("conversion_id", ignore_index=True)
    people = np.concatenate(
        [touches["canonical_user_id"].to_numpy(object), conversions["canonical_user_id"].to_numpy(object)]
    )
    person, _ = pd.factorize(people, sort=True)
    channel, names = pd.factorize(touches["channel"], sort=True)
    at, bought_at = _micros(touches["occurred_at"]), _micros(conversions["converted_at"])
    revenue = _floats(conversions["revenue"])
    journeys = journeys.sort_values(["conversion_id", "position", "touchpoint_id"], ignore_index=True)
    bought = pd.Index(conversions["conversion_id"]).get_indexer(journeys["conversion_id"])
    touch = pd.Index(touches["touchpoint_id"]).get_indexer(journeys["touchpoint_id"])

    channel_frames, touch_frames = [], []
    kinds = conversions["conversion_type"].to_numpy(object)
    for kind in sorted(set(kinds)):
        mine = np.flatnonzero(kinds == kind)
        place = np.full(len(conversions) + 1, -1)
        place[mine] = np.arange(len(mine))
        rows = np.flatnonzero(place[bought] >= 0)
        row, offsets = _runs(place[bought[rows]])
        credited, credited_names = pd.factorize(journeys["channel"].iloc[rows], sort=True)
        log = PeopleLog(
            channels=tuple(str(name) for name in names),
            person=person[: len(touches)],
            at=at,
            channel=channel.astype(np.int64),
            buyer=person[len(touches) :][mine],
            bought_at=bought_at[mine],
            touch=touch[rows].astype(np.int64),
            conversion=row,
        )
        view = Paths(
            channels=tuple(str(name) for name in credited_names),
            codes=credited.astype(np.int64),
            offsets=offsets,
            conversions=np.ones(len(row)),
            nulls=np.zeros(len(row)),
            revenue=revenue[mine][row],
            person=log.buyer[row],
            log=log,
        )
        outcomes = run_models(view, models, options)
        channel_frames.append(_channel_table(outcomes, view.channels, kind))
        touch_frames += [
            pd.DataFrame(
                {
                    "model_type": outcome.model,
                    "conversion_id": journeys["conversion_id"].to_numpy(object)[rows],
                    "touchpoint_id": journeys["touchpoint_id"].to_numpy(object)[rows],
                    "weight": outcome.result.touch_weights,
                }
            )
            for outcome in outcomes
            if outcome.result is not None
        ]
    return _stack(channel_frames, CHANNEL_WEIGHT_TYPES), _stack(touch_frames, TOUCH_WEIGHT_TYPES)


def _channel_table(outcomes: Sequence[Outcome], channels: Sequence[str], conversion_type: str) -> pd.DataFrame:
    table = credit_table(outcomes, channels).rename(columns={"model": "model_type", "share": "weight"})
    return table.assign(conversion_type=conversion_type)


def _runs(key: Ints) -> tuple[Ints, Ints]:
    """Value and offsets of the runs of equal neighbours."""
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    return key[first].astype(np.int64), np.append(first, len(key)).astype(np.int64)


def _micros(column: pd.Series) -> Ints:
    return pd.to_datetime(column, utc=True).astype("datetime64[us, UTC]").to_numpy("datetime64[us]").astype(np.int64)


def _floats(column: pd.Series) -> Floats:
    # The warehouse hands money over as Decimal.
    return np.array([0.0 if pd.isna(value) else float(value) for value in column], dtype=np.float64)


def _stack(frames: list[pd.DataFrame], types: dict[str, str]) -> pd.DataFrame:
    """All rows with typed columns even when there are none; withheld figures are NA and reach SQL as null, not NaN."""
    kinds = {"varchar": "string", "double": "Float64", "bigint": "Int64"}
    dtypes = {name: kinds[kind] for name, kind in types.items()}
    if not frames:
        return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in dtypes.items()})
    return pd.concat(frames, ignore_index=True)[list(types)].astype(dtypes)
