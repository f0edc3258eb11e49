"""The user's own files: what is read, what is refused and how it is named, and that the table says what the folder says."""

import os
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlt_pipelines.config import FilesConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.privacy import Hasher, HashKeyError
from dlt_pipelines.sources import files
from dlt_pipelines.sources.files import EVENTS, SPEC, files_to_read, read_table
from dlt_pipelines.tabular import MalformedFile
from tests.extraction.harness import KEY

HASHER = Hasher(KEY)


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def write(path, *lines):
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read(table, *paths):
    tables = list(read_table(table, {path.name: path for path in paths}, HASHER))
    return pa.concat_tables(tables).to_pylist() if tables else []


def config(inbox):
    return FilesConfig(enabled=True, path=inbox)


def test_every_time_format_and_only_ids_and_times(inbox):
    path = write(
        inbox / "events.csv",
        "event_id,occurred_at",
        "1,2026-09-01T10:00:00Z",
        "2,2026-09-01T10:00:00.123456789+02:00",
        "3,2026-09-01 10:00:00",
        "4,2026-09-01",
        "5, 2026-09-01T10:00 ",
        "6,2026-09-01 10:00:00 UTC".replace(" UTC", "+0530"),
        "7,2026-09-01t10:00:00z",
    )
    assert [row["occurred_at"] for row in read(EVENTS, path)] == [
        datetime(2026, 9, 1, 10),
        datetime(2026, 9, 1, 8, 0, 0, 123456),
        datetime(2026, 9, 1, 10),
        datetime(2026, 9, 1),
        datetime(2026, 9, 1, 10),
        datetime(2026, 9, 1, 4, 30),
        datetime(2026, 9, 1, 10),
    ]
    assert set(read(EVENTS, path)[0]) == set(EVENTS.resource.column_names)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=20), st.booleans())
def test_times_read_back_exactly(tmp_path_factory, times, zoned):
    path = tmp_path_factory.mktemp("times") / "events.csv"
    suffix = "+00:00" if zoned else ""
    write(path, "event_id,occurred_at", *(f"{number},{time.isoformat()}{suffix}" for number, time in enumerate(times)))
    assert [row["occurred_at"] for row in read(EVENTS, path)] == times


BAD = [
    ("events.csv", ["event_id,occurred_at", "1,2026-09-01", "2,01.09.2026"], "line 3, column occurred_at: not a time"),
    ("events.csv", ["event_id,occurred_at", '"a\nb",2026-09-01', "2,soon"], "line 4, column occurred_at"),
    ("events.csv", ["event_id,occurred_at", "", "1,2026-09-01", "2,2026-02-30"], "line 4, column occurred_at"),
    ("events.csv", ["event_id,occurred_at", "1,2026-09-01", ",2026-09-01"], "line 3, column event_id: no value"),
    ("events.csv", ["occurred_at", "2026-09-01"], "required column event_id is missing"),
    ("events.csv", ["event_id,occurred_at,event_id", "1,2026-09-01,1"], "names event_id more than once"),
    ("events.csv", ["event_id,occurred_at", "1,2026-09-01", "2,2026-09-01,x"], "line 3: 3 values where"),
    ("events.csv", ["event_id;occurred_at", "1;2026-09-01"], "separated by commas"),
    ("spend.csv", ["date,platform,cost", "2026-09-01,g,1", "2026-09-01,g,1,000"], "line 3: 4 values where"),
    ("spend.csv", ["date,platform,cost", "2026-09-01,g,€5"], "line 2, column cost: not an amount"),
    ("spend.csv", ["date,platform,cost", "2026-09-01,g,NaN"], "line 2, column cost: not an amount"),
    ("spend.csv", ["date,platform,cost", "2026-09-01,g,"], "line 2, column cost: no value"),
    ("spend.csv", ["date,platform,cost,clicks", "2026-09-01,g,1,2.5"], "line 2, column clicks: not a whole number"),
    ("spend.csv", ["date,platform,cost", "2026-9-1,g,1"], "line 2, column date: not a date"),
    (
        "spend.csv",
        ["date,platform,cost,currency", "2026-09-01,g,1,EUR", "2026-09-01,g,1,USD"],
        "line 3, column currency: another currency",
    ),
]


@pytest.mark.parametrize(("name", "lines", "message"), BAD)
def test_a_malformed_row_is_named_by_file_line_and_column(inbox, name, lines, message):
    path = write(inbox / name, *lines)
    table = next(table for table in files.TABLES if table.name == path.stem)
    with pytest.raises(MalformedFile, match=message) as caught:
        read(table, path)
    assert str(caught.value).startswith(name)


