"""Klaviyo: metrics, events, profiles and campaigns as JSON:API.

The shop mails its consumers through Mailchimp; here is the same mailing as Klaviyo would hold it, for the company that
chose the other one. Quirks kept: a dated revision in every request, filters as functions, absolute addresses for the
next page, times with a blank instead of a T, the address under ``included`` and not in the event, two rate windows of
which the steady one is told in headers.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    iso_offset,
    on_time,
    opened,
    records_of,
    sandbox_secret,
    sealed,
    text_or_none,
    world_end,
)

VENDOR = "klaviyo"
KEY = f"pk_{sandbox_secret('klaviyo', 34)}"
MEDIA_TYPE = "application/vnd.api+json"
STEADY_LIMIT = 3500
METRICS = {
    "sent": "Received Email",
    "open": "Opened Email",
    "click": "Clicked Email",
    "bounce": "Bounced Email",
    "unsubscribe": "Unsubscribed from Email Marketing",
}
Row = dict[str, Any]
_CONDITION = re.compile(r"([a-z-]+)\(([\w.]+),\s*(\"[^\"]*\"|'[^']*'|[^)]*)\)")
_REVISION = re.compile(r"\d{4}-\d{2}-\d{2}(\.\w+)?")


class RefusedError(Exception):
    """A refusal as a JSON:API error document."""

    def __init__(self, status: int, code: str, title: str, detail: str, pointer: str = "/data/") -> None:
        super().__init__(detail)
        self.status, self.code, self.title, self.pointer = status, code, title, pointer

    def response(self) -> Response:
        """The document."""
        error = {
            "id": str(uuid.uuid4()),
            "status": self.status,
            "code": self.code,
            "title": self.title,
            "detail": str(self),
            "source": {"pointer": self.pointer},
        }
        return JsonResponse({"errors": [error]}, self.status, media_type=MEDIA_TYPE)


NO_KEY = RefusedError(
    401,
    "not_authenticated",
    "Authentication credentials were not provided.",
    "Missing or invalid authorization scheme. Please use Klaviyo-API-Key.",
)
BAD_KEY = RefusedError(
    401, "authentication_failed", "Incorrect authentication credentials.", "Incorrect authentication credentials."
)
DIALECT = Dialect(
    throttle=lambda _request, fault: _throttled(fault.seconds),
    server_error=lambda _request, _fault: RefusedError(
        503, "service_unavailable", "Service unavailable.", "Klaviyo is temporarily unable to serve this request."
    ).response(),
    expired_token=lambda _request, _fault: BAD_KEY.response(),
    revoked_token=lambda _request, _fault: BAD_KEY.response(),
)


def _throttled(seconds: float) -> Response:
    refusal = RefusedError(
        429,
        "throttled",
        "Request was throttled.",
        f"Request was throttled. Expected available in {int(seconds)} second.",
    ).response()
    refusal.headers["Retry-After"] = str(int(seconds))
    return refusal


def _spaced(value: Any) -> str:
    return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}+00:00"


def _short_id(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length].upper()


def metric_id(name: str) -> str:
    """Six letters and digits, as Klaviyo's metric ids are."""
    return _short_id(f"metric {name}", 6)


