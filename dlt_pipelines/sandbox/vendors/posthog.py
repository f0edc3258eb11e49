"""PostHog: HogQL over events, persons and distinct ids, and the files of a batch export.

Queries run on DuckDB, whose SQL agrees with the HogQL that readers send; ClickHouse's functions in them are macros here.
Rows are positional, properties are JSON as text, times carry microseconds and the project's zone.
"""

from __future__ import annotations

import json
import threading
from functools import cached_property
from typing import Any

import duckdb
import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, FaultMiddleware, Faults
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    bearer,
    json_of,
    on_time,
    records_of,
    sandbox_secret,
    text_or_none,
    world_end,
)
from dlt_pipelines.sandbox.vendors.web_facts import (
    account_of,
    campaign_of,
    identify,
    present,
    stable_uuid,
    web_events,
)

VENDOR = "posthog"
KEY = f"phx_{sandbox_secret('posthog', 43)}"
PROJECT = "4712"
LATE_DAYS = 1
DEFAULT_LIMIT, MOST_ROWS = 100, 50_000
EVENT_NAMES = {"page_view": "$pageview"}
TYPES = {
    "VARCHAR": "String",
    "TIMESTAMP": "DateTime64(6, 'UTC')",
    "UUID": "UUID",
    "BIGINT": "Int64",
    "INTEGER": "Int32",
}
_MACROS = """
create macro toDateTime64(t, p, z) as cast(t as timestamp);
create macro toDateTime(t) as cast(t as timestamp);
create macro toUUID(t) as cast(t as uuid);
create macro toString(t) as cast(t as varchar);
"""
Row = dict[str, Any]


def _refusal(status: int, kind: str, code: str, detail: str) -> Response:
    return JsonResponse({"type": kind, "code": code, "detail": detail, "attr": None}, status)


def _throttled(seconds: float) -> Response:
    detail = f"Request was throttled. Expected available in {int(seconds)} seconds."
    return _refusal(429, "throttled_error", "throttled", detail)


def _bad_key() -> Response:
    return _refusal(
        401, "authentication_error", "authentication_failed", "Personal API key found in request but is invalid."
    )


DIALECT = Dialect(
    throttle=lambda _request, fault: _throttled(fault.seconds),
    server_error=lambda _request, _fault: _refusal(
        503, "server_error", "service_unavailable", "Queries are a little too busy right now. Please try again later."
    ),
    expired_token=lambda _request, _fault: _bad_key(),
    revoked_token=lambda _request, _fault: _bad_key(),
)


class Project:
    """The shop's project: events with their properties, persons, and which id belongs to whom."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def facts(self) -> pd.DataFrame:
        return web_events(self._world)

    @cached_property
    def people(self) -> Any:
        return identify(self.facts)

    @cached_property
    def accounts(self) -> dict[str, Row]:
        return account_of(self._world)

    def events(self) -> list[Row]:
        """Every event, the identify calls among them, in time order."""
        rows = [self._event(row) for row in records_of(self.facts)]
        rows += [self._identify_call(merge) for merge in self.people.merges]
        return sorted(rows, key=lambda row: (row["timestamp"], row["uuid"]))

    def _event(self, row: Row) -> Row:
        user = text_or_none(row["user_id"])
        device = str(row["device_id"])
        return {
            "event_id": str(row["event_id"]),
            "uuid": stable_uuid(VENDOR, str(row["event_id"])),
            "event": EVENT_NAMES.get(row["event_name"], row["event_name"]),
            "distinct_id": user or device,
            "person_id": self.people.person_of[user or device],
            "first_person_id": self.people.person_of[user] if user else self.people.first_person[device],
            "properties": self._properties(row, device, user),
            "timestamp": row["occurred_at"],
            "created_at": row["occurred_at"] + pd.Timedelta(seconds=2),
        }

    def _identify_call(self, merge: Any) -> Row:
        row = self._event(merge.event)
        call = self._properties(merge.event, merge.device_id, merge.user_id)
        call.pop("value", None)
        call["$anon_distinct_id"] = merge.device_id
        call["$set"] = self.accounts.get(merge.user_id, {})
        key = f"identify {merge.device_id} {merge.user_id}"
        return row | {
            "event_id": key,
            "uuid": stable_uuid(VENDOR, key),
            "event": "$identify",
            "properties": call,
        }

    def _properties(self, row: Row, device: str, user: str | None) -> Row:
        url, referrer = row["page_url"], row["referrer"]
        known = not pd.isna(referrer)
        return {
            "$lib": "web",
            "$device_id": device,
            "distinct_id": user or device,
            "$is_identified": user is not None,
            "$session_id": stable_uuid("session", device, str(row["ga_session_id"])),
            "$referrer": str(referrer) if known else "$direct",
            "$ip": row["ip"],
            "$geoip_country_code": row["country"],
            "$geoip_latitude": 52.52,
            "$raw_user_agent": row["user_agent"],
            **campaign_of(url),
            **present(
                **{
                    "$current_url": url,
                    "$user_id": user,
                    "$device_type": row["kind"],
                    "$browser": row["browser"],
                    "$os": row["operating_system"],
                    "value": row["value"],
                }
            ),
        }

    def persons(self) -> list[Row]:
        """Every person with the latest properties; those of a user who logged in carry the account's."""
        first = self.facts.groupby("device_id")["occurred_at"].min().to_dict()
        users = {person: key for key, person in self.people.person_of.items() if key in self.accounts}
        rows: dict[str, Row] = {}
        for key, person in self.people.person_of.items():
            seen = first.get(key, self.facts["occurred_at"].min())
            row = rows.setdefault(person, {"id": person, "created_at": seen, "properties": {}})
            row["created_at"] = min(row["created_at"], seen)
            row["properties"] = self.accounts.get(users.get(person, ""), {})
        return sorted(rows.values(), key=lambda row: str(row["id"]))

    def distinct_ids(self) -> list[Row]:
        """Which person each id belongs to."""
        return [{"distinct_id": key, "person_id": person} for key, person in sorted(self.people.person_of.items())]


