"""When a weekly chart gets new limits: frozen once a phase has its points, begun anew by a run of eight or by a person.

Pure: the weekly table and what was decided before go in, the rows to add come out. Rows are only ever added, so that history
restated later moves no limit and every phase keeps its reason.
"""

from datetime import date, datetime

import numpy as np
import pandas as pd

from attribution_platform.monitoring.detect import ANY, segment_label
from attribution_platform.monitoring.xmr import RUN_LENGTH

__all__ = ["BY_PERSON", "PHASE_COLUMNS", "baselines_of_people", "decision", "phases_to_record"]

SERIES = ["metric", "segment_type", "segment"]
PHASE_COLUMNS = (
    *SERIES,
    "phase_start_on",
    "reason",
    "decided_by",
    "decided_at",
    "centre",
    "mean_moving_range",
    "baseline_points",
)
BY_PERSON, BY_RUN, BY_START = "person", "run of eight", "start"


def phases_to_record(weekly: pd.DataFrame, known: pd.DataFrame, decided_at: datetime) -> pd.DataFrame:
    """Phases that a run of eight begins, and limits that have all their points, where not recorded yet.

    Args:
        weekly: mart_attribution__coverage_weekly: SERIES, week_on, centre, mean_moving_range, baseline_points,
            are_limits_frozen, phase_on, phase_reason, run_length.
        known: PHASE_COLUMNS recorded so far.
        decided_at: Time of the decision, UTC.

    Returns:
        PHASE_COLUMNS, in order of series and week.
    """
    weekly = weekly.assign(
        week_on=pd.to_datetime(weekly["week_on"]).dt.date, phase_on=pd.to_datetime(weekly["phase_on"]).dt.date
    )
    rows = [*_runs(weekly, known), *_frozen(weekly, known)]
    table = pd.DataFrame(rows, columns=list(PHASE_COLUMNS))
    table["decided_at"] = pd.Series([decided_at] * len(table), dtype="datetime64[us]")
    return table.sort_values([*SERIES, "phase_start_on", "reason"], kind="stable", ignore_index=True)


def _starts(known: pd.DataFrame) -> set[tuple[str, ...]]:
    days = pd.to_datetime(known["phase_start_on"]).dt.date.astype(str)
    return set(zip(*(known[name].astype(str) for name in SERIES), days, strict=True))


def _runs(weekly: pd.DataFrame, known: pd.DataFrame) -> list[dict[str, object]]:
    """A run counts where the limits were made of enough points to be judged by; it begins at its first week."""
    begun = _starts(known)
    rows: list[dict[str, object]] = []
    points = weekly[weekly["run_length"].notna()].sort_values([*SERIES, "week_on"], kind="stable")
    for key, chart in points.groupby(SERIES, sort=True):
        length = chart["run_length"].to_numpy(dtype=np.int64)
        enough = chart["baseline_points"].to_numpy(dtype=np.int64) >= RUN_LENGTH
        for at in np.flatnonzero((length == RUN_LENGTH) & enough):
            first = at - RUN_LENGTH + 1
            week, phase = chart["week_on"].iloc[first], chart["phase_on"].iloc[at]
            if week <= phase or (*key, str(week)) in begun:
                continue
            side = "above" if chart["rate_or_count"].iloc[at] > chart["centre"].iloc[at] else "below"
            reason = f"{RUN_LENGTH} weeks in a row {side} the centre of {chart['centre'].iloc[at]:.4g}"
            rows.append({**dict(zip(SERIES, key, strict=True)), **_row(week, reason, BY_RUN)})
    return rows


def _frozen(weekly: pd.DataFrame, known: pd.DataFrame) -> list[dict[str, object]]:
    done = _starts(known[known["centre"].notna()])
    full = weekly[weekly["are_limits_frozen"].fillna(False).astype(bool) & weekly["centre"].notna()]
    rows: list[dict[str, object]] = []
    for _, phase in full.groupby([*SERIES, "phase_on"], sort=True):
        last = phase.sort_values("week_on").iloc[-1]
        series, start = tuple(str(last[name]) for name in SERIES), last["phase_on"]
        if (*series, str(start)) in done:
            continue
        by = _decided_by(known, series, start)
        rows.append(
            {
                **dict(zip(SERIES, series, strict=True)),
                **_row(start, str(last["phase_reason"]), by),
                "centre": float(last["centre"]),
                "mean_moving_range": float(last["mean_moving_range"]),
                "baseline_points": int(last["baseline_points"]),
            }
        )
    return rows


def _decided_by(known: pd.DataFrame, series: tuple[str, ...], start: date) -> str:
    days = pd.to_datetime(known["phase_start_on"]).dt.date
    fits = (days >= start) & ((pd.to_datetime(days) - pd.Timestamp(start)).dt.days < 7)
    for name, value in zip(SERIES, series, strict=True):
        fits &= known[name].isin([value, ANY])
    return str(known.loc[fits, "decided_by"].iloc[-1]) if fits.any() else BY_START


def _row(start: date, reason: str, by: str) -> dict[str, object]:
    return {"phase_start_on": start, "reason": reason, "decided_by": by}


def decision(
    metric: str, segment_type: str, segment: str, start_on: date, reason: str, decided_at: datetime
) -> pd.DataFrame:
    """One phase begun by a person.

    Raises:
        ValueError: no reason is given.
    """
    if not reason.strip():
        raise ValueError("a new phase needs a reason: what changed, in words")
    row = {
        **dict(zip(SERIES, (metric, segment_type, segment), strict=True)),
        **_row(start_on, reason.strip(), BY_PERSON),
        "decided_at": pd.Timestamp(decided_at),
    }
    return pd.DataFrame([row], columns=list(PHASE_COLUMNS))


def baselines_of_people(known: pd.DataFrame) -> pd.DataFrame:
    """Phases from which the daily detection starts a new baseline: a person's only.

    A run of eight may be the fault itself; a daily baseline made of it would call the fault normal and the repair an alarm.

    Returns:
        metric, segment (`browser=Safari`), phase_start_on.
    """
    own = known[(known["decided_by"] == BY_PERSON)].drop_duplicates([*SERIES, "phase_start_on"])
    labels = [
        ANY if kind == ANY and segment == ANY else segment_label(kind, segment)
        for kind, segment in zip(own["segment_type"], own["segment"], strict=True)
    ]
    return pd.DataFrame(
        {
            "metric": own["metric"].to_numpy(dtype=object),
            "segment": np.array(labels, dtype=object),
            "phase_start_on": pd.to_datetime(own["phase_start_on"]).to_numpy(),
        }
    )
