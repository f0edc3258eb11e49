"""HubSpot: CRM objects (list, read, search, associations), pipelines, and the e-mail event API.

Quirks kept: property values are text or null whatever their type, ``paging`` is absent on the last page, search
stops at 10,000 results and knows no associations, e-mail events count time in milliseconds.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    HUBSPOT_TOKEN,
    JsonResponse,
    World,
    bearer,
    epoch_millis,
    json_of,
    opened,
    sealed,
)
from dlt_pipelines.sandbox.vendors.hubspot_records import VENDOR, Portal, Record, object_kind

LIST_LIMIT, SEARCH_LIMIT, SEARCH_WINDOW, EVENT_LIMIT = 100, 200, 10_000, 1000
FILTER_GROUPS, FILTERS_PER_GROUP = 5, 6
ALWAYS_TOLD = {
    "contacts": ("createdate", "hs_object_id", "lastmodifieddate"),
    "deals": ("createdate", "hs_lastmodifieddate", "hs_object_id"),
}
TOLD_UNASKED = {
    "contacts": ("email", "firstname", "lastname"),
    "deals": ("amount", "closedate", "dealname", "dealstage", "pipeline"),
}
ASSOCIATION_TYPES = {
    ("deals", "contacts"): ("deal_to_contact", 3),
    ("contacts", "deals"): ("contact_to_deal", 4),
}
RATE_HEADERS = {
    "X-HubSpot-RateLimit-Daily": "250000",
    "X-HubSpot-RateLimit-Daily-Remaining": "249000",
    "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    "X-HubSpot-RateLimit-Max": "100",
    "X-HubSpot-RateLimit-Remaining": "99",
}


class RefusalError(Exception):
    """An error in HubSpot's form."""

    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status, self.category = status, category

    def response(self) -> Response:
        """The error body."""
        body = {
            "status": "error",
            "message": str(self),
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
        }
        return JsonResponse(body, self.status)


def _invalid(message: str) -> RefusalError:
    return RefusalError(400, "VALIDATION_ERROR", message)


def _throttled(request: Request, fault: Fault) -> Response:
    policy = fault.policy or ("SECONDLY" if request.url.path.endswith("/search") else "TEN_SECONDLY_ROLLING")
    body = {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": policy,
    }
    return JsonResponse(body, 429, headers={**RATE_HEADERS, "X-HubSpot-RateLimit-Remaining": "0"})


DIALECT = Dialect(
    throttle=_throttled,
    server_error=lambda _request, _fault: RefusalError(500, "INTERNAL_ERROR", "internal error").response(),
    expired_token=lambda _request, _fault: RefusalError(
        401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired 3 hour(s) ago."
    ).response(),
    revoked_token=lambda _request, _fault: RefusalError(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication.",
    ).response(),
)


