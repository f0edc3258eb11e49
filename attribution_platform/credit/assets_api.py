"""What the warehouse asks of the models: the table of distinct paths in, two small weight tables out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Floats, parse_paths
from attribution_platform.credit.registry import MIN_CONVERSIONS, CreditOptions, credit_table, run_models

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
        table = credit_table(outcomes, view.channels).rename(columns={"model": "model_type", "share": "weight"})
        table["conversion_type"] = conversion_type
        channel_frames.append(table)
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
