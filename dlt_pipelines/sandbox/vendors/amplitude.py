"""Amplitude: the export API, a zip of gzipped JSON lines with a file or more for each hour of upload.

Member names hold a double slash, times a blank and no zone, most fields are null. One event in forty was recorded offline
and uploaded thirty hours later; one in fifty was uploaded twice, under one insert id.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, FaultMiddleware, Faults, reshaped
from dlt_pipelines.sandbox.vendors.common import (
    World,
    on_time,
    records_of,
    sandbox_secret,
    share_of,
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

VENDOR = "amplitude"
API_KEY, SECRET_KEY = sandbox_secret("amplitude key", 32), sandbox_secret("amplitude", 32)
PROJECT = "434735"
EVENT_NAMES = {"page_view": "[Amplitude] Page Viewed"}
LATE, LATE_BY, SENT_TWICE = 40, pd.Timedelta(hours=30), 50
# Stands for the 4 GB above which Amplitude refuses, and for the lines after which it begins a new file.
MOST_EVENTS, FILE_EVENTS = 1_000_000, 200
COUNTRIES = {"DE": "Germany", "AT": "Austria", "FR": "France", "GB": "United Kingdom", "US": "United States"}
NULLS = dict.fromkeys(
    (
        "adid",
        "amplitude_attribution_ids",
        "amplitude_event_type",
        "device_brand",
        "device_carrier",
        "device_manufacturer",
        "device_model",
        "dma",
        "idfa",
        "is_attribution_event",
        "location_lat",
        "location_lng",
        "paying",
        "region",
        "sample_rate",
        "start_version",
        "version_name",
    )
)
Row = dict[str, Any]


def _refusal(status: int, text: str) -> Response:
    return PlainTextResponse(text, status)


DIALECT = Dialect(
    throttle=lambda _request, fault: PlainTextResponse(
        "Too many requests", 429, {"retry-after": str(int(fault.seconds))} if fault.seconds >= 60 else {}
    ),
    server_error=lambda _request, _fault: _refusal(503, "Service Unavailable"),
    expired_token=lambda _request, _fault: _refusal(403, "Forbidden"),
    revoked_token=lambda _request, _fault: _refusal(403, "Forbidden"),
)


class Project:
    """The shop's events as Amplitude holds them, by hour of upload."""

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def events(self) -> list[Row]:
        """Every event with its upload time, those uploaded twice included, in the order of upload."""
        facts = web_events(self._world)
        people, accounts = identify(facts), account_of(self._world)
        rows = []
        for number, row in enumerate(records_of(facts)):
            key, device, user = str(row["event_id"]), str(row["device_id"]), text_or_none(row["user_id"])
            late = share_of(f"late {key}", LATE) == 0
            uploaded = row["occurred_at"] + (LATE_BY if late else pd.Timedelta(seconds=3))
            person = people.person_of[user] if user else people.first_person[device]
            record = _record(row, key, device, user, person, number, uploaded, accounts.get(user or "", {}))
            rows.append({"key": key, "at": row["occurred_at"], "uploaded": uploaded, "record": record})
            if share_of(key, SENT_TWICE) == 0:
                again = uploaded + pd.Timedelta(seconds=40)
                copy = record | {"uuid": stable_uuid("again", key), "server_upload_time": _spaced(again)}
                rows.append({"key": key, "at": row["occurred_at"], "uploaded": again, "record": copy})
        return sorted(rows, key=lambda item: (item["uploaded"], item["record"]["uuid"]))