def test_a_message_never_shows_the_value(inbox):
    path = write(inbox / "events.csv", "event_id,occurred_at", "1,ada@example.com")
    with pytest.raises(MalformedFile) as caught:
        read(EVENTS, path)
    assert "ada" not in str(caught.value)
    path.write_bytes(b"event_id,occurred_at,email\n1,2026-09-01,ada\xff@example.com\n")
    with pytest.raises(MalformedFile, match="line 2: not UTF-8") as caught:
        read(EVENTS, path)
    assert "ada" not in str(caught.value)
    path.write_bytes(b"")
    with pytest.raises(MalformedFile, match="empty"):
        read(EVENTS, path)


def test_personal_columns_are_hashed_and_urls_scrubbed(inbox):
    path = write(
        inbox / "events.csv",
        "event_id,occurred_at,user_id,email,ip,page_url",
        "1,2026-09-01,ada@example.com, Ada@Example.com ,203.0.113.7,https://s.example/?email=x&gclid=1",
        "2,2026-09-01,u1,not an address,somewhere,",
    )
    first, second = read(EVENTS, path)
    assert first["email_hash"] == first["user_id"] == HASHER.email("ada@example.com")
    assert first["ip_hash"] == HASHER.ip("203.0.113.7")
    assert first["page_url"] == "https://s.example/?email=redacted&gclid=1"
    assert (second["user_id"], second["email_hash"], second["ip_hash"], second["page_url"]) == ("u1", None, None, None)


def test_parquet_keeps_its_types_and_csv_reads_the_same(inbox):
    sql = """
        select i::varchar as event_id, timestamp '2026-09-01 10:00:00' + interval (i) hour as occurred_at,
            case when i % 2 = 0 then i::double end as user_id, i as device_id, 'x' as unknown
        from range(5) t(i)
    """
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"copy ({sql}) to '{inbox}/events.parquet'")
        connection.execute(f"copy ({sql}) to '{inbox}/events.csv'")
    from_parquet, from_csv = read(EVENTS, inbox / "events.parquet"), read(EVENTS, inbox / "events.csv")
    assert [row["user_id"] for row in from_parquet] == ["0", None, "2", None, "4"]
    for row in from_parquet + from_csv:
        row.pop("source_file")
        row.pop("user_id")  # a float in CSV is just text: 0.0
    assert from_parquet == from_csv
    bad = inbox / "conversions.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"copy (select 'c' as conversion_id, 7 as converted_at) to '{bad}'")
    with pytest.raises(MalformedFile, match=r"conversions.parquet, row 1, column converted_at"):
        read(files.CONVERSIONS, bad)


def test_the_last_of_a_repeated_key_wins_across_blocks_and_files(inbox, monkeypatch):
    monkeypatch.setattr("dlt_pipelines.tabular.BLOCK_BYTES", 4096)
    rows = [f"{number % 700},2026-09-01,first-{number}" for number in range(1000)]
    one = write(inbox / "events.csv", "event_id,occurred_at,event_name", *rows)
    two = write(inbox / "events-2.csv", "event_id,occurred_at,event_name", "5,2026-09-02,last")
    stored = {row["event_id"]: row["event_name"] for row in read(EVENTS, one, two)}
    assert len(read(EVENTS, one, two)) == len(stored) == 700
    assert stored["5"] == "last"
    assert stored["6"] == "first-706"
    assert stored["650"] == "first-650"


def test_spend_of_one_key_adds_up_inside_a_file_and_is_replaced_by_a_later_one(inbox):
    one = write(
        inbox / "spend.csv",
        "date,platform,cost,clicks",
        "2026-09-01,g,0.1,1",
        "2026-09-01,g,0.2,",
        "2026-09-02,g,1e-3,",
    )
    two = write(inbox / "spend-2.csv", "date,platform,cost,campaign", "2026-09-02 00:00:00,g,7,")
    rows = {(row["date"], row["campaign"]): (row["cost"], row["clicks"]) for row in read(files.SPEND, one, two)}
    assert rows == {
        (date(2026, 9, 1), ""): (Decimal("0.300000"), 1),
        (date(2026, 9, 2), ""): (Decimal("7.000000"), None),
    }


