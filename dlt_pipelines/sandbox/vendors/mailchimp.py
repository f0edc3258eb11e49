"""Mailchimp Marketing API 3.0: campaigns, lists, reports, e-mail activity, sent-to.

Quirks kept: any user name beside the key, ``total_items`` counts e-mails and not events, members with no activity
are listed too, rates are 0..1 in reports and 0..100 in list_stats, RFC 7807 errors, ten connections at a time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import threading
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

from dlt_pipelines.sandbox.faults import Dialect, FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors.common import (
    MAILCHIMP_KEY,
    JsonResponse,
    World,
    bearer,
    iso_offset,
    on_time,
    records_of,
    text_or_none,
    whole,
    world_end,
)

VENDOR = "mailchimp"
MAX_COUNT, DEFAULT_COUNT = 1000, 10
MAX_CONNECTIONS = 10
Row = dict[str, Any]
TYPE = "https://mailchimp.com/developer/marketing/docs/errors/"


class ProblemError(Exception):
    """A refusal as an RFC 7807 document."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title = status, title

    def response(self) -> Response:
        """The body, as ``application/problem+json``."""
        body = {
            "type": TYPE,
            "title": self.title,
            "status": self.status,
            "detail": str(self),
            "instance": str(uuid.uuid4()),
        }
        return JsonResponse(body, self.status, media_type="application/problem+json; charset=utf-8")


TOO_MANY = ProblemError(
    429, "Too Many Requests", f"You have exceeded the limit of {MAX_CONNECTIONS} simultaneous connections."
)
MISSING = ProblemError(404, "Resource Not Found", "The requested resource could not be found.")
BAD_KEY = ProblemError(
    401,
    "API Key Invalid",
    "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
)
DIALECT = Dialect(
    throttle=lambda _request, _fault: TOO_MANY.response(),
    server_error=lambda _request, _fault: ProblemError(
        500, "Internal Server Error", "An unexpected internal error has occurred. Please contact Support."
    ).response(),
    expired_token=lambda _request, _fault: BAD_KEY.response(),
    revoked_token=lambda _request, _fault: BAD_KEY.response(),
)


def email_id(address: str) -> str:
    """Mailchimp's member id: the MD5 of the address in lower case."""
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


class Account:
    """The world's Mailchimp campaigns and what happened to their e-mails."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._faults, self._end = faults, world_end(world)
        campaigns = world.email_campaigns
        self.campaigns = campaigns[campaigns["vendor"].eq(VENDOR)].sort_values(["sent_at", "campaign_id"])
        activity = world.email_activity
        activity = activity[activity["vendor"].eq(VENDOR)].sort_values(["occurred_at", "activity_id"])
        self._activity = activity.assign(
            campaign_id=activity["campaign_id"].astype(str), email_id=activity["email"].astype(str).map(email_id)
        )
        self._by_campaign = self._grouped(self._activity)

    @staticmethod
    def _grouped(activity: pd.DataFrame) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in records_of(activity):
            groups.setdefault(row["campaign_id"], []).append(row)
        return groups

    def campaign(self, campaign_id: str) -> dict[str, Any]:
        """One campaign's row.

        Raises:
            ProblemError: There is none.
        """
        found = self.campaigns[self.campaigns["campaign_id"].astype(str) == campaign_id]
        if found.empty:
            raise MISSING
        return records_of(found)[0]

    def activity(self, campaign_id: str) -> list[Row]:
        """Everything that happened to one campaign's e-mails, in time order, as far as Mailchimp knows it yet."""
        if self._faults.active(VENDOR, "late_rows") is None:
            return self._by_campaign.get(campaign_id, [])
        rows = self._activity[self._activity["campaign_id"].eq(campaign_id)]
        return records_of(rows[on_time(self._faults, VENDOR, self._end, rows["activity_id"], rows["occurred_at"])])

    def emails(self, campaign_id: str, since: pd.Timestamp | None) -> list[tuple[str, list[Row]]]:
        """Recipients and their activity (opens, clicks, bounces), by member id.

        With ``since``, only those with activity after it; without, everyone the campaign was sent to.
        """
        emails: dict[str, tuple[str, list[Row]]] = {}
        for row in self.activity(campaign_id):
            _, entries = emails.setdefault(row["email_id"], (str(row["email"]), []))
            if row["action"] != "sent" and (since is None or row["occurred_at"] > since):
                entries.append(row)
        return [emails[key] for key in sorted(emails) if since is None or emails[key][1]]