class Account:
    """The consumers' mailing as Klaviyo's metrics, events, profiles and campaigns."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._faults, self._end = faults, world_end(world)
        mine = world.email_campaigns["vendor"].eq("mailchimp")
        self.campaigns = records_of(world.email_campaigns[mine].sort_values("campaign_id"))
        self._titles = {str(row["campaign_id"]): row for row in self.campaigns}
        activity = world.email_activity
        activity = activity[activity["vendor"].eq("mailchimp") & activity["action"].isin(METRICS)]
        self._activity = activity.sort_values(["occurred_at", "activity_id"])
        self.profiles = self._profiles(world)
        self._by_address = {row["email"]: row for row in self.profiles}

    def _profiles(self, world: World) -> list[Row]:
        people = world.people.set_index("person_id")
        spans = self._activity.groupby("email", as_index=False).agg(
            created=("occurred_at", "min"), updated=("occurred_at", "max"), person_id=("person_id", "first")
        )
        rows = records_of(spans.sort_values(["updated", "email"]))
        for row in rows:
            person = people.loc[row["person_id"]].to_dict() if row["person_id"] in people.index else {}
            row["id"] = f"01{_short_id('profile ' + row['email'], 24)}"
            row["person"] = {str(key): text_or_none(value) for key, value in person.items()}
        return rows

    def events(self) -> list[Row]:
        """Every event as far as Klaviyo knows it yet, in time order."""
        known = self._activity
        known = known[on_time(self._faults, VENDOR, self._end, known["activity_id"], known["occurred_at"])]
        return records_of(known)

    def profile(self, address: str) -> Row:
        return self._by_address[address]

    def event(self, row: Row, base: str) -> Row:
        """One event as a resource."""
        name = METRICS[row["action"]]
        campaign = self._titles[str(row["campaign_id"])]
        properties: Row = {
            "Campaign Name": text_or_none(campaign["title"]),
            "Subject": text_or_none(campaign["subject_line"]),
            "Recipient Email Address": row["email"],
            "Email Domain": str(row["email"]).rpartition("@")[2],
            "$message": _message_id(str(row["campaign_id"])),
            "$event_id": f"{row['activity_id']}:{int(pd.Timestamp(row['occurred_at']).timestamp())}",
        }
        if row["action"] == "click":
            properties |= {"URL": text_or_none(row["url"]), "Bot Click": bool(row["is_bot"])}
        elif row["action"] == "open":
            properties["machine_open"] = bool(row["is_bot"])
        key = _short_id(f"event {row['activity_id']}", 11)
        return {
            "type": "event",
            "id": key,
            "attributes": {
                "timestamp": int(pd.Timestamp(row["occurred_at"]).timestamp()),
                "event_properties": properties,
                "datetime": _spaced(row["occurred_at"]),
                "uuid": str(uuid.UUID(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest())),
            },
            "relationships": {
                "profile": _link(base, "event", key, "profile", self.profile(row["email"])["id"]),
                "metric": _link(base, "event", key, "metric", metric_id(name)),
            },
            "links": {"self": f"{base}/api/events/{key}/"},
        }


def _message_id(campaign_id: str) -> str:
    return f"01{_short_id('message ' + campaign_id, 24)}"


def _link(base: str, kind: str, key: str, name: str, other: str) -> Row:
    own = f"{base}/api/{kind}s/{key}"
    return {
        "data": {"type": name, "id": other},
        "links": {"self": f"{own}/relationships/{name}/", "related": f"{own}/{name}/"},
    }


def _metric(name: str, base: str, born: str) -> Row:
    key = metric_id(name)
    return {
        "type": "metric",
        "id": key,
        "attributes": {
            "name": name,
            "created": born,
            "updated": born,
            "integration": {"object": "integration", "id": "0rG4eQ", "key": "klaviyo", "name": "Klaviyo"},
        },
        "links": {"self": f"{base}/api/metrics/{key}/"},
    }


def _profile(row: Row, base: str, fields: set[str] | None) -> Row:
    person = row["person"]
    attributes: Row = {
        "email": row["email"],
        "phone_number": person.get("phone"),
        "external_id": person.get("user_id"),
        "first_name": person.get("first_name"),
        "last_name": person.get("last_name"),
        "organization": None,
        "locale": None,
        "title": None,
        "image": None,
        "created": iso_offset(row["created"]),
        "updated": iso_offset(row["updated"]),
        "last_event_date": iso_offset(row["updated"]),
        "location": {"country": person.get("country"), "ip": None},
        "properties": {},
    }
    return {
        "type": "profile",
        "id": row["id"],
        "attributes": {key: value for key, value in attributes.items() if fields is None or key in fields},
        "links": {"self": f"{base}/api/profiles/{row['id']}/"},
    }


def _campaign(row: Row, base: str) -> Row:
    key = str(row["campaign_id"])
    sent = iso_offset(row["sent_at"])
    own = f"{base}/api/campaigns/{key}"
    return {
        "type": "campaign",
        "id": key,
        "attributes": {
            "name": text_or_none(row["title"]) or "",
            "status": "Sent",
            "archived": False,
            "audiences": {"included": [str(row["list_id"])], "excluded": []},
            "send_options": {"use_smart_sending": True},
            "tracking_options": {"add_tracking_params": True, "is_tracking_clicks": True, "is_tracking_opens": True},
            "send_strategy": {"method": "static", "datetime": sent, "options": {"is_local": False}},
            "created_at": iso_offset(row["sent_at"] - pd.Timedelta(days=1)),
            "scheduled_at": sent,
            "updated_at": sent,
            "send_time": sent,
        },
        "relationships": {
            "campaign-messages": {
                "data": [{"type": "campaign-message", "id": _message_id(key)}],
                "links": {
                    "self": f"{own}/relationships/campaign-messages/",
                    "related": f"{own}/campaign-messages/",
                },
            }
        },
        "links": {"self": f"{own}/"},
    }


def _message(row: Row, base: str) -> Row:
    key = _message_id(str(row["campaign_id"]))
    return {
        "type": "campaign-message",
        "id": key,
        "attributes": {
            "definition": {
                "channel": "email",
                "label": text_or_none(row["title"]),
                "content": {"subject": text_or_none(row["subject_line"]), "from_email": "hello@shop.example"},
            },
            "created_at": iso_offset(row["sent_at"]),
            "updated_at": iso_offset(row["sent_at"]),
        },
        "links": {"self": f"{base}/api/campaign-messages/{key}/"},
    }


def _conditions(request: Request) -> list[tuple[str, str, str]]:
    text = request.query_params.get("filter", "")
    found = [(what, field, value.strip("\"'")) for what, field, value in _CONDITION.findall(text)]
    if text and not found:
        raise RefusedError(400, "invalid", "Invalid input.", f"Invalid filter provided: {text}", "filter")
    return found


def _moment(value: Any) -> pd.Timestamp:
    try:
        moment = pd.Timestamp(value)
    except ValueError:
        raise RefusedError(400, "invalid", "Invalid input.", f"'{value}' is not a datetime", "filter") from None
    return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "greater-or-equal": lambda left, right: left >= right,
    "greater-than": lambda left, right: left > right,
    "less-or-equal": lambda left, right: left <= right,
    "less-than": lambda left, right: left < right,
    "equals": lambda left, right: left == right,
}


def _kept(rows: list[Row], request: Request, fields: dict[str, Callable[[Row], Any]]) -> list[Row]:
    """Rows that every condition of the ``filter`` parameter holds for."""
    for operator, field, value in _conditions(request):
        if field not in fields or operator not in _COMPARE:
            raise RefusedError(
                400, "invalid", "Invalid input.", f"'{field}' cannot be filtered by {operator}", "filter"
            )
        of = fields[field]
        wanted = _moment(value) if operator != "equals" or field in ("datetime", "updated") else value
        rows = [row for row in rows if _COMPARE[operator](of(row), wanted)]
    return rows


def create_app(world: World, faults: Faults) -> Starlette:
    """The API of one account."""
    account = Account(world, faults)
    born = iso_offset(world.events["occurred_at"].min().floor("D"))

    def page_of(request: Request, rows: list[Row], default: int, most: int) -> tuple[list[Row], dict[str, str | None]]:
        try:
            size = int(request.query_params.get("page[size]", default))
            cursor = opened(request.query_params["page[cursor]"]) if "page[cursor]" in request.query_params else ""
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        except (ValueError, UnicodeDecodeError):
            raise RefusedError(400, "invalid", "Invalid input.", "Invalid page cursor.", "page") from None
        if not 1 <= size <= most:
            raise RefusedError(400, "invalid", "Invalid input.", f"page[size] must be 1 to {most}.", "page[size]")
        following = (
            str(request.url.include_query_params(**{"page[cursor]": sealed(page.cursor)})) if page.cursor else None
        )
        links = {"self": str(request.url), "next": following, "prev": None}
        return rows[page.start : page.stop], links

    def base_of(request: Request) -> str:
        return str(request.url).partition("/api/")[0]

    def wanted_fields(request: Request, kind: str) -> set[str] | None:
        text = request.query_params.get(f"fields[{kind}]")
        return set(text.split(",")) if text else None

    def metrics(request: Request) -> Row:
        rows, links = page_of(request, [{"name": name} for name in METRICS.values()], 200, 200)
        return {"data": [_metric(row["name"], base_of(request), born) for row in rows], "links": links}

    def events(request: Request) -> Row:
        base = base_of(request)
        found = _kept(
            account.events(),
            request,
            {
                "datetime": lambda row: pd.Timestamp(row["occurred_at"]).floor("s"),
                "metric_id": lambda row: metric_id(METRICS[row["action"]]),
                "profile_id": lambda row: account.profile(row["email"])["id"],
            },
        )
        if request.query_params.get("sort", "-datetime").startswith("-"):
            found = found[::-1]
        rows, links = page_of(request, found, 200, 1000)
        document: Row = {"data": [account.event(row, base) for row in rows], "links": links}
        include = request.query_params.get("include", "").split(",")
        included: list[Row] = []
        if "metric" in include:
            included += [_metric(name, base, born) for name in dict.fromkeys(METRICS[row["action"]] for row in rows)]
        if "profile" in include:
            fields = wanted_fields(request, "profile")
            included += [
                _profile(account.profile(email), base, fields) for email in dict.fromkeys(row["email"] for row in rows)
            ]
        if included:
            document["included"] = included
        return document

    def profiles(request: Request) -> Row:
        rows = _kept(
            account.profiles, request, {"updated": lambda row: row["updated"], "email": lambda row: row["email"]}
        )
        rows, links = page_of(request, rows, 20, 100)
        fields = wanted_fields(request, "profile")
        return {"data": [_profile(row, base_of(request), fields) for row in rows], "links": links}

    def campaigns(request: Request) -> Row:
        channels = [value for _, field, value in _conditions(request) if field == "messages.channel"]
        if not channels:
            raise RefusedError(
                400,
                "invalid",
                "Invalid input.",
                "A channel filter is required to list campaigns: equals(messages.channel,'email').",
                "filter",
            )
        listed = account.campaigns if channels == ["email"] else []
        rows, links = page_of(request, listed, 100, 100)
        base = base_of(request)
        document: Row = {"data": [_campaign(row, base) for row in rows], "links": links}
        if "campaign-messages" in request.query_params.get("include", ""):
            document["included"] = [_message(row, base) for row in rows]
        return document

    served = 0

    def guarded(respond: Callable[[Request], Row]) -> Callable[[Request], Any]:
        """Key, revision and the steady window's headers, the same for every resource."""

        async def endpoint(request: Request) -> Response:
            nonlocal served
            try:
                scheme, _, key = request.headers.get("authorization", "").partition(" ")
                if scheme != "Klaviyo-API-Key":
                    raise NO_KEY
                if key != KEY:
                    raise BAD_KEY
                if not _REVISION.fullmatch(request.headers.get("revision", "")):
                    raise RefusedError(
                        400, "invalid", "Invalid input.", "A revision header of the form YYYY-MM-DD is required."
                    )
                document = await run_in_threadpool(respond, request)
            except RefusedError as refusal:
                return refusal.response()
            served += 1
            headers = {
                "RateLimit-Limit": f"{STEADY_LIMIT}, 350;w=1, {STEADY_LIMIT};w=60",
                "RateLimit-Remaining": str(STEADY_LIMIT - 1 - served % (STEADY_LIMIT - 1)),
                "RateLimit-Reset": "60",
            }
            return JsonResponse(document, media_type=MEDIA_TYPE, headers=headers)

        return endpoint

    return Starlette(
        routes=[
            # The official client asks without a slash at the end, older guides with one.
            *(
                Route(f"/api/{name}{slash}", guarded(respond))
                for name, respond in {
                    "metrics": metrics,
                    "events": events,
                    "profiles": profiles,
                    "campaigns": campaigns,
                }.items()
                for slash in ("", "/")
            )
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