def _shown(record: Record, asked: list[str] | None, associations: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object with the properties asked for; those that nobody knows are left out without a word."""
    names = [*ALWAYS_TOLD[record.kind], *(TOLD_UNASKED[record.kind] if asked is None else asked)]
    properties = {name: record.properties[name] for name in dict.fromkeys(names) if name in record.properties}
    shown: dict[str, Any] = {
        "id": str(record.id),
        "properties": properties,
        "createdAt": record.created,
        "updatedAt": record.updated,
        "archived": record.archived,
    }
    if record.archived:
        shown["archivedAt"] = record.updated
    if associations:
        shown["associations"] = associations
    return shown


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _comparable(text: str | None) -> float | str | None:
    """A value as search compares it: instants in milliseconds, numbers as numbers, everything else as text."""
    if text is None:
        return None
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}(T.*)?", text):
        try:
            return float(epoch_millis(pd.Timestamp(datetime.fromisoformat(text))))
        except ValueError:
            return text.lower()
    return text.lower()


def _passes(record: Record, condition: dict[str, Any]) -> bool:
    """Whether a record satisfies one search filter."""
    name, operator = condition.get("propertyName", ""), condition.get("operator", "")
    value = _comparable(record.properties.get(name))
    if operator in ("HAS_PROPERTY", "NOT_HAS_PROPERTY"):
        return (value is not None) == (operator == "HAS_PROPERTY")
    if operator in ("IN", "NOT_IN"):
        listed = {_comparable(str(item)) for item in condition.get("values", [])}
        return (value in listed) == (operator == "IN")
    if "value" not in condition:
        raise _invalid(f"There was a problem with the request: operator {operator} needs a value.")
    wanted = _comparable(str(condition["value"]))
    if operator in ("EQ", "NEQ"):
        return (value == wanted) == (operator == "EQ")
    if operator in ("CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"):
        found = str(wanted).strip("*") in str(value or "")
        return found == (operator == "CONTAINS_TOKEN")
    if operator not in ("GT", "GTE", "LT", "LTE", "BETWEEN"):
        raise _invalid(f"There was a problem with the request: unknown operator {operator}.")
    high = _comparable(str(condition.get("highValue", condition["value"])))
    if not isinstance(value, float) or not isinstance(wanted, float) or not isinstance(high, float):
        return False
    return {
        "GT": value > wanted,
        "GTE": value >= wanted,
        "LT": value < wanted,
        "LTE": value <= wanted,
        "BETWEEN": wanted <= value <= high,
    }[str(operator)]


def found(records: list[Record], body: dict[str, Any]) -> list[Record]:
    """Records that satisfy a search, in its order; by id where it leaves that open.

    Raises:
        RefusalError: More groups or filters than HubSpot takes, or a filter it does not know.
    """
    groups = body.get("filterGroups") or []
    if len(groups) > FILTER_GROUPS or any(len(g.get("filters", [])) > FILTERS_PER_GROUP for g in groups):
        raise _invalid("There was a problem with the request: too many filter groups or filters.")
    if groups:
        records = [
            record
            for record in records
            if any(all(_passes(record, item) for item in group.get("filters", [])) for group in groups)
        ]
    for sort in reversed(body.get("sorts") or []):
        name = sort if isinstance(sort, str) else sort.get("propertyName", "")
        descending = (name.startswith("-")) if isinstance(sort, str) else sort.get("direction") == "DESCENDING"
        name = name.lstrip("-")

        def key(record: Record, name: str = name) -> tuple[bool, float, str]:
            value = _comparable(record.properties.get(name))
            return value is None, value if isinstance(value, float) else 0.0, str(value)

        records = sorted(records, key=key, reverse=descending)
    return records


def create_app(world: World, faults: Faults) -> Starlette:
    """One portal."""
    portal = Portal(world, faults)

    def kind_of(request: Request) -> str:
        kind = object_kind(request.path_params["kind"])
        if kind is None:
            raise RefusalError(
                400, "VALIDATION_ERROR", f"Unable to infer object type from: {request.path_params['kind']}"
            )
        return kind

    def associations(record: Record, asked: list[str] | None) -> dict[str, Any] | None:
        result = {}
        for other in asked or []:
            target = object_kind(other)
            if target is None or (record.kind, target) not in ASSOCIATION_TYPES:
                continue
            label = ASSOCIATION_TYPES[record.kind, target][0]
            linked = [{"id": str(key), "type": label} for key in portal.linked(record.kind, record.id, target)]
            if linked:
                result[target] = {"results": linked}
        return result or None

    def paging(request: Request, after: str, link: bool = True) -> dict[str, Any]:
        following = {"after": after}
        if link:
            following["link"] = str(request.url.include_query_params(after=after))
        return {"paging": {"next": following}}

    def listed(request: Request) -> dict[str, Any]:
        kind, query = kind_of(request), request.query_params
        limit = _limit(query.get("limit"), 10, LIST_LIMIT)
        archived = query.get("archived", "false").lower() == "true"
        records = [record for record in portal.records(kind) if record.archived == archived]
        ids = [record.id for record in records]
        after = re.fullmatch(r"(\d*)([a-z]*)", query.get("after", ""))
        if after is None:
            raise _invalid("The paging cursor is not valid.")
        cursor = f"{bisect_right(ids, int(after[1]))}{after[2]}" if after[1] else ""
        page = cursor_page(faults, VENDOR, request.url.path, len(records), cursor, limit)
        asked = _names(query.get("properties"))
        body: dict[str, Any] = {
            "results": [
                _shown(record, asked, associations(record, _names(query.get("associations"))))
                for record in records[page.start : page.stop]
            ]
        }
        if page.cursor:
            # The cursor is the id behind which to go on, so records archived meanwhile do not shift pages.
            number, letters = re.fullmatch(r"(\d+)([a-z]*)", page.cursor).groups()  # type: ignore[union-attr]
            body |= paging(request, f"{ids[int(number) - 1] if int(number) else 0}{letters}")
        return body

    def read(request: Request) -> dict[str, Any]:
        kind, query = kind_of(request), request.query_params
        for record in portal.records(kind):
            if str(record.id) == request.path_params["object_id"]:
                linked = associations(record, _names(query.get("associations")))
                return _shown(record, _names(query.get("properties")), linked)
        raise RefusalError(404, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")

    def searched(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        kind = kind_of(request)
        limit = _limit(body.get("limit"), 10, SEARCH_LIMIT)
        after = str(body.get("after") or "")
        if after and not re.fullmatch(r"\d+[a-z]*", after):
            raise _invalid("There was a problem with the request: after must be a number.")
        if int(after.rstrip("abcdefghijklmnopqrstuvwxyz") or 0) + limit > SEARCH_WINDOW:
            raise _invalid(f"There was a problem with the request: search returns at most {SEARCH_WINDOW} results.")
        records = found([record for record in portal.records(kind) if not record.archived], body)
        page = cursor_page(faults, VENDOR, request.url.path, len(records), after, limit)
        asked = [str(name) for name in body["properties"]] if body.get("properties") else None
        reply: dict[str, Any] = {
            "total": len(records),
            "results": [_shown(record, asked) for record in records[page.start : page.stop]],
        }
        return reply | (paging(request, page.cursor, link=False) if page.cursor else {})

    def linked_batch(request: Request, body: dict[str, Any]) -> dict[str, Any]:
        source, target = (
            object_kind(request.path_params["source"]),
            object_kind(request.path_params["target"]),
        )
        if source is None or target is None or (source, target) not in ASSOCIATION_TYPES:
            raise _invalid("Unable to infer object type of the association.")
        number = ASSOCIATION_TYPES[source, target][1]
        kinds = [{"category": "HUBSPOT_DEFINED", "typeId": number, "label": None}]
        results = []
        for item in body.get("inputs", []):
            keys = portal.linked(source, int(item["id"]), target)
            if keys:
                to = [{"toObjectId": key, "associationTypes": kinds} for key in keys]
                results.append({"from": {"id": str(item["id"])}, "to": to})
        return {"status": "COMPLETE", "results": results, "startedAt": portal.now, "completedAt": portal.now}

    def pipelines(request: Request) -> dict[str, Any]:
        kind_of(request)
        return {"results": portal.pipelines()}

    def events(request: Request) -> dict[str, Any]:
        query = request.query_params
        try:
            first, last = int(query.get("startTimestamp", 0)), int(query.get("endTimestamp", 2**62))
        except ValueError:
            raise _invalid("startTimestamp and endTimestamp are milliseconds since 1970.") from None
        rows = [
            event
            for event in portal.email_events()
            if first <= event["created"] <= last
            and query.get("eventType", event["type"]) == event["type"]
            and query.get("campaignId", str(event["emailCampaignId"])) == str(event["emailCampaignId"])
            and query.get("recipient", event["recipient"]) == event["recipient"]
        ]
        return opaque_page(request, "events", rows, EVENT_LIMIT)

    def campaigns(request: Request) -> dict[str, Any]:
        rows = [
            {name: campaign[name] for name in ("id", "appId", "appName", "lastUpdatedTime")}
            for campaign in portal.campaigns()
        ]
        return opaque_page(request, "campaigns", rows, EVENT_LIMIT)

    def campaign(request: Request) -> dict[str, Any]:
        for row in portal.campaigns():
            if str(row["id"]) == request.path_params["campaign_id"]:
                return row
        raise RefusalError(404, "OBJECT_NOT_FOUND", "No campaign with that id.")

    def opaque_page(request: Request, name: str, rows: list[dict[str, Any]], most: int) -> dict[str, Any]:
        limit = _limit(request.query_params.get("limit"), most, most)
        try:
            cursor = opened(request.query_params.get("offset", ""))
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, limit)
        except ValueError:
            raise _invalid("The offset is not one that this API gave.") from None
        end = page.cursor or str(page.stop)
        return {
            "hasMore": page.cursor is not None,
            "offset": sealed(end),
            name: rows[page.start : page.stop],
        }

    def guarded(respond: Callable[..., dict[str, Any]], *, with_body: bool = False) -> Callable[[Request], Any]:
        """Token, body and rate headers, the same for every resource."""

        async def endpoint(request: Request) -> Response:
            try:
                if bearer(request) != HUBSPOT_TOKEN:
                    return DIALECT.revoked_token(request, Fault(VENDOR, "revoked_token"))
                try:
                    extra = [await json_of(request)] if with_body else []
                except ValueError as error:
                    raise _invalid(f"Invalid input JSON: {error}") from None
                document = await run_in_threadpool(respond, request, *extra)
            except RefusalError as refusal:
                return refusal.response()
            return JsonResponse(document, headers=RATE_HEADERS)

        return endpoint

    routes = [
        Route("/crm/v3/pipelines/{kind}", guarded(pipelines)),
        Route("/crm/pipelines/2026-09/{kind}", guarded(pipelines)),
        Route(
            "/crm/v4/associations/{source}/{target}/batch/read",
            guarded(linked_batch, with_body=True),
            methods=["POST"],
        ),
        Route("/email/public/v1/events", guarded(events)),
        Route("/email/public/v1/campaigns/by-id", guarded(campaigns)),
        Route("/email/public/v1/campaigns/{campaign_id}", guarded(campaign)),
    ]
    for base in ("/crm/v3/objects", "/crm/objects/2026-09"):
        routes += [
            Route(f"{base}/{{kind}}/search", guarded(searched, with_body=True), methods=["POST"]),
            Route(f"{base}/{{kind}}/{{object_id}}", guarded(read)),
            Route(f"{base}/{{kind}}", guarded(listed)),
        ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )


def _limit(value: Any, default: int, most: int) -> int:
    try:
        limit = default if value is None else int(value)
    except (TypeError, ValueError):
        limit = -1
    if not 0 < limit <= most:
        raise _invalid(f"limit must be between 1 and {most}.")
    return limit