def _campaign(row: dict[str, Any]) -> dict[str, Any]:
    web = f"https://mailchi.mp/sandbox/{row['campaign_id']}"
    return {
        "id": str(row["campaign_id"]),
        "web_id": int(hashlib.sha256(str(row["campaign_id"]).encode()).hexdigest()[:7], 16),
        "type": "regular",
        "create_time": iso_offset(row["sent_at"] - pd.Timedelta(days=1)),
        "archive_url": web,
        "long_archive_url": f"{web}?long",
        "status": "sent",
        "emails_sent": whole(row["emails_sent"]),
        "send_time": iso_offset(row["sent_at"]),
        "content_type": "template",
        "recipients": {
            "list_id": str(row["list_id"]),
            "list_is_active": True,
            "list_name": f"List {row['list_id']}",
            "recipient_count": whole(row["emails_sent"]),
        },
        "settings": {
            "subject_line": text_or_none(row["subject_line"]) or "",
            "title": text_or_none(row["title"]) or "",
            "from_name": "Shop",
            "reply_to": "hello@shop.example",
        },
        "tracking": {"opens": True, "html_clicks": True, "text_clicks": False},
        "_links": [],
    }


def _report(row: Row, activity: list[Row]) -> dict[str, Any]:
    def count(action: str) -> tuple[int, int]:
        members = [entry["email_id"] for entry in activity if entry["action"] == action]
        return len(members), len(set(members))

    sent = whole(row["emails_sent"])
    opens, unique_opens = count("open")
    clicks, unique_clicks = count("click")
    bounces, _ = count("bounce")
    base = max(1, sent)
    return {
        "id": str(row["campaign_id"]),
        "campaign_title": text_or_none(row["title"]) or "",
        "type": "regular",
        "list_id": str(row["list_id"]),
        "list_is_active": True,
        "list_name": f"List {row['list_id']}",
        "subject_line": text_or_none(row["subject_line"]) or "",
        "emails_sent": sent,
        "abuse_reports": 0,
        "unsubscribed": 0,
        "send_time": iso_offset(row["sent_at"]),
        "bounces": {"hard_bounces": bounces, "soft_bounces": 0, "syntax_errors": 0},
        "opens": {
            "opens_total": opens,
            "unique_opens": unique_opens,
            "open_rate": round(unique_opens / base, 6),
        },
        "clicks": {
            "clicks_total": clicks,
            "unique_clicks": unique_clicks,
            "unique_subscriber_clicks": unique_clicks,
            "click_rate": round(unique_clicks / base, 6),
        },
        "list_stats": {
            "open_rate": round(100 * unique_opens / base, 4),
            "click_rate": round(100 * unique_clicks / base, 4),
        },
        "_links": [],
    }


def _action(row: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"action": row["action"], "timestamp": iso_offset(row["occurred_at"])}
    if row["action"] == "bounce":
        entry["type"] = "hard"
    if row["action"] == "click" and (url := text_or_none(row["url"])):
        entry["url"] = url
    if ip := text_or_none(row["ip"]):
        entry["ip"] = ip
    return entry


def _time(request: Request, name: str) -> pd.Timestamp | None:
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        # An unescaped + of an offset arrives as a blank.
        moment = pd.Timestamp(text.replace(" ", "+"))
    except ValueError:
        raise ProblemError(400, "Invalid Resource", f"The {name} parameter is not an ISO 8601 time.") from None
    return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment


def _pruned(document: Any, wanted: list[list[str]]) -> Any:
    """Only the members named by dotted paths, looking through arrays."""
    if isinstance(document, list):
        return [_pruned(item, wanted) for item in document]
    if not isinstance(document, dict):
        return document
    kept = {}
    for key, value in document.items():
        rests = [path[1:] for path in wanted if path[0] == key]
        if rests:
            kept[key] = value if [] in rests else _pruned(value, rests)
    return kept


