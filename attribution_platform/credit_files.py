"""`attribution credit`: every credit model on a user's own files, no warehouse and no set-up.

    touchpoints + conversions (+ spend)  ─┐
                                          ├─► journeys ─► models ─► credit.csv, detail tables, a summary in words
    paths (+ spend)                      ─┘

All input is checked before anything is written; every output is written beside its place and renamed.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from attribution_platform.credit.eligibility import ALL_TOUCHES, Eligibility, keep_eligible
from attribution_platform.credit.journeys import (
    Conversions,
    Journeys,
    Touches,
    build_journeys,
    direct_name,
    median_cycle_days,
    spread_cost,
)
from attribution_platform.credit.paths import PathError, Paths, group_paths
from attribution_platform.credit.recommend import MeasuredRecommendation, Recommendation, recommend
from attribution_platform.credit.registry import (
    CREDIT_COLUMNS,
    DEFAULT_MODELS,
    MODELS,
    CreditOptions,
    Outcome,
    credit_table,
    credit_view,
    run_models,
)
from attribution_platform.credit.rules import RuleOptions
from attribution_platform.credit.shapley import ordered_shapley
from attribution_platform.credit_input import CreditInputError, read_table
from attribution_platform.credit_spend import cost_by_channel, roi_table
from attribution_platform.lab.results import measured_for
from attribution_platform.lift_calibration import Calibration, calibrated_outcomes

__all__ = ["CreditInputError", "credit_command", "main"]

DAYS_PER_MONTH = 30.4375
MICROSECONDS_PER_DAY = 86_400_000_000
OUTPUTS = (
    "credit_calibrated.csv",
    "credit_by_place.csv",
    "credit_by_type.csv",
    "credit_touchpoints.parquet",
    "credit_paths.parquet",
    "model_details.csv",
    "roi.csv",
    "credit.csv",
)


@dataclass(frozen=True)
class Credited:
    """What a run found, before it is written."""

    channels: tuple[str, ...]
    outcomes: list[Outcome]
    by_type: pd.DataFrame | None
    detail_name: str
    detail: pa.Table
    cost: dict[str, float] | None
    recommendation: Recommendation
    by_place: pd.DataFrame
    measured: MeasuredRecommendation | None = None
    calibrated: pd.DataFrame | None = None


def credit_command(
    *,
    out: Path,
    touchpoints: Path | None = None,
    conversions: Path | None = None,
    spend: Path | None = None,
    paths: Path | None = None,
    lookback_days: float = 90,
    half_life_days: float = 7.0,
    min_conversions: int = 1000,
    models: Sequence[str] = DEFAULT_MODELS,
    markov_order: int = 1,
    replicates: int = 1000,
    seed: int = 0,
    b2b: bool = False,
    eligibility: Eligibility = ALL_TOUCHES,
    calibration: Calibration | None = None,
) -> str:
    """Credit channels from files and write the results to `out`.

    Args:
        out: Folder for the results; made if missing.
        touchpoints: user_id, occurred_at, channel[, campaign, cost].
        conversions: user_id, converted_at[, revenue, conversion_type].
        spend: cost (or spend) and one of channel, campaign, medium, platform (or their utm_ names)[, date].
        paths: path, total_conversions[, total_conversion_value, total_null]; instead of touchpoints and conversions.
        lookback_days: Days before a conversion in which a touch earns credit.
        half_life_days: Of time decay.
        min_conversions: Under it a data-driven model says "insufficient data".
        models: Registered names.
        markov_order: 1 to 4; 0 chooses by held-out likelihood.
        replicates: Of the bootstrap; 0 leaves intervals empty.
        seed: Of everything random.
        b2b: Whether accounts buy; only the recommendation asks.
        eligibility: Which touches may earn credit; with touchpoints only.
        calibration: Experiments to put in place of the models' credit.

    Returns:
        A summary to print.

    Raises:
        CreditInputError: An input cannot be used. Nothing has been written.
    """
    unknown = [name for name in models if name not in MODELS]
    if unknown:
        raise CreditInputError(f"no credit model {unknown[0]!r}; there are: {', '.join(MODELS)}")
    if markov_order not in range(5):
        raise CreditInputError(f"Markov order must be 1 to 4, or 0 to choose it, not {markov_order}")
    if not (lookback_days > 0 and half_life_days > 0):
        raise CreditInputError("lookback and half-life must be positive")
    options = CreditOptions(
        rules=RuleOptions(half_life_days=half_life_days),
        markov_order=markov_order,
        min_conversions=min_conversions,
        replicates=replicates,
        seed=seed,
    )
    if paths is not None:
        if touchpoints is not None or conversions is not None:
            raise CreditInputError("give either --paths, or --touchpoints and --conversions, not both")
        if eligibility != ALL_TOUCHES:
            raise CreditInputError(
                "--paths has no touches to choose from: channel and campaign filters, --lookback-steps and --path-transform "
                "need --touchpoints and --conversions"
            )
        found = _from_paths(paths, spend, models, options, b2b, calibration)
    elif touchpoints is not None and conversions is not None:
        found = _from_touches(
            touchpoints, conversions, spend, models, options, lookback_days, b2b, eligibility, calibration
        )
    else:
        raise CreditInputError("give --touchpoints and --conversions, or --paths")
    written = _write(found, out)
    return _summary(found, out, written)


def _from_paths(
    file: Path,
    spend: Path | None,
    models: Sequence[str],
    options: CreditOptions,
    b2b: bool,
    calibration: Calibration | None,
) -> Credited:
    table = read_table(
        file,
        ["path", "total_conversions"],
        {"total_conversion_value": ["total_conversion_value"], "total_null": ["total_null"]},
    )
    if not len(table):
        raise CreditInputError(f"{file.name}: has no rows")
    counts = table.numbers("total_conversions", minimum=0, required=True)
    zeros = np.zeros(len(table))
    value = table.numbers("total_conversion_value") if table.has("total_conversion_value") else zeros
    nulls = table.numbers("total_null", minimum=0) if table.has("total_null") else zeros
    odd = (counts == 0) & (value != 0)
    if odd.any():
        row = int(np.argmax(odd))
        raise table.fail(row, "total_conversion_value", f"{value[row]:g} of value without a conversion")
    codes, names = table.text("path")
    try:
        view = group_paths(codes, names, counts, value, nulls)
    except PathError as error:
        raise table.fail(error.row or 0, "path", str(error).split(" ", 2)[-1]) from None
    outcomes = run_models(view, models, options)
    won = view.converting()
    columns: dict[str, object] = {
        "path": np.array(won.strings(), dtype=object)[won.row_of_touch],
        "conversions": won.conversions[won.row_of_touch],
        "revenue": won.revenue[won.row_of_touch],
        "position": won.position + 1,
        "channel": np.array(won.channels, dtype=object)[won.codes],
    }
    touches = (view.conversions > 0)[view.row_of_touch]
    for outcome in outcomes:
        if outcome.result is not None:
            columns[f"credit_{outcome.model}"] = outcome.result.touch_weights[touches]
    cost = None if spend is None else cost_by_channel(spend, list(view.channels), None)
    advice = recommend(view.total_conversions, None, b2b)
    advice = Recommendation(advice.model, ("Taking the file as one month:", *advice.reasons))
    # Paths carry no dates: the file is taken as the window of every experiment.
    calibrated = calibrated_outcomes(calibration, outcomes, view, None, ["all"], options.level)
    return Credited(
        view.channels,
        outcomes,
        None,
        "credit_paths.parquet",
        pa.table(columns),
        cost,
        advice,
        by_place(view),
        None,
        calibrated,
    )


def _from_touches(
    touch_file: Path,
    conversion_file: Path,
    spend: Path | None,
    models: Sequence[str],
    options: CreditOptions,
    lookback_days: float,
    b2b: bool,
    eligibility: Eligibility,
    calibration: Calibration | None,
) -> Credited:
    touch_table = read_table(
        touch_file, ["user_id", "occurred_at", "channel"], {"campaign": ["campaign"], "cost": ["cost"]}
    )
    sold = read_table(
        conversion_file,
        ["user_id", "converted_at"],
        {"revenue": ["revenue"], "conversion_type": ["conversion_type"]},
    )
    touch_user, touch_users = touch_table.text("user_id")
    sold_user, sold_users = sold.text("user_id")
    users = {name: code for code, name in enumerate(sorted({*touch_users, *sold_users}))}
    channel, names = touch_table.text("channel")
    channels = sorted({*names, direct_name(names)})
    campaign, campaigns = (
        touch_table.text("campaign", required=False) if touch_table.has("campaign") else (np.zeros_like(channel), [""])
    )
    touches = Touches(
        person=np.array([users[name] for name in touch_users], dtype=np.int64)[touch_user],
        at=touch_table.times("occurred_at"),
        channel=np.array([channels.index(name) for name in names], dtype=np.int64)[channel],
        campaign=campaign,
    )
    bought = Conversions(
        person=np.array([users[name] for name in sold_users], dtype=np.int64)[sold_user],
        at=sold.times("converted_at"),
        revenue=sold.numbers("revenue") if sold.has("revenue") else np.zeros(len(sold)),
    )
    kind, kinds = (
        sold.text("conversion_type", required=False)
        if sold.has("conversion_type")
        else (
            np.zeros(len(sold), dtype=np.int64),
            ["conversion"],
        )
    )
    own_cost = touch_table.numbers("cost", minimum=0) if touch_table.has("cost") else None
    cost: dict[str, float] | None = None
    if spend is not None:
        shares = spread_cost(touches.campaign, touches.channel, len(campaigns), len(channels))
        cost = cost_by_channel(spend, channels, {name: shares[i] for i, name in enumerate(campaigns) if name})
    elif own_cost is not None:
        totals = np.bincount(touches.channel, weights=own_cost, minlength=len(channels))
        cost = {name: float(total) for name, total in zip(channels, totals, strict=True) if total}

    def journeys_of(part: Conversions) -> Journeys:
        built = build_journeys(touches, part, channels, lookback_days)
        # Also drops a Direct that nobody mentioned and no conversion needed.
        return keep_eligible(built, campaign, campaigns, eligibility, names)

    journeys = journeys_of(bought)
    view = credit_view(journeys)
    outcomes = run_models(view, models, options)
    calibrated = calibrated_outcomes(calibration, outcomes, view, bought.at[journeys.conversion], kinds, options.level)
    frames = []
    for code, name in enumerate(kinds):
        if len(kinds) == 1:
            table = credit_table(outcomes, journeys.paths.channels)
        else:
            chosen = kind == code
            part = Conversions(bought.person[chosen], bought.at[chosen], bought.revenue[chosen])
            own = credit_view(journeys_of(part))
            table = credit_table(run_models(own, models, options), own.channels)
        table.insert(0, "conversion_type", name)
        frames.append(table[["conversion_type", *CREDIT_COLUMNS]])
    empty = pd.DataFrame(columns=["conversion_type", *CREDIT_COLUMNS])
    detail = _touch_detail(journeys, touches, bought, outcomes, [kinds[k] for k in kind], campaigns)
    month = MICROSECONDS_PER_DAY * DAYS_PER_MONTH
    months = max(float(np.ptp(bought.at)) / month, 1.0) if len(bought.at) else 1.0
    advice = recommend(len(bought.at) / months, median_cycle_days(journeys), b2b)
    return Credited(
        journeys.paths.channels,
        outcomes,
        pd.concat(frames, ignore_index=True) if frames else empty,
        "credit_touchpoints.parquet",
        detail,
        cost,
        advice,
        by_place(journeys.paths),
        measured_for(journeys.paths, outcomes),
        calibrated,
    )


def _touch_detail(
    journeys: Journeys,
    touches: Touches,
    bought: Conversions,
    outcomes: list[Outcome],
    kinds: list[str],
    campaigns: list[str],
) -> pa.Table:
    """Credit of each touch of each conversion, one column a model. People appear as row numbers of the input files."""
    paths = journeys.paths
    size = int(paths.offsets[len(journeys.conversion)])
    row = paths.row_of_touch[:size]
    conversion = journeys.conversion[row]
    touch = journeys.touch[:size]
    synthetic = touch < 0
    safe = np.where(synthetic, 0, touch)
    campaign = np.array(campaigns, dtype=object)[touches.campaign[safe]] if len(touches.at) else np.full(size, "")
    occurred = np.where(synthetic, bought.at[conversion], touches.at[safe] if len(touches.at) else 0)
    utc = pa.timestamp("us", "UTC")
    columns: dict[str, object] = {
        "conversion_row": conversion + 1,
        "conversion_type": pa.array(np.array(kinds, dtype=object)[conversion], pa.string()),
        "converted_at": pa.array(bought.at[conversion], pa.int64()).cast(utc),
        "touchpoint_row": pa.array(safe + 1, pa.int64(), mask=synthetic),
        "occurred_at": pa.array(occurred, pa.int64()).cast(utc),
        "channel": pa.array(np.array(paths.channels, dtype=object)[paths.codes[:size]], pa.string()),
        "campaign": pa.array(np.where(synthetic, "", campaign), pa.string()),
        "position": paths.position[:size] + 1,
        "hours_before_conversion": paths.hours[:size] if paths.hours is not None else np.zeros(size),
        "revenue": bought.revenue[conversion],
    }
    for outcome in outcomes:
        if outcome.result is not None:
            columns[f"credit_{outcome.model}"] = outcome.result.touch_weights[:size]
    return pa.table(columns)


def by_place(paths: Paths) -> pd.DataFrame:
    """Ordered Shapley credit: which place among a journey's distinct channels earned it. Columns channel, place, conversions."""
    table = ordered_shapley(paths)
    channel, place = np.nonzero(table)
    names = np.array(paths.channels, dtype=object)
    return pd.DataFrame({"channel": names[channel], "place": place + 1, "conversions": table[channel, place]})


