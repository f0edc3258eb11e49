"""PostHog's batch exports as files: a file of events a day of arrival, and of the persons that changed on it.

In Parquet properties are JSON as text, in JSON lines they are objects and times ISO texts, as PostHog documents both.
An event's person is the one it was counted for when it came in: merges change no file that is written.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dlt_pipelines.sandbox.vendors.common import World, share_of
from dlt_pipelines.sandbox.vendors.posthog import PROJECT, Project

ExportForm = Literal["parquet", "jsonl"]
LATE_BY = pd.Timedelta(days=2)
_TIME, _TEXT = pa.timestamp("us", "UTC"), pa.string()
EVENTS = pa.schema(
    [
        *((name, _TEXT) for name in ("uuid", "event", "distinct_id", "person_id", "properties", "person_properties")),
        ("elements_chain", _TEXT),
        *((name, _TIME) for name in ("timestamp", "created_at", "_inserted_at")),
    ]
)
PERSONS = pa.schema(
    [
        ("team_id", pa.int64()),
        *((name, _TEXT) for name in ("distinct_id", "person_id", "properties")),
        *((name, pa.int64()) for name in ("person_distinct_id_version", "person_version")),
        *((name, _TIME) for name in ("created_at", "_inserted_at")),
        ("is_deleted", pa.bool_()),
    ]
)
Row = dict[str, Any]


def write_batch_export(
    world: World, folder: Path | str, form: ExportForm = "parquet", through: pd.Timestamp | None = None
) -> list[Path]:
    """Writes the exports ``events`` and ``persons`` under a folder; one event in forty arrives two days late.

    Args:
        through: only what had arrived by then; the whole world when left out.

    Returns:
        The files, those of earlier calls with the same content untouched.
    """
    project = Project(world)
    written = []
    for model, schema, rows in (
        ("events", EVENTS, _event_rows(project)),
        ("persons", PERSONS, _person_rows(project)),
    ):
        target = Path(folder) / model
        target.mkdir(parents=True, exist_ok=True)
        by_day: dict[pd.Timestamp, list[Row]] = {}
        for row in rows:
            if through is None or row["_inserted_at"] < through:
                by_day.setdefault(row["_inserted_at"].floor("D"), []).append(row)
        for day, found in sorted(by_day.items()):
            suffix = "parquet.zst" if form == "parquet" else "jsonl.gz"
            name = f"{day:%Y-%m-%dT%H:%M:%S}+00:00-{day + timedelta(days=1):%Y-%m-%dT%H:%M:%S}+00:00.{suffix}"
            content = _parquet(found, schema) if form == "parquet" else _lines(found)
            path = target / name
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)
            written.append(path)
    return written


def _event_rows(project: Project) -> Iterator[Row]:
    for row in project.events():
        late = share_of(row["event_id"], 40) == 0
        yield {
            "uuid": row["uuid"],
            "event": row["event"],
            "distinct_id": row["distinct_id"],
            "person_id": row["first_person_id"],
            "properties": row["properties"],
            "person_properties": {},
            "elements_chain": "",
            "timestamp": row["timestamp"],
            "created_at": row["created_at"] + (LATE_BY if late else pd.Timedelta(0)),
            "_inserted_at": row["created_at"] + (LATE_BY if late else pd.Timedelta(0)),
        }


def _person_rows(project: Project) -> Iterator[Row]:
    people, accounts = project.people, project.accounts
    first = project.facts.groupby("device_id")["occurred_at"].min()
    for device, person in people.first_person.items():
        yield _person(device, person, {}, 0, first[device])
    users: set[str] = set()
    for merge in people.merges:
        account = accounts.get(merge.user_id, {})
        person = people.person_of[merge.user_id]
        yield _person(merge.device_id, person, account, 1, merge.at)
        if merge.user_id not in users:
            users.add(merge.user_id)
            yield _person(merge.user_id, person, account, 1, merge.at)
    rest = sorted(set(people.person_of) - users - set(people.first_person))
    for user in rest:
        yield _person(user, people.person_of[user], accounts.get(user, {}), 1, project.facts["occurred_at"].max())


def _person(distinct_id: str, person_id: str, properties: Row, version: int, at: pd.Timestamp) -> Row:
    return {
        "team_id": int(PROJECT),
        "distinct_id": distinct_id,
        "person_id": person_id,
        "properties": properties,
        "person_distinct_id_version": version,
        "person_version": version,
        "created_at": at,
        "_inserted_at": at,
        "is_deleted": False,
    }


def _parquet(rows: list[Row], schema: pa.Schema) -> bytes:
    flat = [
        {key: json.dumps(value) if isinstance(value, dict) else value for key, value in row.items()} for row in rows
    ]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(flat, schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue())


def _lines(rows: list[Row]) -> bytes:
    plain = [{key: _plain(value) for key, value in row.items()} for row in rows]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)
    return gzip.compress(text.encode(), mtime=0)


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%S.%f}+00:00" if isinstance(value, pd.Timestamp) else value