class Tables:
    """The project as tables that HogQL runs on, built at the first query; the schema `early` lacks what comes late."""

    def __init__(self, project: Project, faults: Faults, end: pd.Timestamp) -> None:
        self._project, self._faults, self._end = project, faults, end
        self._lock = threading.Lock()

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        database = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
        database.execute(_MACROS)
        events = pd.DataFrame(self._project.events())
        events["properties"] = [json.dumps(found, ensure_ascii=False) for found in events["properties"]]
        persons = pd.DataFrame(self._project.persons())
        persons["properties"] = [json.dumps(found, ensure_ascii=False) for found in persons["properties"]]
        ids = pd.DataFrame(self._project.distinct_ids())
        always = Faults()
        always.switch(VENDOR, "late_rows", days=LATE_DAYS)
        late = ~on_time(always, VENDOR, self._end, events["event_id"], events["timestamp"])
        columns = (
            "uuid::uuid as uuid, event, distinct_id, person_id::uuid as person_id, properties, timestamp, created_at"
        )
        database.register("events_frame", events.assign(late=late))
        database.register("persons_frame", persons)
        database.register("ids_frame", ids)
        database.execute("create table held as select * from events_frame")
        database.execute(
            "create table persons as select id::uuid as id, created_at::timestamp as created_at, properties from persons_frame"
        )
        database.execute(
            "create table person_distinct_ids as select distinct_id, person_id::uuid as person_id from ids_frame"
        )
        database.execute(f"create view events as select {columns} from held")
        database.execute("create schema early")
        database.execute(f"create view early.events as select {columns} from main.held where not late")
        return database

    def query(self, text: str) -> tuple[list[str], list[str], list[list[Any]]]:
        """Columns, their types and rows of a query.

        Raises:
            duckdb.Error: The query is none, or not one that is understood here.
        """
        with self._lock:
            late = self._faults.active(VENDOR, "late_rows") is not None
            cursor = self._database.cursor()
            cursor.execute(f"set search_path = '{'early,main' if late else 'main'}'")
            cursor.execute(text)
            description = cursor.description or []
            rows = cursor.fetchmany(MOST_ROWS)
        names = [column[0] for column in description]
        types = [TYPES.get(str(column[1]), "String") for column in description]
        return names, types, [[_cell(value) for value in row] for row in rows]


def _cell(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
    return value if value is None or isinstance(value, (int, float, bool)) else str(value)


def create_app(world: World, faults: Faults) -> Starlette:
    """The API of one project."""
    tables = Tables(Project(world), faults, world_end(world))
    last: dict[str, list[list[Any]]] = {}

    def spoiled(text: str, rows: list[list[Any]]) -> list[list[Any]]:
        """Rows as the paging faults that are on make them look; a reader by key never asks for a page by number."""
        table = text.partition(" from ")[2].partition(" ")[0]
        path = f"/{table}"
        continued = ") > (" in text
        if faults.take(VENDOR, "empty_page", path):
            return []
        if continued and faults.take(VENDOR, "duplicate_page", path):
            return last[table]
        if continued and faults.take(VENDOR, "repeated_cursor", path):
            return last[table]
        last[table] = rows
        return rows

    async def query(request: Request) -> Response:
        if bearer(request) != KEY:
            return _bad_key()
        if request.path_params["project"] != PROJECT:
            return _refusal(403, "authentication_error", "permission_denied", "You don't have access to the project.")
        try:
            asked = (await json_of(request)).get("query", {})
        except ValueError:
            return _refusal(400, "validation_error", "parse_error", "JSON parse error")
        if asked.get("kind") != "HogQLQuery":
            return _refusal(400, "validation_error", "invalid_input", f"Unsupported query kind: {asked.get('kind')}")
        text = str(asked.get("query", "")).strip()
        if not text.lower().startswith("select"):
            return _refusal(400, "validation_error", "illegal_hogql", "Only SELECT queries are supported.")
        limited = text if " limit " in text.lower() else f"{text} limit {DEFAULT_LIMIT}"
        try:
            columns, types, rows = await run_in_threadpool(tables.query, limited)
        except duckdb.Error as error:
            return _refusal(400, "validation_error", "illegal_hogql", str(error).partition("\n")[0])
        document: Row = {
            "cache_key": stable_uuid(text),
            "is_cached": False,
            "columns": columns,
            "types": [list(pair) for pair in zip(columns, types, strict=True)],
            "results": spoiled(text, rows),
            "hogql": text,
            "query": text,
            "error": None,
            "timings": [],
        }
        if limited is not text:
            document |= {"limit": DEFAULT_LIMIT, "offset": 0, "hasMore": len(rows) == DEFAULT_LIMIT}
        return JsonResponse(document)

    return Starlette(
        routes=[
            Route(f"/api/{kind}/{{project}}/query{slash}", query, methods=["POST"])
            for kind in ("projects", "environments")
            for slash in ("/", "")
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
