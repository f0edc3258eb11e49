"""`attribution drift`: the pipeline's own fault detection on any table of daily counts, no warehouse and no set-up.

    metric, segment, date, numerator, denominator  ──►  metric, segment, date, scheme, direction, z, first_bad_on, status, …

So that thresholds can be tried on history before anyone is woken by them.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from attribution_platform.credit_input import CreditInputError, Table, read_table
from attribution_platform.monitoring.detect import (
    ALARM,
    ALL,
    ANY,
    SIGNAL,
    DetectOptions,
    DuplicateDayError,
    detect,
    segment_label,
)

__all__ = ["DriftInputError", "DriftOptions", "DriftSummary", "drift_file"]

DATE_COLUMNS = ("first_bad_on", "recovered_on", "date")
SHOWN_ALARMS = 20
DECIMALS = 6


class DriftInputError(ValueError):
    """A file that cannot be judged; the message names file, line and column and what to do."""


@dataclass(frozen=True)
class DriftOptions:
    """Settings of the command.

    Attributes:
        detect: Thresholds, for all metrics and for single ones.
        phases: Optional CSV or Parquet of accepted baselines: metric, segment, phase_start_on (`*` for any).
    """

    detect: DetectOptions = field(default_factory=DetectOptions)
    phases: Path | None = None


@dataclass(frozen=True)
class DriftSummary:
    """What was found; prints as a few lines.

    Attributes:
        rows: Rows read.
        series: (metric, segment) pairs judged or not.
        statuses: Status to number of rows written.
        signals: The whole table that was written.
        out_path: Where.
    """

    rows: int
    series: int
    statuses: dict[str, int]
    signals: pd.DataFrame
    out_path: Path

    def __str__(self) -> str:
        parts = ", ".join(f"{count} {status}" for status, count in self.statuses.items())
        lines = [f"{self.rows:,} rows, {self.series:,} series: {parts}"]
        alarms = self.signals[self.signals["status"] == ALARM]
        for row in alarms.head(SHOWN_ALARMS).to_dict("records"):
            date, first_bad = (f"{pd.Timestamp(row[name]):%Y-%m-%d}" for name in ("date", "first_bad_on"))
            back = "" if pd.isna(row["recovered_on"]) else f", back on {pd.Timestamp(row['recovered_on']):%Y-%m-%d}"
            lines.append(
                f"  {row['metric']} · {row['segment']}: {row['direction']} on {date} ({row['scheme']}), first bad day "
                f"{first_bad}, {row['expected']:.4g} → {row['observed']:.4g}{back}"
            )
        if len(alarms) > SHOWN_ALARMS:
            lines.append(f"  and {len(alarms) - SHOWN_ALARMS} more alarms")
        lines.append(f"Written to {self.out_path}")
        return "\n".join(lines)


def drift_file(in_path: Path, out_path: Path, options: DriftOptions | None = None) -> DriftSummary:
    """Judge every series of a file and write the signals.

    Args:
        in_path: CSV or Parquet with metric, date, numerator and, where there are, segment and denominator (empty throughout a
            series: a plain count). `segment_type` beside `segment` is folded into it; `date_on` may stand for `date`.
        out_path: CSV, or Parquet by its ending; replaced whole or not at all.
        options: Thresholds and accepted baselines.

    Raises:
        DriftInputError: An input cannot be used. Nothing has been written.
    """
    options = options or DriftOptions()
    try:
        frame, table = _read(in_path)
        phases = None if options.phases is None else _read_phases(options.phases)
        try:
            signals = detect(frame, options.detect, phases)
        except DuplicateDayError as error:
            raise table.fail(error.row, "date", str(error)) from None
    except CreditInputError as error:
        raise DriftInputError(str(error)) from None
    _write(signals, out_path)
    pairs = signals[["metric", "segment"]].drop_duplicates()
    counted = signals["status"].value_counts()
    order = [ALARM, SIGNAL, *sorted(set(counted.index) - {ALARM, SIGNAL})]
    statuses = {status: int(counted[status]) for status in order if status in counted.index}
    return DriftSummary(len(frame), len(pairs), statuses or {ALARM: 0}, signals, out_path)


def _read(path: Path) -> tuple[pd.DataFrame, Table]:
    table = read_table(
        path,
        ["metric", "numerator"],
        {
            "date": ["date", "date_on"],
            "segment": ["segment"],
            "segment_type": ["segment_type"],
            "denominator": ["denominator"],
        },
    )
    if not table.has("date"):
        raise CreditInputError(f"{path.name}: missing column date")
    if not len(table):
        raise CreditInputError(f"{path.name}: has no rows")
    denominator = np.full(len(table), np.nan)
    if table.has("denominator"):
        given = table.numbers("denominator", minimum=0)
        denominator = np.where(_is_empty(table, "denominator"), np.nan, given)
    metric_codes, metrics = table.text("metric")
    frame = pd.DataFrame(
        {
            "metric": pd.Categorical.from_codes(metric_codes, categories=pd.Index(metrics, dtype=object)),
            "segment": _segments(table),
            "date": (table.times("date") // 86_400_000_000).astype("datetime64[D]").astype("datetime64[s]"),
            "numerator": table.numbers("numerator", minimum=0, required=True),
            "denominator": denominator,
        }
    )
    return frame, table


def _is_empty(table: Table, column: str) -> np.ndarray:
    text = pc.utf8_trim_whitespace(pc.fill_null(table.data[column].cast(pa.string()), ""))
    return np.asarray(pc.equal(text, "").to_numpy())


def _segments(table: Table, missing: str = ALL) -> pd.Categorical:
    """The segment of every row; with a type beside it as `type=segment`, and `all` where there is none."""
    if not table.has("segment"):
        return pd.Categorical.from_codes(
            np.zeros(len(table), dtype=np.int64), categories=pd.Index([missing], dtype=object)
        )
    codes, names = table.text("segment", required=False)
    labels = [name or missing for name in names]
    if table.has("segment_type"):
        kinds, kind_names = table.text("segment_type", required=False)
        pairs, codes = np.unique(kinds * len(names) + codes, return_inverse=True)
        labels = [segment_label(kind_names[pair // len(names)], labels[pair % len(names)]) for pair in pairs]
    distinct = sorted(set(labels))
    place = np.array([distinct.index(label) for label in labels], dtype=np.int64)
    return pd.Categorical.from_codes(place[codes], categories=pd.Index(distinct, dtype=object))


def _read_phases(path: Path) -> pd.DataFrame:
    table = read_table(path, ["metric", "phase_start_on"], {"segment": ["segment"], "segment_type": ["segment_type"]})
    codes, metrics = table.text("metric")
    return pd.DataFrame(
        {
            "metric": np.array(metrics, dtype=object)[codes],
            "segment": np.asarray(_segments(table, missing=ANY), dtype=object),
            "phase_start_on": table.times("phase_start_on").astype("datetime64[us]"),
        }
    )


def _write(signals: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            pq.write_table(_arrow(signals, DATE_COLUMNS), beside)
        else:
            # -0.0 and 0.0 would be two texts for one number.
            rounded = signals.assign(
                **{
                    name: signals[name].round(DECIMALS) + 0.0
                    for name in signals.columns
                    if signals[name].dtype == np.float64
                }
            )
            rounded.to_csv(beside, index=False, date_format="%Y-%m-%d", lineterminator="\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _arrow(signals: pd.DataFrame, dates: Sequence[str]) -> pa.Table:
    table = pa.Table.from_pandas(signals, preserve_index=False)
    fields = [pa.field(field.name, pa.date32() if field.name in dates else field.type) for field in table.schema]
    fields = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in fields]
    return table.cast(pa.schema(fields))
