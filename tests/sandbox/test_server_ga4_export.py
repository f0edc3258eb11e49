"""GA4 export files: three forms of the same events, and days that change until they settle."""

import json
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dlt_pipelines.sandbox.vendors import ga4_export
from dlt_pipelines.sandbox.vendors.ga4_export import write_export

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "vendor_samples" / "ga4" / "wire"


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _parameters(row):
    return {item["key"]: item["value"] for item in row["event_params"]}


def test_one_file_a_day_in_the_property_time_zone_the_last_one_intraday(tiny_world, tmp_path):
    paths = write_export(tiny_world, tmp_path)
    assert [path.name for path in paths] == [
        "events_20260701.json",
        "events_20260702.json",
        "events_20260703.json",
        "events_intraday_20260704.json",
    ]
    assert sum(len(_lines(path)) for path in paths) == 7


def test_extract_leaves_nulls_out_and_console_writes_them(tiny_world, tmp_path):
    lean = _lines(write_export(tiny_world, tmp_path / "a", "extract")[0])
    full = _lines(write_export(tiny_world, tmp_path / "b", "console")[0])
    assert "null" not in json.dumps(lean)
    assert "user_id" not in lean[0]
    assert full[0]["user_id"] is None
    assert full[0]["app_info"] is None
    assert set(full[0]) == {field.name for field in ga4_export.SCHEMA}
    assert _parameters(full[0])["ga_session_id"] == {
        "string_value": None,
        "int_value": "100",
        "float_value": None,
        "double_value": None,
    }
    assert lean[0]["event_timestamp"] == "1782900000000000"
    assert lean[0]["collected_traffic_source"] == {"gclid": "g1"}
    assert lean[0]["session_traffic_source_last_click"]["google_ads_campaign"]["campaign_id"] == "70"
    assert lean[2]["user_id"] == "u1"
    assert _parameters(lean[2])["value"] == {"double_value": 49.5}


def test_the_console_form_has_the_members_of_a_real_row(tiny_world, tmp_path):
    sample = SAMPLES / "bq_row_console_json_style.json"
    if not sample.exists():
        pytest.skip("the vendors' sample rows are not on this machine (../shared/data/vendor_samples)")
    real = json.loads(sample.read_text())
    ours = _lines(write_export(tiny_world, tmp_path, "console")[0])[0]
    assert set(real) <= set(ours)
    for name in ("device", "geo", "privacy_info", "traffic_source", "user_ltv"):
        assert set(ours[name]) <= set(real[name])
    assert [type(ours[name]) for name in ("event_timestamp", "event_bundle_sequence_id")] == [str, str]


def test_session_engaged_is_text_in_one_row_and_a_number_in_another(tiny_world, tmp_path):
    rows = [row for path in write_export(tiny_world, tmp_path) for row in _lines(path)]
    seen = {next(iter(p["session_engaged"])) for p in map(_parameters, rows) if "session_engaged" in p}
    assert seen == {"string_value", "int_value"}


def test_parquet_keeps_structs_and_integers(tiny_world, tmp_path):
    path = write_export(tiny_world, tmp_path, "parquet")[0]
    row = pq.read_table(path).to_pylist()[0]
    assert row["event_timestamp"] == 1782900000000000
    assert _parameters(row)["ga_session_id"]["int_value"] == 100
    assert row["device"]["web_info"]["browser"] == "Firefox"


def test_days_settle_as_the_export_moves_on(tiny_world, tmp_path, monkeypatch):
    # The event of the first day comes two days late, everything else on time.
    monkeypatch.setattr(ga4_export, "share_of", lambda text, modulus: 0 if text == "late e1" else 1)
    first = write_export(tiny_world, tmp_path, through=date(2026, 7, 2))
    assert [path.name for path in first] == ["events_20260701.json", "events_intraday_20260702.json"]
    assert len(_lines(first[0])) == 2
    later = write_export(tiny_world, tmp_path, through=date(2026, 7, 3))
    assert len(_lines(later[0])) == 3
    assert not (tmp_path / "events_intraday_20260702.json").exists()


def test_an_unchanged_file_is_not_written_again(tiny_world, tmp_path):
    paths = write_export(tiny_world, tmp_path)
    before = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in write_export(tiny_world, tmp_path)] == before
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_an_unknown_form_is_refused(tiny_world, tmp_path):
    with pytest.raises(ValueError, match="known: extract, console, parquet"):
        write_export(tiny_world, tmp_path, "csv")  # type: ignore[arg-type]
