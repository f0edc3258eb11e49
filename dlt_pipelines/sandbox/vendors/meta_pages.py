"""The Graph API's pages: insights of a Facebook page and an Instagram account by day, their posts with insights inside.

Quirks kept: a day's value carries the end of the Pacific day, a page's insights want the page's own token, most Instagram
metrics have totals only, a withdrawn metric is an error of the whole call, `next` carries the token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import AMERICA, JsonResponse, World, bearer, opened, records_of, sealed
from dlt_pipelines.sandbox.vendors.common import sandbox_secret as secret
from dlt_pipelines.sandbox.vendors.meta_ads import DIALECT
from dlt_pipelines.sandbox.vendors.meta_insights import GraphError, unknown_object
from dlt_pipelines.sandbox.vendors.social_facts import ACCOUNTS, post_totals, served_days

VENDOR = "meta_pages"
TOKEN = f"EAAB{secret('meta pages', 60)}"
PAGE_TOKEN = f"EAAP{secret('meta pages page', 60)}"
PAGE, ACCOUNT = ACCOUNTS["facebook"], ACCOUNTS["instagram"]
ENGAGEMENTS = ("reactions", "comments", "shares")
PAGE_METRICS: dict[str, Callable[[dict[str, Any]], int]] = {
    "page_media_view": lambda row: int(row["impressions"]),
    "page_total_media_view_unique": lambda row: int(row["reach"]),
    "page_post_engagements": lambda row: sum(int(row[name]) for name in ENGAGEMENTS),
    "page_follows": lambda row: int(row["followers"]),
}
ACCOUNT_METRICS: dict[str, Callable[[dict[str, Any]], int]] = {
    "views": lambda row: int(row["impressions"]),
    "reach": lambda row: int(row["reach"]),
    "total_interactions": lambda row: sum(int(row[name]) for name in ENGAGEMENTS),
    "website_clicks": lambda row: int(row["clicks"]),
}
POST_METRICS: dict[str, str] = {
    "post_media_view": "impressions",
    "post_total_media_view_unique": "reach",
    "post_clicks": "clicks",
    "views": "impressions",
    "reach": "reach",
    "shares": "shares",
}


def _time(value: Any) -> str:
    return pd.Timestamp(value).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _day_of(text: str) -> str:
    """A `since` or `until` as the Pacific day it means: a date, or epoch seconds."""
    if text.isdigit():
        return datetime.fromtimestamp(int(text), ZoneInfo(AMERICA)).date().isoformat()
    return text


def create_app(world: World, faults: Faults) -> Starlette:
    """One page and one account."""

    def metrics_of(request: Request, known: dict[str, Callable[[dict[str, Any]], int]]) -> list[str]:
        names = request.query_params.get("metric", "").split(",")
        if not set(names) <= known.keys():
            raise GraphError(100, "(#100) The value must be a valid insights metric")
        return names

    def days(request: Request, network: str) -> list[dict[str, Any]]:
        query = request.query_params
        since, until = _day_of(query["since"]), _day_of(query["until"])
        if (pd.Timestamp(until) - pd.Timestamp(since)).days > 90:
            raise GraphError(100, "(#100) There cannot be more than 90 days between since and until")
        rows = records_of(served_days(world, network, faults, VENDOR))
        return [row for row in rows if since <= row["date"] < until]

    def page_insights(request: Request, token: str) -> dict[str, Any]:
        if token != PAGE_TOKEN:
            raise GraphError(190, "This method must be called with a Page Access Token", subcode=2069032)
        rows = days(request, "facebook")
        data = []
        for name in metrics_of(request, PAGE_METRICS):
            values = []
            for row in rows:
                ends = (pd.Timestamp(row["date"]) + pd.Timedelta(days=1)).tz_localize(AMERICA).tz_convert(UTC)
                values.append({"value": PAGE_METRICS[name](row), "end_time": _time(ends)})
            data.append({"name": name, "period": "day", "values": values, "id": f"{PAGE}/insights/{name}/day"})
        here = str(request.url)
        return {"data": data, "paging": {"previous": here, "next": here}}

    def account_insights(request: Request, _token: str) -> dict[str, Any]:
        names = metrics_of(request, ACCOUNT_METRICS)
        if request.query_params.get("metric_type") != "total_value":
            raise GraphError(
                100, "(#100) The following metrics should be specified with parameter metric_type=total_value"
            )
        rows = days(request, "instagram")
        data = [
            {
                "name": name,
                "period": "day",
                "total_value": {"value": sum(ACCOUNT_METRICS[name](row) for row in rows)},
                "id": f"{ACCOUNT}/insights/{name}/day",
            }
            for name in names
        ]
        return {"data": data if rows else []}

    def listing(request: Request, network: str, shown: Callable[[dict[str, Any], list[str]], dict[str, Any]]) -> Any:
        query = request.query_params
        limit = int(query.get("limit", 25))
        fields = query.get("fields", "id")
        asked = fields.partition("insights.metric(")[2].partition(")")[0].split(",")
        first, last = int(query.get("since", 0)), int(query.get("until", 2**40))
        rows = [
            row
            for row in records_of(post_totals(world, network).sort_values("published_at", ascending=False))
            if first <= row["published_at"].timestamp() < last
        ]
        turn = cursor_page(faults, VENDOR, request.url.path, len(rows), opened(query.get("after", "")), limit)
        after = sealed(turn.cursor or str(turn.stop))
        paging: dict[str, Any] = {"cursors": {"before": sealed(str(turn.start)), "after": after}}
        if turn.cursor:
            paging["next"] = str(request.url.include_query_params(after=after, access_token=TOKEN))
        return {"data": [shown(row, asked) for row in rows[turn.start : turn.stop]], "paging": paging}

    def insights_of(row: dict[str, Any], asked: list[str]) -> dict[str, Any]:
        return {
            "data": [
                {"name": name, "period": "lifetime", "values": [{"value": int(row[POST_METRICS[name]])}]}
                for name in asked
                if name in POST_METRICS
            ]
        }

    def page_post(row: dict[str, Any], asked: list[str]) -> dict[str, Any]:
        post: dict[str, Any] = {
            "id": f"{PAGE}_{row['post_id']}",
            "created_time": _time(row["published_at"]),
            "message": row["text"],
            "permalink_url": f"https://www.facebook.com/{PAGE}/posts/{row['post_id']}",
            "reactions": {"data": [], "summary": {"total_count": int(row["reactions"])}},
            "comments": {"data": [], "summary": {"total_count": int(row["comments"])}},
            "insights": insights_of(row, asked),
        }
        # Facebook leaves out what nobody shared.
        return post | ({"shares": {"count": int(row["shares"])}} if row["shares"] else {})

    def account_post(row: dict[str, Any], asked: list[str]) -> dict[str, Any]:
        code = hashlib.sha256(row["post_id"].encode()).hexdigest()[:11]
        return {
            "id": row["post_id"],
            "timestamp": _time(row["published_at"]),
            "caption": row["text"],
            "permalink": f"https://www.instagram.com/p/{code}/",
            "like_count": int(row["reactions"]),
            "comments_count": int(row["comments"]),
            "insights": insights_of(row, asked),
        }

    def node(request: Request, _token: str) -> dict[str, Any]:
        number = request.path_params["node"]
        if number not in (PAGE, ACCOUNT):
            raise unknown_object(number)
        extra = (
            {"access_token": PAGE_TOKEN} if number == PAGE and "access_token" in request.query_params["fields"] else {}
        )
        return {"id": number, "name": "Sandbox shop", **extra}

    def route(path: str, respond: Callable[[Request, str], Any]) -> Route:
        async def endpoint(request: Request) -> Response:
            token = bearer(request) or request.query_params.get("access_token", "")
            try:
                if token not in (TOKEN, PAGE_TOKEN):
                    raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
                return JsonResponse(await run_in_threadpool(respond, request, token))
            except GraphError as refused:
                return refused.response()

        return Route(path, endpoint)

    return Starlette(
        routes=[
            route(f"/{{version}}/{PAGE}/insights", page_insights),
            route(f"/{{version}}/{ACCOUNT}/insights", account_insights),
            route(f"/{{version}}/{PAGE}/posts", lambda request, _: listing(request, "facebook", page_post)),
            route(f"/{{version}}/{ACCOUNT}/media", lambda request, _: listing(request, "instagram", account_post)),
            route("/{version}/{node}", node),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
