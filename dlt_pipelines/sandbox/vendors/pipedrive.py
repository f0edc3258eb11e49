"""Pipedrive: API v2 listings by cursor, v1 changelogs of deals, an API token or OAuth.

Quirks kept: custom fields under 40-letter keys, won and lost deals in the stage they were in, archived deals in a listing
of their own, v1 times without a zone, limits told in ``x-ratelimit-reset`` seconds, abuse answered by a page of the shield.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    bearer,
    form_of,
    on_time,
    opened,
    records_of,
    sandbox_secret,
    sealed,
    text_or_none,
    whole,
    world_end,
)
from dlt_pipelines.sandbox.vendors.crm_facts import stage_entries
from dlt_pipelines.sandbox.vendors.oauth import LIFETIME, RefreshAuthority, basic_pair

VENDOR = "pipedrive"
TOKEN = sandbox_secret("pipedrive", 40)
MOST, USUAL = 500, 100
PERSON_FIELDS = {
    "Customer source": "customer_source",
    "User id": "user_id",
    "Organisation id": "organisation_id",
    "GCLID": "hs_google_click_id",
    "First URL": "first_url",
}
DEAL_FIELDS = {"Product": "product"}
# Two weeks before the world's end a deal that was decided is put aside.
ARCHIVED_AFTER = pd.Timedelta(days=14)


def field_key(name: str) -> str:
    """The key under which a custom field's values stand."""
    return hashlib.sha256(f"pipedrive field {name}".encode()).hexdigest()[:40]


def client(faults: Faults) -> RefreshAuthority:
    """The OAuth app and its user's tokens; refresh tokens stay as they are."""
    return RefreshAuthority(VENDOR, faults, rotates=False, prefix="v1u:")


def _error(status: int, message: str) -> Response:
    return JsonResponse({"success": False, "error": message, "errorCode": status}, status)


def _throttled(_request: Request, fault: Fault) -> Response:
    if fault.policy == "abuse":
        page = "<!DOCTYPE html><html><head><title>Access denied | Cloudflare</title></head></html>"
        return Response(page, 403, media_type="text/html; charset=UTF-8")
    response = _error(429, "request over limit")
    seconds = str(max(1, round(fault.seconds)))
    response.headers.update({"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": seconds})
    return response


