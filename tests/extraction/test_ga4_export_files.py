"""GA4's export files: three dialects of one day, late rewrites, intraday, and what a privacy officer would ask."""

import gzip
import json
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dlt_pipelines.config import Ga4Config
from dlt_pipelines.ga4_export import export_days
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.sources.ga4 import SPEC
from tests.extraction.harness import make_window


def param(key, **value):
    return {"key": key, "value": value}


def event(number, day="20260901", **more):
    record = {
        "event_date": day,
        "event_timestamp": str(1788220800000000 + number),
        "event_name": "page_view",
        "event_params": [
            param("ga_session_id", int_value=str(1788220790)),
            param("session_engaged", string_value="1"),
            param("page_location", string_value=f"https://shop.example/?gclid=Cj{number}&email=ada@example.com"),
            param("value", double_value=12.5),
            param("note", string_value="from ada@example.com"),
        ],
        "user_pseudo_id": f"11.{number}",
        "collected_traffic_source": {"gclid": f"Cj{number}", "manual_source": "google", "manual_medium": "cpc"},
        "device": {"category": "mobile", "operating_system": "iOS", "web_info": {"browser": "Safari"}},
        "geo": {"country": "Germany"},
        "stream_id": "1",
        "platform": "WEB",
    }
    return record | more


def with_nulls(record):
    """The console's dialect: every null written."""
    spelled = [
        {
            "key": item["key"],
            "value": {
                kind: item["value"].get(kind) for kind in ("string_value", "int_value", "float_value", "double_value")
            },
        }
        for item in record["event_params"]
    ]
    return {"user_id": None, "user_ltv": None, **record, "event_params": spelled}


def flipped(record):
    """The same event as another export writes it: numbers for texts."""
    params = [item for item in record["event_params"] if item["key"] != "session_engaged"]
    return record | {
        "event_params": [*params, param("session_engaged", int_value=1)],
        "event_timestamp": int(record["event_timestamp"]),
    }


def write_json(folder, name, *records):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))


def config(folder):
    return Ga4Config(enabled=True, export_path=folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "export"


def test_three_dialects_of_one_day_are_the_same_rows(loader, folder, tmp_path):
    records = [event(number) for number in range(3)]
    write_json(folder, "events_20260901.json", *records)
    loader.load(SPEC, config(folder))
    before = loader.stored("ga4")
    assert len(before["events"]) == 3

    write_json(folder, "events_20260901.json", *map(with_nulls, records))
    assert loader.load(SPEC, config(folder)).rows["events"] == 3
    assert loader.stored("ga4") == before, "another dialect of the same events changes no row"

    write_json(folder, "events_20260901.json", *map(flipped, records))
    loader.load(SPEC, config(folder))
    assert loader.stored("ga4") == before, "a parameter that flips its type is the same event"

    (folder / "events_20260901.json").unlink()
    numbers = [
        record
        | {
            "event_timestamp": int(record["event_timestamp"]),
            "event_params": [
                {
                    "key": item["key"],
                    "value": {
                        "string_value": item["value"].get("string_value"),
                        "int_value": int(item["value"]["int_value"]) if "int_value" in item["value"] else None,
                        "double_value": item["value"].get("double_value"),
                    },
                }
                for item in record["event_params"]
            ],
        }
        for record in records
    ]
    pq.write_table(pa.Table.from_pylist(numbers), folder / "events_20260901.parquet")
    assert loader.load(SPEC, config(folder)).rows["events"] == 3
    assert loader.stored("ga4") == before, "Parquet gives the same rows"


def test_the_columns_of_an_event(loader, folder):
    write_json(folder, "events_20260901.json", event(1))
    loader.load(SPEC, config(folder))
    columns = "event_date, event_timestamp, ga_session_id, gclid, manual_source, browser, country, event_value"
    assert loader.query("ga4", f"select {columns} from raw_ga4.events") == [
        (date(2026, 9, 1), 1788220800000001, 1788220790, "Cj1", "google", "Safari", "Germany", 12.5)
    ]
    ((location, params),) = loader.query("ga4", "select page_location, event_params from raw_ga4.events")
    assert location == "https://shop.example/?gclid=Cj1&email=redacted"
    assert json.loads(params)["note"] == "from redacted"
    assert not [path for path, content in loader.left_behind() if b"ada@example.com" in content]


def test_a_rewritten_day_is_replaced_and_other_days_stay(loader, folder):
    write_json(folder, "events_20260901.json", event(1), event(2), event(2))
    write_json(folder, "events_20260902.json", event(3, "20260902"))
    loader.load(SPEC, config(folder))
    write_json(folder, "events_20260901.json", event(2), event(9))
    assert loader.load(SPEC, config(folder)).rows["events"] == 2
    assert loader.query("ga4", "select user_pseudo_id from raw_ga4.events order by 1") == [
        ("11.2",),
        ("11.3",),
        ("11.9",),
    ]


def test_the_finished_day_supersedes_the_intraday_one(loader, folder):
    write_json(folder, "events_intraday_20260901.json", event(1), event(2))
    loader.load(SPEC, config(folder))
    kept = loader.query("ga4", "select _dlt_load_id from raw_ga4.events where user_pseudo_id = '11.2'")
    with gzip.open(folder / "events_20260901000000000000.json.gz", "wt") as file:
        file.write(json.dumps(event(2)) + "\n" + json.dumps(event(3)) + "\n")
    loader.load(SPEC, config(folder))
    assert loader.query("ga4", "select user_pseudo_id from raw_ga4.events order by 1") == [("11.2",), ("11.3",)]
    assert loader.query("ga4", "select _dlt_load_id from raw_ga4.events where user_pseudo_id = '11.2'") == kept
    assert [export.intraday for export in export_days(folder)] == [False]


def test_only_days_of_the_window_are_read(loader, folder):
    write_json(folder, "events_20260630.json", event(1, "20260630"))
    write_json(folder, "events_20260901.json", event(2))
    write_json(folder, "users_20260901.json", event(3))
    assert loader.load(SPEC, config(folder), make_window()).rows["events"] == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"event_name": "x"', "not whole lines of JSON"),
        ('{"event_name": "x"}', "row 1: not an event"),
        (json.dumps(event(1) | {"event_timestamp": "soon"}), "row 1: not an event"),
        (json.dumps(event(1) | {"country": 1, "stream_id": {"a": 1}}), "ga4.events.stream_id is text"),
    ],
)
def test_a_broken_export_names_the_file_and_writes_nothing(loader, folder, content, message):
    write_json(folder, "events_20260901.json", event(1))
    loader.load(SPEC, config(folder))
    before = loader.stored("ga4")
    (folder / "events_20260902.json").write_text(content)
    with pytest.raises(ExtractionFailed, match=message):
        loader.load(SPEC, config(folder))
    assert loader.stored("ga4") == before
