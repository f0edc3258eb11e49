"""Mixpanel: the raw export as JSON lines and the profiles by pages of a session.

Two projects hold the same visits: one of today, in UTC, and one made before 2023, whose days and times are told in its
own zone. One event in fifty stands in the export twice, as those that a client sent again do.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors.common import (
    EUROPE,
    JsonResponse,
    World,
    epoch_millis,
    form_of,
    on_time,
    records_of,
    sandbox_secret,
    share_of,
    text_or_none,
    world_end,
)
from dlt_pipelines.sandbox.vendors.web_facts import account_of, campaign_of, identify, present, web_events

VENDOR = "mixpanel"
USERNAME = f"attribution.{sandbox_secret('mixpanel user', 6)}.mp-service-account"
SECRET = sandbox_secret("mixpanel", 32)
PROJECT, OLD_PROJECT = "4713", "4714"
ZONES = {PROJECT: "UTC", OLD_PROJECT: EUROPE}
PAGE_SIZE = 100
SENT_TWICE = 50
EVENT_NAMES = {"page_view": "$mp_web_page_view"}
Row = dict[str, Any]


def _refusal(status: int, text: str) -> Response:
    return JsonResponse({"error": text, "status": "error"}, status)


def _throttled(seconds: float) -> Response:
    limit = "60 queries per hour" if seconds >= 3600 else "3 queries per second"
    return _refusal(429, f"Query rate limit exceeded: {limit}. See the documentation on rate limits.")


DIALECT = Dialect(
    throttle=lambda _request, fault: _throttled(fault.seconds),
    server_error=lambda _request, _fault: _refusal(503, "Service temporarily unavailable, please retry."),
    expired_token=lambda _request, _fault: _refusal(401, "Service account expired"),
    revoked_token=lambda _request, _fault: _refusal(401, "Invalid service account credentials"),
)


class Project:
    """The shop's events and profiles, with the ids resolved as they are today."""

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

    @cached_property
    def events(self) -> list[Row]:
        """Events as properties without a time, with the moment beside them, in time order."""
        rows = [self._event(row) for row in records_of(self.facts)]
        for merge in self.people.merges:
            row = self._event(merge.event)
            key = f"identify {merge.device_id} {merge.user_id}"
            properties = {
                name: value
                for name, value in row["properties"].items()
                if name not in ("value", "$current_url", "$email")
            } | {"$identified_id": merge.user_id, "$anon_id": merge.device_id, "$insert_id": _insert_id(key)}
            rows.append(row | {"event_id": key, "event": "$identify", "properties": properties})
        return sorted(rows, key=lambda row: (row["at"], row["event_id"]))

    def _event(self, row: Row) -> Row:
        device, user = str(row["device_id"]), text_or_none(row["user_id"])
        merged = user or self.people.user_of_device.get(device)
        account = self.accounts.get(user or "", {}) if row["event_name"] == "sign_up" else {}
        return {
            "event_id": str(row["event_id"]),
            "event": EVENT_NAMES.get(row["event_name"], row["event_name"]),
            "at": row["occurred_at"],
            "properties": {
                "distinct_id": merged or f"$device:{device}",
                "$device_id": device,
                "$insert_id": _insert_id(str(row["event_id"])),
                "mp_lib": "web",
                "mp_country_code": row["country"],
                "$city": "Berlin",
                "$initial_referrer": "$direct",
                **campaign_of(row["page_url"]),
                **present(
                    **{
                        "$user_id": user,
                        "$email": account.get("email"),
                        "$current_url": row["page_url"],
                        "$referrer": row["referrer"],
                        "$browser": row["browser"],
                        "$os": row["operating_system"],
                        "value": row["value"],
                    }
                ),
            },
        }

    @cached_property
    def profiles(self) -> list[Row]:
        """One profile a user who was ever logged in."""
        last = self.facts.dropna(subset=["user_id"]).groupby("user_id")["occurred_at"].agg(["min", "max"])
        rows = []
        for user, seen in sorted(last.iterrows()):
            account = self.accounts.get(str(user), {})
            properties = {
                "$email": account.get("email"),
                "$name": account.get("name"),
                "$phone": account.get("phone"),
                "$created": f"{seen['min']:%Y-%m-%dT%H:%M:%S}",
                "$last_seen": f"{seen['max']:%Y-%m-%dT%H:%M:%S}",
                "$city": "Berlin",
            }
            rows.append({"$distinct_id": str(user), "$properties": present(**properties)})
        return rows