class Company:
    """What the sandbox's account holds.

    Attributes:
        people: person's number by the world's contact id; deals: by deal id; stages: by stage id.
    """

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults, self._end = world, faults, world_end(world)
        self.people = {str(key): number for number, key in enumerate(sorted(world.contacts["contact_id"], key=int), 1)}
        self.deals = {str(key): number for number, key in enumerate(sorted(world.deals["deal_id"], key=int), 1)}
        stages = records_of(world.deal_stages.sort_values(["pipeline_id", "display_order"]))
        self._open = [row for row in stages if not row["is_closed"]]
        self._closed = {str(row["stage_id"]): bool(row["is_won"]) for row in stages if row["is_closed"]}
        self.stages = {str(row["stage_id"]): number for number, row in enumerate(self._open, 1)}
        self.pipelines = {
            name: number for number, name in enumerate(sorted({str(r["pipeline_id"]) for r in stages}), 1)
        }
        self._entries: dict[str, list[dict[str, Any]]] = {}
        for row in records_of(stage_entries(world)):
            self._entries.setdefault(row["deal_id"], []).append(row)
        names = world.people.set_index("person_id")
        self._persons = [self._person(row, names) for row in records_of(world.contacts)]
        self._deals = [self._deal(row) for row in records_of(world.deals)]

    def persons(self) -> list[dict[str, Any]]:
        """Persons that are there now, by last change."""
        return self._shown([row for row in self._persons if not row["is_deleted"]])

    def listed_deals(self, *, archived: bool, statuses: frozenset[str]) -> list[dict[str, Any]]:
        """Deals in one of these statuses, by last change."""
        rows = [row for row in self._deals if row["is_archived"] == archived and row["status"] in statuses]
        return self._shown(rows)

    def _shown(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if rows and self._faults.active(VENDOR, "late_rows") is not None:
            times = pd.to_datetime(pd.Series([row["update_time"] for row in rows])).dt.tz_localize(None)
            kept = on_time(self._faults, VENDOR, self._end, pd.Series([row["id"] for row in rows]), times)
            rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
        return sorted(rows, key=lambda row: (row["update_time"], row["id"]))

    def listed_stages(self) -> list[dict[str, Any]]:
        """Open stages; winning and losing are no stages here."""
        return [
            {
                "id": self.stages[str(row["stage_id"])],
                "order_nr": whole(row["display_order"]),
                "name": str(row["label"]),
                "is_deleted": False,
                "deal_probability": round(float(row["probability"]) * 100),
                "pipeline_id": self.pipelines[str(row["pipeline_id"])],
                "is_deal_rot_enabled": False,
                "days_to_rotten": None,
                "add_time": "2026-01-01T00:00:00Z",
                "update_time": None,
            }
            for row in self._open
        ]

    def changelog(self, number: int) -> list[dict[str, Any]] | None:
        """Changes of one deal, the newest first; None for an unknown one."""
        key = next((key for key, known in self.deals.items() if known == number), None)
        if key is None:
            return None
        rows = []
        entries = self._entries[key]
        for before, after in itertools.pairwise(entries):
            stage = after["stage_id"]
            closed = stage in self._closed
            status = ("won" if self._closed[stage] else "lost") if closed else None
            rows.append(
                {
                    "field_key": "status" if closed else "stage_id",
                    "old_value": "open" if closed else str(self.stages[before["stage_id"]]),
                    "new_value": status if closed else str(self.stages[stage]),
                    "actor_user_id": 1,
                    "time": after["entered_at"].strftime("%Y-%m-%d %H:%M:%S"),
                    "change_source": "app",
                    "change_source_user_agent": None,
                    "is_bulk_update_flag": False,
                }
            )
        return rows[::-1]

    def fields(self, kind: str) -> list[dict[str, Any]]:
        """Fields of deals or persons: some of Pipedrive's own, and the account's."""
        own = PERSON_FIELDS if kind == "person" else DEAL_FIELDS
        built_in = {"Name" if kind == "person" else "Title": "name" if kind == "person" else "title"}
        rows: list[dict[str, Any]] = [
            {"field_name": name, "field_code": code, "field_type": "varchar", "options": None, "is_custom_field": False}
            for name, code in built_in.items()
        ]
        for name in own:
            options = [{"id": n, "label": label} for n, label in enumerate(self._options(name), 1)] or None
            kind_of = "enum" if options else "varchar"
            rows.append(
                {
                    "field_name": name,
                    "field_code": field_key(name),
                    "field_type": kind_of,
                    "options": options,
                    "is_custom_field": True,
                }
            )
        return rows

    def _options(self, name: str) -> list[str]:
        """Answers are picked from a list here; the other fields are text."""
        if name != "Customer source":
            return []
        return sorted(set(self._world.contacts["customer_source"].dropna().astype(str)))

    def _custom(self, row: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
        custom: dict[str, Any] = {}
        for name, column in fields.items():
            value = text_or_none(row[column])
            options = self._options(name)
            custom[field_key(name)] = options.index(value) + 1 if options and value is not None else value
        return custom

    def _person(self, row: dict[str, Any], names: pd.DataFrame) -> dict[str, Any]:
        person = names.loc[row["person_id"]] if row["person_id"] in names.index else None
        first, last = ("-", "-") if person is None else (str(person["first_name"]), str(person["last_name"]))
        phone = None if person is None else text_or_none(person["phone"])
        email = text_or_none(row["email"])
        work = {"label": "work"}
        return {
            "id": self.people[str(row["contact_id"])],
            "name": f"{first} {last}",
            "first_name": first,
            "last_name": last,
            "owner_id": 1,
            "org_id": None,
            "add_time": _time(row["created_at"]),
            "update_time": _time(row["updated_at"]),
            # The second address is one that nobody reads.
            "emails": [{"value": f"old.{email}", "primary": False, **work}, {"value": email, "primary": True, **work}]
            if email
            else [],
            "phones": [{"value": phone, "primary": True, **work}] if phone else [],
            "is_deleted": bool(row["archived"]),
            "visible_to": 3,
            "label_ids": [],
            "custom_fields": self._custom(row, PERSON_FIELDS),
        }

    def _deal(self, row: dict[str, Any]) -> dict[str, Any]:
        entries = self._entries[str(row["deal_id"])]
        last = entries[-1]["stage_id"]
        decided = last in self._closed
        status = ("won" if self._closed[last] else "lost") if decided else "open"
        standing = entries[-2]["stage_id"] if decided else last
        moment = _time(entries[-1]["entered_at"]) if decided else None
        contacts = [str(contact) for contact in row["contact_ids"]]
        return {
            "id": self.deals[str(row["deal_id"])],
            "title": text_or_none(row["name"]),
            "creator_user_id": 1,
            "owner_id": 1,
            "value": None if pd.isna(row["amount"]) else float(row["amount"]),
            "currency": text_or_none(row["currency"]),
            "person_id": self.people[contacts[0]] if contacts else None,
            "org_id": None,
            "pipeline_id": self.pipelines[str(row["pipeline"])],
            "stage_id": self.stages[standing],
            "status": "deleted" if row["archived"] else status,
            "add_time": _time(row["created_at"]),
            "update_time": _time(row["updated_at"]),
            "stage_change_time": _time(entries[-2 if decided else -1]["entered_at"]),
            "expected_close_date": None
            if pd.isna(row["close_at"])
            else pd.Timestamp(row["close_at"]).strftime("%Y-%m-%d"),
            "close_time": moment,
            "won_time": moment if status == "won" else None,
            "lost_time": moment if status == "lost" else None,
            "lost_reason": None,
            "is_deleted": bool(row["archived"]),
            "is_archived": decided and not row["archived"] and row["updated_at"] < self._end - ARCHIVED_AFTER,
            "label_ids": [],
            "visible_to": 3,
            "custom_fields": self._custom(row, DEAL_FIELDS),
        }


def create_app(world: World, faults: Faults) -> Starlette:
    """One company's account."""
    company, authority = Company(world, faults), client(faults)

    def unauthorised() -> Response:
        return _error(401, "unauthorized access")

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return unauthorised()

    dialect = Dialect(
        throttle=_throttled,
        server_error=lambda _request, _fault: _error(503, "Service temporarily unavailable"),
        expired_token=expired,
        revoked_token=lambda _request, _fault: unauthorised(),
    )

    def paged(request: Request, rows: list[dict[str, Any]]) -> Response:
        query = request.query_params
        try:
            limit = int(query.get("limit", USUAL))
            if not 0 < limit <= MOST:
                raise ValueError
            cursor = opened(query.get("cursor", ""))
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, limit)
        except ValueError:
            return _error(400, "Parameter limit or cursor is invalid")
        following = sealed(page.cursor) if page.cursor else None
        return JsonResponse(
            {
                "success": True,
                "data": rows[page.start : page.stop],
                "additional_data": {"next_cursor": following},
            }
        )

    def since(request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first = request.query_params.get("updated_since", "")
        return [row for row in rows if row["update_time"] >= first]

    def persons(request: Request) -> Response:
        return paged(request, since(request, company.persons()))

    def deals(request: Request) -> Response:
        statuses = frozenset(request.query_params.get("status", "open,won,lost").split(","))
        return paged(request, since(request, company.listed_deals(archived=False, statuses=statuses)))

    def archived(request: Request) -> Response:
        statuses = frozenset(request.query_params.get("status", "open,won,lost").split(","))
        return paged(request, since(request, company.listed_deals(archived=True, statuses=statuses)))

    def changelog(request: Request) -> Response:
        rows = company.changelog(request.path_params["deal"])
        return _error(404, "Deal not found") if rows is None else paged(request, rows)

    def guarded(respond: Callable[[Request], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("x-api-token") != TOKEN and not authority.accepts(bearer(request)):
                return unauthorised()
            response = await run_in_threadpool(respond, request)
            response.headers.update(
                {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "19", "x-ratelimit-reset": "2"}
            )
            return response

        return endpoint

    async def token(request: Request) -> Response:
        form = await form_of(request)
        if not authority.knows_client(*basic_pair(request)):
            return JsonResponse({"success": False, "error": "invalid_client", "message": "Client is invalid"}, 401)
        grant = authority.redeem(form.get("refresh_token")) if form.get("grant_type") == "refresh_token" else None
        if grant is None:
            return JsonResponse(
                {"success": False, "error": "invalid_grant", "message": "refresh token is invalid"}, 400
            )
        return JsonResponse(
            {
                "access_token": grant.access_token,
                "token_type": "Bearer",
                "expires_in": LIFETIME - 1,
                "refresh_token": grant.refresh_token,
                "scope": "base deals:read contacts:read",
                "api_domain": str(request.url).removesuffix("/oauth/token"),
            }
        )

    data = Starlette(
        routes=[
            Route("/api/v2/persons", guarded(persons)),
            Route("/api/v2/deals", guarded(deals)),
            Route("/api/v2/deals/archived", guarded(archived)),
            Route("/api/v2/stages", guarded(lambda request: paged(request, company.listed_stages()))),
            Route("/api/v2/dealFields", guarded(lambda request: paged(request, company.fields("deal")))),
            Route("/api/v2/personFields", guarded(lambda request: paged(request, company.fields("person")))),
            Route("/v1/deals/{deal:int}/changelog", guarded(changelog)),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect)],
    )
    # Faults strike the data; what they mean for signing in is the authority's to say.
    return Starlette(routes=[Route("/oauth/token", token, methods=["POST"]), Mount("/", data)])


def _time(value: Any) -> str:
    return pd.Timestamp(value).strftime("%Y-%m-%dT%H:%M:%SZ")