def create_app(world: World, faults: Faults) -> Starlette:
    """The Marketing API of one account."""
    account = Account(world, faults)
    connections = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def check_key(request: Request) -> None:
        header = request.headers.get("authorization", "")
        key = bearer(request)
        if header.lower().startswith("basic "):
            try:
                key = base64.b64decode(header[6:]).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                key = ""
        if key is None:
            raise ProblemError(401, "API Key Missing", "Your request did not include an API key.")
        if key != MAILCHIMP_KEY:
            raise BAD_KEY

    def listing(request: Request, name: str, items: list[Any], show: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        try:
            count = int(request.query_params.get("count", DEFAULT_COUNT))
            offset = int(request.query_params.get("offset", 0))
        except ValueError:
            count, offset = -1, -1
        if not 0 <= count <= MAX_COUNT or offset < 0:
            raise ProblemError(
                400,
                "Invalid Resource",
                f"The count must be 0 to {MAX_COUNT} and the offset must not be negative.",
            )
        page = offset_page(faults, VENDOR, request.url.path, len(items), offset, count)
        return {
            name: [show(item) for item in items[page.start : page.stop]],
            "total_items": page.total,
            "_links": [],
        }

    def ping(_request: Request) -> dict[str, Any]:
        return {"health_status": "Everything's Chimpy!"}

    def root(_request: Request) -> dict[str, Any]:
        return {"account_id": "sandbox", "account_name": "Sandbox shop", "account_timezone": "Europe/Berlin"}

    def sent_campaigns(request: Request) -> list[dict[str, Any]]:
        rows = account.campaigns
        since, before = _time(request, "since_send_time"), _time(request, "before_send_time")
        if since is not None:
            rows = rows[rows["sent_at"] > since]
        if before is not None:
            rows = rows[rows["sent_at"] < before]
        if request.query_params.get("status", "sent") != "sent":
            rows = rows.iloc[:0]
        if request.query_params.get("sort_dir", "ASC").upper() == "DESC":
            rows = rows.iloc[::-1]
        return records_of(rows)

    def campaigns(request: Request) -> dict[str, Any]:
        return listing(request, "campaigns", sent_campaigns(request), _campaign)

    def campaign(request: Request) -> dict[str, Any]:
        return _campaign(account.campaign(request.path_params["campaign_id"]))

    def lists(request: Request) -> dict[str, Any]:
        ids = sorted({str(value) for value in account.campaigns["list_id"].dropna()})
        return listing(request, "lists", ids, lambda key: {"id": key, "name": f"List {key}", "stats": {}, "_links": []})

    def reports(request: Request) -> dict[str, Any]:
        return listing(
            request,
            "reports",
            sent_campaigns(request),
            lambda row: _report(row, account.activity(str(row["campaign_id"]))),
        )

    def report(request: Request) -> dict[str, Any]:
        key = request.path_params["campaign_id"]
        return _report(account.campaign(key), account.activity(key))

    def email_activity(request: Request) -> dict[str, Any]:
        row = account.campaign(request.path_params["campaign_id"])

        def show(item: tuple[str, list[Row]]) -> dict[str, Any]:
            address, rows = item
            return {
                "campaign_id": str(row["campaign_id"]),
                "list_id": str(row["list_id"]),
                "list_is_active": True,
                "email_id": email_id(address),
                "email_address": address,
                "activity": [_action(entry) for entry in rows],
                "_links": [],
            }

        emails = account.emails(str(row["campaign_id"]), _time(request, "since"))
        return {
            **listing(request, "emails", emails, show),
            "campaign_id": str(row["campaign_id"]),
        }

    def sent_to(request: Request) -> dict[str, Any]:
        row = account.campaign(request.path_params["campaign_id"])

        def show(item: tuple[str, list[Row]]) -> dict[str, Any]:
            address, rows = item
            opens = [entry["occurred_at"] for entry in rows if entry["action"] == "open"]
            last_open = {"last_open": iso_offset(max(opens))} if opens else {}
            return {
                "email_id": email_id(address),
                "email_address": address,
                "merge_fields": {},
                "vip": False,
                "status": "hard" if any(entry["action"] == "bounce" for entry in rows) else "sent",
                "open_count": len(opens),
                **last_open,
                "campaign_id": str(row["campaign_id"]),
                "list_id": str(row["list_id"]),
                "list_is_active": True,
                "_links": [],
            }

        emails = account.emails(str(row["campaign_id"]), None)
        return {
            **listing(request, "sent_to", emails, show),
            "campaign_id": str(row["campaign_id"]),
        }

    def guarded(respond: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Any]:
        """Key, connection limit and the ``fields`` parameter, the same for every resource."""

        async def endpoint(request: Request) -> Response:
            if not connections.acquire(blocking=False):
                return TOO_MANY.response()
            try:
                check_key(request)
                document = await run_in_threadpool(respond, request)
            except ProblemError as problem:
                return problem.response()
            finally:
                connections.release()
            fields = request.query_params.get("fields")
            if fields:
                document = _pruned(document, [name.strip().split(".") for name in fields.split(",")])
            return JsonResponse(document)

        return endpoint

    return Starlette(
        routes=[
            Route("/3.0/", guarded(root)),
            Route("/3.0/ping", guarded(ping)),
            Route("/3.0/campaigns", guarded(campaigns)),
            Route("/3.0/campaigns/{campaign_id}", guarded(campaign)),
            Route("/3.0/lists", guarded(lists)),
            Route("/3.0/reports", guarded(reports)),
            Route("/3.0/reports/{campaign_id}", guarded(report)),
            Route("/3.0/reports/{campaign_id}/email-activity", guarded(email_activity)),
            Route("/3.0/reports/{campaign_id}/sent-to", guarded(sent_to)),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