def _record(
    row: Row, key: str, device: str, user: str | None, person: str, number: int, uploaded: Any, account: Row
) -> Row:
    url = text_or_none(row["page_url"])
    at = _spaced(row["occurred_at"])
    properties = present(
        **{
            "[Amplitude] Page Location": url,
            "[Amplitude] Page URL": url.partition("?")[0] if url else None,
            "referrer": row["referrer"],
            "value": row["value"],
        }
    )
    return {
        **NULLS,
        "$insert_id": stable_uuid("insert", key),
        "$schema": None,
        "amplitude_id": zlib.crc32(person.encode()) * 97 + 500_000_000_000,
        "app": int(PROJECT),
        "city": "Berlin",
        "client_event_time": at,
        "client_upload_time": _spaced(uploaded),
        "country": COUNTRIES.get(row["country"], row["country"]),
        "data": {"path": "/2/httpapi", "group_first_event": {}},
        "device_family": text_or_none(row["operating_system"]),
        "device_id": device,
        "device_type": text_or_none(row["operating_system"]),
        "event_id": number,
        "event_properties": properties | campaign_of(url),
        "event_time": at,
        "event_type": EVENT_NAMES.get(row["event_name"], row["event_name"]),
        "group_properties": {},
        "groups": {},
        "ip_address": row["ip"],
        "language": "German",
        "library": "amplitude-ts/2.11.0",
        "os_name": text_or_none(row["browser"]),
        "os_version": "126",
        "platform": "Web",
        "processed_time": _spaced(uploaded),
        "server_received_time": _spaced(uploaded),
        "server_upload_time": _spaced(uploaded),
        "session_id": int(pd.Timestamp(row["occurred_at"]).value // 1_000_000),
        "user_creation_time": at,
        "user_id": user,
        # Of the last campaign, sticking to the person.
        "user_properties": {"initial_referrer": "EMPTY", "referrer": "https://www.sticky.example/", **account},
        "uuid": stable_uuid(VENDOR, key),
    }


def _spaced(moment: Any) -> str:
    return f"{pd.Timestamp(moment):%Y-%m-%d %H:%M:%S.%f}"


def _hour(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC)


def archive(rows: list[Row], faults: Faults) -> bytes:
    """The zip of some rows: files of at most ``FILE_EVENTS`` lines an hour."""
    sink = io.BytesIO()
    by_hour: dict[pd.Timestamp, list[Row]] = {}
    for row in rows:
        by_hour.setdefault(row["uploaded"].floor("h"), []).append(row["record"])
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as files:
        for hour, records in sorted(by_hour.items()):
            shown = reshaped(faults, VENDOR, records)
            for part, start in enumerate(range(0, len(shown), FILE_EVENTS)):
                lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in shown[start : start + FILE_EVENTS])
                name = f"{PROJECT}//{PROJECT}_{hour:%Y-%m-%d}_{hour.hour}#{part}.json.gz"
                files.writestr(name, gzip.compress("".join(lines).encode(), mtime=0))
    return sink.getvalue()


def create_app(world: World, faults: Faults) -> Starlette:
    """The export API of one project."""
    project, end = Project(world), world_end(world)
    expected = base64.b64encode(f"{API_KEY}:{SECRET_KEY}".encode()).decode()

    def export(request: Request) -> Response:
        if request.headers.get("authorization", "") != f"Basic {expected}":
            return _refusal(403, "Forbidden")
        try:
            first = _hour(request.query_params["start"])
            last = _hour(request.query_params["end"]) + timedelta(hours=1)
        except (KeyError, ValueError):
            return _refusal(400, "start and end must be of the form YYYYMMDDTHH")
        if last - first > timedelta(days=365):
            return _refusal(400, "The maximum time range is 365 days.")
        begin, until = (pd.Timestamp(moment).tz_localize(None) for moment in (first, last))
        rows = [row for row in project.events if begin <= row["uploaded"] < until]
        ids, times = pd.Series([row["key"] for row in rows], dtype=object), pd.Series([row["at"] for row in rows])
        if rows:
            kept = on_time(faults, VENDOR, end, ids, times)
            rows = [row for row, there in zip(rows, kept, strict=True) if there]
        if not rows:
            return _refusal(404, "Raw data files were not found.")
        if len(rows) > MOST_EVENTS:
            return _refusal(
                400, "The file size of the exported data is too large. Shorten the time ranges and try again."
            )
        return Response(archive(rows, faults), media_type="application/zip")

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(export, request)

    return Starlette(
        routes=[Route("/api/2/export", endpoint)],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
