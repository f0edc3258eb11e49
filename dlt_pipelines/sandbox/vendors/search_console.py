"""Search Console: the properties a user may read, and search analytics by startRow and rowLimit.

Quirks kept: keys in the order of the asked dimensions, no total, no `rows` at all where there are none, two days that are
not final yet, quotas told with a 403.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors.common import JsonResponse, World, json_of, on_time, records_of, world_today
from dlt_pipelines.sandbox.vendors.google_oauth import (
    SEARCH_SCOPES,
    google_dialect,
    google_error,
    refusal,
    shared_authority,
)
from dlt_pipelines.sandbox.vendors.search_facts import search_days

VENDOR = "search_console"
SITE = "sc-domain:shop.example"
MOST_ROWS = 25_000
USUAL_ROWS = 1000
# Days that are still counted.
FRESH_DAYS = 2
KNOWN = ("date", "query", "page", "device")


def final_days(world: World) -> pd.DataFrame:
    """The rows of days that will not change any more."""
    end = str(world_today(world) - pd.Timedelta(days=FRESH_DAYS))
    table = search_days(world)
    return table[table["date"] < end].reset_index(drop=True)


def grouped(table: pd.DataFrame, dimensions: list[str]) -> list[dict[str, Any]]:
    """Rows by dimensions, most clicks first; queries that are not told make no row where the query is asked for."""
    if "query" in dimensions:
        table = table[table["query"].notna()]
    if table.empty:
        return []
    table = table.assign(weight=table["position"] * table["impressions"])
    figures = table.groupby(dimensions, as_index=False)[["clicks", "impressions", "weight"]].sum()
    figures = figures.sort_values(["clicks", *dimensions], ascending=[False, *[True] * len(dimensions)], kind="stable")
    return [
        {
            "keys": [str(row[name]) for name in dimensions],
            "clicks": int(row["clicks"]),
            "impressions": int(row["impressions"]),
            "ctr": row["clicks"] / row["impressions"],
            "position": round(row["weight"] / row["impressions"], 6),
        }
        for row in records_of(figures)
    ]


def _forbidden(reason: str, message: str) -> Response:
    body = {
        "code": 403,
        "message": message,
        "errors": [{"message": message, "domain": "usageLimits", "reason": reason}],
    }
    return JsonResponse({"error": body}, 403)


def _throttled(_request: Request, fault: Fault) -> Response:
    if fault.policy == "rate":
        return _forbidden("rateLimitExceeded", "Rate Limit Exceeded")
    return _forbidden(
        "quotaExceeded", "Search Analytics load quota exceeded. Learn about usage limits: https://example.test"
    )


def create_app(world: World, faults: Faults) -> Starlette:
    """One property of one user."""
    authority = shared_authority()
    usual = google_dialect(authority)
    final = final_days(world)
    times = pd.to_datetime(final["date"])
    marks = final["date"] + final["query"].fillna("") + final["page"] + final["device"]
    dialect = Dialect(_throttled, usual.server_error, usual.expired_token, usual.revoked_token)

    def queried(request: Request, body: dict[str, Any]) -> Response:
        if request.path_params["site"] != SITE:
            return google_error(
                403,
                "PERMISSION_DENIED",
                f"User does not have sufficient permission for site '{request.path_params['site']}'. See also: "
                "https://support.google.com/webmasters/answer/2451999.",
            )
        dimensions = [str(name) for name in body.get("dimensions", [])]
        limit, start = int(body.get("rowLimit", USUAL_ROWS)), int(body.get("startRow", 0))
        if (
            not 0 < limit <= MOST_ROWS
            or not set(dimensions) <= set(KNOWN)
            or not {"startDate", "endDate"} <= body.keys()
        ):
            return google_error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        end = times.max() + pd.Timedelta(days=1) if len(times) else pd.Timestamp(world_today(world))
        table = final[on_time(faults, VENDOR, end, marks, times)]
        table = table[table["date"].between(str(body["startDate"]), str(body["endDate"]))]
        rows = grouped(table, dimensions)
        page = offset_page(faults, VENDOR, request.url.path, len(rows), start, limit)
        shown = rows[page.start : page.stop]
        kind = "byPage" if "page" in dimensions else "byProperty"
        return JsonResponse(({"rows": shown} if shown else {}) | {"responseAggregationType": kind})

    async def query(request: Request) -> Response:
        refused = refusal(request, authority, SEARCH_SCOPES)
        if refused is not None:
            return refused
        try:
            body = await json_of(request)
        except ValueError:
            return google_error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
        return await run_in_threadpool(queried, request, body)

    async def sites(request: Request) -> Response:
        entry = {"siteUrl": SITE, "permissionLevel": "siteFullUser"}
        return refusal(request, authority, SEARCH_SCOPES) or JsonResponse({"siteEntry": [entry]})

    return Starlette(
        routes=[
            Route("/webmasters/v3/sites", sites),
            Route("/webmasters/v3/sites/{site:path}/searchAnalytics/query", query, methods=["POST"]),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect)],
    )