def test_which_files_are_read_again():
    assert files_to_read({}, {"events": [1]}) == ["events"]
    assert files_to_read({"events-1.csv": [1]}, {"events-1.csv": [1]}) == []
    assert files_to_read({"events-9.csv": [1]}, {"events-9.csv": [1], "events-10.csv": [1]}) == ["events-10.csv"]
    assert files_to_read({"events-9.csv": [1]}, {"events-9.csv": [1], "events-8.csv": [1]}) == [
        "events-8.csv",
        "events-9.csv",
    ]
    assert files_to_read({"a.csv": [1], "b.csv": [1]}, {"a.csv": [2], "b.csv": [1]}) == ["a.csv", "b.csv"]
    assert files_to_read({"a.csv": [1], "b.csv": [1]}, {"b.csv": [1]}) == []


def ids(loader, table="events", key="event_id"):
    return sorted(value for (value,) in loader.query("files", f"select {key} from raw_files.{table}"))


def test_the_folder_over_time(loader, inbox):
    write(inbox / "events-2026-09-01.csv", "event_id,occurred_at,event_name", "1,2026-09-01,a", "2,2026-09-01,a")
    write(inbox / "events" / "2026-09-02.csv", "event_id,occurred_at", "3,2026-09-02")
    write(inbox / "contacts.csv", "contact_id,created_at,nickname", "c1,2026-09-01,ada")
    first = loader.load(SPEC, config(inbox))
    assert first.rows == {"events": 3, "contacts": 1, "conversions": 0, "email_events": 0, "spend": 0}
    before = loader.stored("files")

    assert loader.load(SPEC, config(inbox)).rows["events"] == 0
    assert loader.stored("files") == before, "a second run changes no row, load ids included"

    os.utime(inbox / "contacts.csv", (1, 1))
    assert loader.load(SPEC, config(inbox)).rows["contacts"] == 1
    assert loader.stored("files") == before, "a file touched but equal changes no row"

    write(inbox / "events-2026-09-01.csv", "event_id,occurred_at,event_name", "1,2026-09-01,b", "4,2026-09-01,a")
    loader.load(SPEC, config(inbox))
    assert ids(loader) == ["1", "3", "4"], "a changed file's rows are replaced"
    assert loader.query("files", "select event_name from raw_files.events where event_id = '1'") == [("b",)]

    (inbox / "events" / "2026-09-02.csv").unlink()
    write(inbox / "events" / "2026-09-03.csv", "event_id,occurred_at", "5,2026-09-03")
    loader.load(SPEC, config(inbox))
    assert ids(loader) == ["1", "3", "4", "5"], "rows of a file moved away stay"


def test_a_bad_file_changes_nothing_at_all(loader, inbox):
    write(inbox / "events.csv", "event_id,occurred_at", "1,2026-09-01")
    write(inbox / "spend.csv", "date,platform,cost", "2026-09-01,g,1")
    loader.load(SPEC, config(inbox))
    before = loader.stored("files")
    write(inbox / "events.csv", "event_id,occurred_at", "1,2026-09-01", "2,2026-09-01")
    write(inbox / "spend.csv", "date,platform,cost", "2026-09-01,g,2", "2026-09-01,g,free")
    with pytest.raises(ExtractionFailed, match=r"files: spend.csv, line 3, column cost"):
        loader.load(SPEC, config(inbox))
    assert loader.stored("files") == before
    write(inbox / "spend.csv", "date,platform,cost", "2026-09-01,g,2")
    loader.load(SPEC, config(inbox))
    assert ids(loader) == ["1", "2"]
    assert ids(loader, "spend", "cost") == [Decimal("2.000000")]


def test_another_hash_key_is_refused(loader, inbox):
    write(inbox / "contacts.csv", "contact_id,created_at,email", "c1,2026-09-01,a@b.de")
    loader.load(SPEC, config(inbox))
    before = loader.stored("files")
    loader.hasher = Hasher(b"another key, just as long")
    write(inbox / "contacts.csv", "contact_id,created_at,email", "c2,2026-09-01,a@b.de")
    with pytest.raises(ExtractionFailed, match="is not the key"):
        loader.load(SPEC, config(inbox))
    assert loader.stored("files") == before
    with pytest.raises(HashKeyError):
        Hasher(b"short")


def test_the_doctor_reads_the_folder(inbox):
    (finding,) = SPEC.check(config(inbox))
    assert (finding.level, "holds no file" in finding.message) == ("warning", True)
    write(inbox / "spend.csv", "date,platform,cost", "2026-09-01,g,1")
    write(inbox / "events.csv", "event_id,occurred_at", "1,never")
    assert {finding.subject: finding.level for finding in SPEC.check(config(inbox))} == {
        "files: events.csv": "error",
        "files: spend.csv": "ok",
    }
    (finding,) = SPEC.check(FilesConfig(enabled=True, path=inbox / "nowhere"))
    assert finding.level == "error"