def _insert_id(key: str) -> str:
    return base64.b32encode(f"{zlib.crc32(key.encode()):08x}{key[-12:]}".encode()).decode().rstrip("=").lower()


def _line(row: Row, zone: str, in_ms: bool) -> Row:
    stamp = pd.Timestamp(row["at"]).tz_localize("UTC")
    # An old project's clock on the wall, told as if it were UTC.
    told = epoch_millis(stamp.tz_convert(zone).tz_localize(None))
    properties = {
        "time": told if in_ms else told // 1000,
        **row["properties"],
        "mp_processing_time_ms": epoch_millis(row["at"]) + 2000,
    }
    return {"event": row["event"], "properties": properties}


def create_app(world: World, faults: Faults) -> Starlette:
    """The export and the query API of both projects."""
    project, end = Project(world), world_end(world)

    def export(request: Request) -> Response:
        asked = request.query_params
        zone = ZONES[asked["project_id"]]
        today = end.tz_localize("UTC").tz_convert(zone).date()
        try:
            first, last = date.fromisoformat(asked["from_date"]), date.fromisoformat(asked["to_date"])
            names = set(json.loads(asked["event"])) if "event" in asked else None
        except (KeyError, ValueError):
            return _refusal(400, "from_date, to_date and event must be dates and a JSON array")
        if last > today:
            return _refusal(400, "to_date cannot be later than today")
        rows = project.events
        ids, times = pd.Series([row["event_id"] for row in rows]), pd.Series([row["at"] for row in rows])
        days = times.dt.tz_localize("UTC").dt.tz_convert(zone).dt.date
        kept = on_time(faults, VENDOR, end, ids, times) & (days >= first) & (days <= last)
        lines = []
        for row in (rows[index] for index in kept[kept].index):
            if names is None or row["event"] in names:
                line = json.dumps(_line(row, zone, asked.get("time_in_ms") == "true"), ensure_ascii=False)
                lines += [line] * (2 if share_of(row["event_id"], SENT_TWICE) == 0 else 1)
        text = "".join(f"{line}\n" for line in lines)
        return Response(text, media_type="text/plain")

    async def engage(request: Request) -> Response:
        # Older clients put into the address what newer ones post.
        form = {**request.query_params, **await form_of(request)}
        page, session = int(form.get("page", 0)), f"{1_780_000_000}-{sandbox_secret('session', 6)}"
        if page and form.get("session_id") != session:
            return _refusal(400, "request for page in uncached query for params")
        wanted = json.loads(form["output_properties"]) if "output_properties" in form else None
        rows = await run_in_threadpool(lambda: project.profiles)
        found = offset_page(faults, VENDOR, "/api/query/engage", len(rows), page * PAGE_SIZE, PAGE_SIZE)
        results = [
            {
                "$distinct_id": row["$distinct_id"],
                "$properties": {
                    name: value for name, value in row["$properties"].items() if wanted is None or name in wanted
                },
            }
            for row in rows[found.start : found.stop]
        ]
        document = {
            "page": page,
            "page_size": PAGE_SIZE,
            "results": results,
            "session_id": session,
            "status": "ok",
            "total": found.total,
        }
        return JsonResponse(document)

    def guarded(respond: Callable[[Request], Any]) -> Callable[[Request], Any]:
        expected = base64.b64encode(f"{USERNAME}:{SECRET}".encode()).decode()

        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization", "") != f"Basic {expected}":
                return _refusal(401, "Invalid service account credentials")
            if request.query_params.get("project_id") not in ZONES:
                return _refusal(403, "The service account has no access to this project")
            answer: Response = await engage(request) if respond is engage else await run_in_threadpool(respond, request)
            return answer

        return endpoint

    return Starlette(
        routes=[
            Route("/api/2.0/export", guarded(export)),
            Route("/api/query/engage", guarded(engage), methods=["POST", "GET"]),
            Route("/api/2.0/engage", guarded(engage), methods=["POST", "GET"]),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