def _details(found: Credited) -> pd.DataFrame:
    rows = []
    for outcome in found.outcomes:
        result = outcome.result
        for index, channel in enumerate(found.channels):
            row: dict[str, object] = {"model": outcome.model, "channel": channel}
            if result is not None:
                row["effect"] = None if result.effects is None else result.effects[index]
                row["value_effect"] = None if result.value_effects is None else result.value_effects[index]
                row["order"] = result.details.get("order")
                row["conversion_probability"] = result.details.get("conversion_probability")
                row["touch_weight_residual"] = result.residual
                row["method"] = result.method
            rows.append(row)
    columns = ["effect", "value_effect", "order", "conversion_probability", "touch_weight_residual", "method"]
    return pd.DataFrame(rows, columns=["model", "channel", *columns])


def _write(found: Credited, out: Path) -> list[str]:
    credit = credit_table(found.outcomes, found.channels)
    files: dict[str, pd.DataFrame | pa.Table] = {found.detail_name: found.detail, "model_details.csv": _details(found)}
    files["credit_by_place.csv"] = found.by_place
    if found.by_type is not None:
        files["credit_by_type.csv"] = found.by_type
    if found.calibrated is not None:
        files["credit_calibrated.csv"] = found.calibrated
    if found.cost is not None:
        files["roi.csv"] = roi_table(credit, found.cost)
    files["credit.csv"] = credit[list(CREDIT_COLUMNS)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        staged = {}
        for name, table in files.items():
            staged[name] = out / f".{name}.{os.getpid()}.tmp"
            if isinstance(table, pd.DataFrame):
                table.to_csv(staged[name], index=False, lineterminator="\n")
            else:
                pq.write_table(table, staged[name], compression="zstd")
        for name, place in staged.items():
            os.replace(place, out / name)
        for name in OUTPUTS:
            # A result of an earlier run with other inputs would read as one of this run.
            if name not in files:
                (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise CreditInputError(f"cannot write to {out}: {error.strerror or error}") from None
    return [name for name in reversed(OUTPUTS) if name in files]


def _summary(found: Credited, out: Path, written: list[str]) -> str:
    usable = [outcome for outcome in found.outcomes if outcome.result is not None]
    total = found.outcomes[0].n_conversions if found.outcomes else 0.0
    lines = [f"{total:,.10g} conversions, {len(found.channels)} channels. Credited conversions by model:", ""]
    width = max([len("channel"), *(len(name) for name in found.channels)])
    widths = [max(len(outcome.model), 9) for outcome in usable]
    lines.append("  ".join(["channel".ljust(width), *(o.model.rjust(w) for o, w in zip(usable, widths, strict=True))]))
    for index, channel in enumerate(found.channels):
        cells = []
        for outcome, size in zip(usable, widths, strict=True):
            assert outcome.result is not None
            cells.append(f"{outcome.result.conversions[index]:,.1f}".rjust(size))
        lines.append("  ".join([channel.ljust(width), *cells]))
    lines.append("")
    for outcome in found.outcomes:
        result = outcome.result
        if result is None:
            lines.append(f"{outcome.model}: {outcome.status}")
        elif MODELS[outcome.model].data_driven:
            chance = result.details.get("conversion_probability")
            shown = "" if chance is None else f"; conversion probability {chance:.12f}"
            lines.append(f"{outcome.model}: {result.method}{shown}")
            if result.residual > 0.001:
                lines.append(
                    f"  its channel totals cannot be met path by path: {result.residual:.1%} of credit sits elsewhere in "
                    f"{found.detail_name}"
                )
    if found.calibrated is not None:
        with_experiments = found.calibrated.dropna(subset=["experiments"])
        channels = ", ".join(sorted(set(with_experiments["channel"])))
        lines += ["", f"Experiments decide the credit of {channels} in credit_calibrated.csv."]
    lines += ["", f"Recommended by rule: {found.recommendation}"]
    if found.measured is not None:
        lines.append(f"Measured in the truth lab: {found.measured}")
    lines.append(f"Written to {out}: {', '.join(written)}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command without the house's command line, for scripts and tests."""
    parser = argparse.ArgumentParser(prog="attribution credit")
    for name in ("touchpoints", "conversions", "spend", "paths"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lookback-days", type=float, default=90)
    parser.add_argument("--half-life-days", type=float, default=7.0)
    parser.add_argument("--min-conversions", type=int, default=1000)
    parser.add_argument("--markov-order", type=int, default=1)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--b2b", action="store_true")
    parser.add_argument("--models", nargs="+", default=list(DEFAULT_MODELS))
    try:
        print(credit_command(**vars(parser.parse_args(argv))))
    except CreditInputError as error:
        parser.exit(2, f"error: {error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
