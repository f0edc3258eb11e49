"""`attribution drift`: file in, file out, and errors a user can act on."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attribution_platform.drift import DriftInputError, DriftOptions, drift_file

HEADER = "metric,segment,date,numerator,denominator\n"
FIRST_COLUMNS = ["metric", "segment", "date", "scheme", "direction", "z", "first_bad_on", "status"]


def history(days: int = 150, begin: int = 120, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for segment, p in (
        ("chrome", np.full(days, 0.8)),
        ("safari", np.where(np.arange(days) < begin, 0.8, 0.5)),
    ):
        units = rng.poisson(100, days)
        parts.append(
            pd.DataFrame(
                {
                    "metric": "capture",
                    "segment": segment,
                    "date": pd.date_range("2026-01-05", periods=days).strftime("%Y-%m-%d"),
                    "numerator": rng.binomial(units, p),
                    "denominator": units,
                }
            )
        )
    return pd.concat(parts)


def run(folder: Path, table: pd.DataFrame, out: str = "signals.csv", **options) -> pd.DataFrame:
    source = folder / "in.csv"
    table.to_csv(source, index=False)
    drift_file(source, folder / out, DriftOptions(**options))
    return pd.read_csv(folder / out) if out.endswith("csv") else pq.read_table(folder / out).to_pandas()


def test_signals_of_a_csv(tmp_path):
    table = run(tmp_path, history())
    assert list(table.columns[:8]) == FIRST_COLUMNS
    assert table["status"].tolist() == ["ok", "alarm"]
    row = table.iloc[1]
    assert (row["segment"], row["direction"], row["first_bad_on"]) == ("safari", "down", "2026-05-05")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["in.csv", "signals.csv"]


def test_twice_the_same_bytes_and_any_order(tmp_path):
    run(tmp_path, history(), "a.csv")
    run(tmp_path, history().sample(frac=1, random_state=3).assign(note="x"), "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_parquet_in_and_out_with_typed_dates(tmp_path):
    table = history().assign(date=lambda t: pd.to_datetime(t["date"]).dt.date)
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "in.parquet")
    summary = drift_file(tmp_path / "in.parquet", tmp_path / "new" / "out.parquet")
    schema = pq.read_schema(tmp_path / "new" / "out.parquet")
    assert schema.field("date").type == schema.field("first_bad_on").type == pa.date32()
    assert summary.statuses == {"alarm": 1, "ok": 1}
    assert "capture · safari: down" in str(summary)


def test_no_segment_and_no_denominator(tmp_path):
    table = history(begin=999).query("segment == 'chrome'")[["metric", "date", "numerator"]]
    assert run(tmp_path, table)[["segment", "status"]].values.tolist() == [["all", "ok"]]


def test_an_empty_denominator_throughout_is_a_count(tmp_path):
    table = history(begin=999, seed=5).assign(denominator=None)
    assert run(tmp_path, table)["status"].tolist() == ["ok", "ok"]


def test_the_coverage_mart_as_it_is(tmp_path):
    table = history().rename(columns={"date": "date_on"}).assign(segment_type="browser")
    assert run(tmp_path, table)["segment"].tolist() == ["browser=chrome", "browser=safari"]


def test_accepted_baselines(tmp_path):
    phases = tmp_path / "phases.csv"
    phases.write_text("metric,segment_type,segment,phase_start_on,reason\ncapture,*,*,2026-05-20,relaunch\n")
    table = run(tmp_path, history(days=220), phases=phases)
    assert table["status"].tolist() == ["ok", "alarm", "ok"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metric,date\na,2026-01-01\n", "in.csv: missing column numerator; the file has metric, date"),
        ("metric,numerator\na,1\n", "in.csv: missing column date"),
        (HEADER, "in.csv: has no rows"),
        ("", "in.csv, line 1: the file is empty"),
        (HEADER + "m,s,2026-01-01,1,2\nm,s,2026-13-01,1,2\n", "in.csv, line 3, column date: '2026-13-01'"),
        (HEADER + "m,s,2026-01-01,x,2\n", "in.csv, line 2, column numerator: 'x' is not a number"),
        (HEADER + "m,s,2026-01-01,,2\n", "in.csv, line 2, column numerator: is empty"),
        (HEADER + "m,s,2026-01-01,1,-2\n", "in.csv, line 2, column denominator: '-2' is below 0"),
        (HEADER + ",s,2026-01-01,1,2\n", "in.csv, line 2, column metric: is empty"),
        (HEADER + "m,s,2026-01-01,1\n", "in.csv, line 2, column denominator: missing"),
        (HEADER + "m,s,2026-01-01,1,2,3\n", "in.csv, line 2, column 6"),
        (
            HEADER + "m,s,2026-01-01,1,2\nm,s,2026-01-01,1,2\n",
            "in.csv, line 3, column date: metric m, segment s: this day appears twice",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_column(tmp_path, text, message):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    out.write_text("before")
    with pytest.raises(DriftInputError) as error:
        drift_file(source, out)
    assert message in str(error.value)
    assert out.read_text() == "before"


def test_no_such_file(tmp_path):
    with pytest.raises(DriftInputError, match="no such file"):
        drift_file(tmp_path / "none.csv", tmp_path / "out.csv")
