"""LinkedIn's organisation pages: share and follower statistics by day or post, and the posts, in Rest.li 2.0."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors import linkedin_ads
from dlt_pipelines.sandbox.vendors.common import JsonResponse, World, epoch_millis, records_of
from dlt_pipelines.sandbox.vendors.oauth import RefreshAuthority, token_route
from dlt_pipelines.sandbox.vendors.social_facts import ACCOUNTS, post_totals, served_days

VENDOR = "linkedin_pages"
TOKEN_PATH = linkedin_ads.TOKEN_PATH
ORGANISATION = ACCOUNTS["linkedin"]
URN = f"urn:li:organization:{ORGANISATION}"
DAY = 86_400_000
_SPAN = re.compile(r"\(timeRange:\(start:(\d+),end:(\d+)\),timeGranularityType:DAY\)")


def _totals(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "impressionCount": int(row["impressions"]),
        "uniqueImpressionsCount": int(row["reach"]),
        "clickCount": int(row["clicks"]),
        "likeCount": int(row["reactions"]),
        "commentCount": int(row["comments"]),
        "shareCount": int(row["shares"]),
        "engagement": round((row["clicks"] + row["reactions"]) / max(row["impressions"], 1), 12),
    }


def create_app(world: World, faults: Faults) -> Starlette:
    """The API for one organisation, and its token endpoint."""
    authority = RefreshAuthority(VENDOR, faults, rotates=False, prefix="AQ")
    error = linkedin_ads.error

    def unauthorised(code: str) -> Response:
        return error(401, "Invalid access token", code, 65601 if code == "REVOKED_ACCESS_TOKEN" else 65602)

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return unauthorised("EXPIRED_ACCESS_TOKEN")

    dialect = Dialect(
        throttle=linkedin_ads._throttled,
        server_error=lambda _request, _fault: error(500, "Internal Server Error"),
        expired_token=expired,
        revoked_token=lambda _request, _fault: unauthorised("REVOKED_ACCESS_TOKEN"),
    )

    def asked(request: Request, about: str = "organizationalEntity") -> dict[str, str]:
        query = linkedin_ads.restli_query(request.url.query)
        if unquote(query.get(about, "")) != URN:
            raise PermissionError
        return query

    def days(query: dict[str, str]) -> list[dict[str, Any]]:
        span = _SPAN.fullmatch(query["timeIntervals"])
        if span is None or int(span[1]) % DAY or int(span[2]) % DAY:
            raise ValueError("Invalid time range: days begin at midnight UTC")
        rows = records_of(served_days(world, "linkedin", faults, VENDOR))
        return [row for row in rows if int(span[1]) <= epoch_millis(row["date"]) < int(span[2])]

    def day_range(row: dict[str, Any]) -> dict[str, int]:
        begin = epoch_millis(row["date"])
        return {"start": begin, "end": begin + DAY}

    def listing(elements: list[dict[str, Any]]) -> Response:
        return JsonResponse({"paging": {"start": 0, "count": 10, "links": []}, "elements": elements})

    def shares(request: Request) -> Response:
        query = asked(request)
        if "timeIntervals" in query:
            return listing(
                [
                    {"organizationalEntity": URN, "timeRange": day_range(row), "totalShareStatistics": _totals(row)}
                    for row in days(query)
                ]
            )
        wanted = {unquote(urn) for urn in query.get("shares", "")[5:-1].split(",")}
        rows = records_of(post_totals(world, "linkedin"))
        return listing(
            [
                {"organizationalEntity": URN, "share": urn, "totalShareStatistics": _totals(row)}
                for row in rows
                if (urn := f"urn:li:share:{row['post_id']}") in wanted
            ]
        )

    def followers(request: Request) -> Response:
        return listing(
            [
                {
                    "organizationalEntity": URN,
                    "timeRange": day_range(row),
                    "followerGains": {"organicFollowerGain": int(row["follower_gain"]), "paidFollowerGain": 0},
                }
                for row in days(asked(request))
            ]
        )

    def posts(request: Request) -> Response:
        query = asked(request, "author")
        start, count = int(query.get("start", "0")), int(query.get("count", "10"))
        rows = records_of(post_totals(world, "linkedin").sort_values("published_at", ascending=False))
        page = offset_page(faults, VENDOR, request.url.path, len(rows), start, count)
        elements = [
            {
                "id": f"urn:li:share:{row['post_id']}",
                "author": URN,
                "commentary": row["text"],
                "createdAt": epoch_millis(row["published_at"]),
                "publishedAt": epoch_millis(row["published_at"]),
                "lastModifiedAt": epoch_millis(row["published_at"] + pd.Timedelta(minutes=1)),
                "lifecycleState": "PUBLISHED",
                "visibility": "PUBLIC",
            }
            for row in rows[page.start : page.stop]
        ]
        return JsonResponse({"paging": {"start": start, "count": count, "links": []}, "elements": elements})

    def organisation(request: Request) -> Response:
        if request.path_params["number"] != ORGANISATION:
            raise PermissionError
        return JsonResponse({"id": int(ORGANISATION), "localizedName": "Sandbox shop", "vanityName": "sandbox-shop"})

    def route(path: str, respond: Callable[[Request], Response]) -> Route:
        async def endpoint(request: Request) -> Response:
            if not request.headers.get("linkedin-version"):
                return error(400, "Version header is not present", "VERSION_MISSING")
            if request.headers["linkedin-version"] < linkedin_ads.OLDEST_VERSION:
                return error(426, "Requested version is not active", "NONEXISTENT_VERSION")
            if not authority.admits(request):
                return unauthorised("INVALID_ACCESS_TOKEN")
            try:
                return await run_in_threadpool(respond, request)
            except PermissionError:
                return error(403, "Not enough permissions to access the organization", "ACCESS_DENIED", 100)
            except (ValueError, KeyError) as refused:
                return error(400, str(refused), "ILLEGAL_ARGUMENT")

        return Route(path, endpoint)

    data = Starlette(
        routes=[
            route("/organizationalEntityShareStatistics", shares),
            route("/organizationalEntityFollowerStatistics", followers),
            route("/posts", posts),
            route("/organizations/{number}", organisation),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect)],
    )
    return Starlette(routes=[token_route(TOKEN_PATH, authority), Mount("/rest", data)])
