"""X API v2: an account's posts and their analytics, by an app's bearer token or signed in the user's name.

Quirks kept: no `data` where there is nothing, private figures for 30 days and for the owner only, else a partial error
beside the data under HTTP 200, problem documents for errors, the moment of reset in a header.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors import oauth1
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    bearer,
    iso_millis,
    opened,
    records_of,
    sandbox_secret,
    sealed,
    world_end,
)
from dlt_pipelines.sandbox.vendors.social_facts import ACCOUNTS, post_days, post_totals

VENDOR = "x_posts"
USER = ACCOUNTS["x"]
BEARER = f"AAAA{sandbox_secret('x bearer', 60)}"
CREDENTIALS = {
    "X_POSTS_CONSUMER_KEY": sandbox_secret("x posts consumer key", 25),
    "X_POSTS_CONSUMER_SECRET": sandbox_secret("x posts consumer secret", 50),
    "X_POSTS_ACCESS_TOKEN": f"{USER}-{sandbox_secret('x posts access token', 40)}",
    "X_POSTS_ACCESS_TOKEN_SECRET": sandbox_secret("x posts access token secret", 45),
}
PRIVATE = pd.Timedelta(days=30)
PROBLEMS = "https://api.x.com/2/problems"
FEWEST, MOST = 1, 100


class Problem(Exception):  # noqa: N818 - X's word
    """An error answer."""

    def __init__(self, status: int, title: str, detail: str, kind: str = "about:blank") -> None:
        super().__init__(detail)
        self.status, self.title, self.kind = status, title, kind

    def response(self) -> Response:
        body = {"title": self.title, "detail": str(self), "type": self.kind, "status": self.status}
        return JsonResponse(body, self.status)


UNAUTHORIZED = Problem(401, "Unauthorized", "Unauthorized")


def _throttled(_request: Request, fault: Fault) -> Response:
    response = Problem(429, "Too Many Requests", "Too Many Requests").response()
    response.headers["x-rate-limit-reset"] = str(int(time.time() + fault.seconds))
    return response


DIALECT = Dialect(
    throttle=_throttled,
    server_error=lambda _request, _fault: Problem(503, "Service Unavailable", "Service Unavailable").response(),
    expired_token=lambda _request, _fault: UNAUTHORIZED.response(),
    revoked_token=lambda _request, _fault: UNAUTHORIZED.response(),
)


def create_app(world: World, faults: Faults) -> Starlette:
    """One account."""
    end = world_end(world)

    def shown(row: dict[str, Any], fields: list[str], *, owner: bool) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        post: dict[str, Any] = {"id": row["post_id"], "text": row["text"], "edit_history_tweet_ids": [row["post_id"]]}
        if "created_at" in fields:
            post["created_at"] = iso_millis(row["published_at"])
        if "public_metrics" in fields:
            post["public_metrics"] = {
                "impression_count": int(row["impressions"]),
                "like_count": int(row["reactions"]),
                "reply_count": int(row["comments"]),
                "repost_count": int(row["shares"]),
                "quote_count": 0,
                "bookmark_count": 0,
            }
        if "non_public_metrics" not in fields:
            return post, []
        if not owner or row["published_at"] < end - PRIVATE:
            problem = {
                "resource_id": row["post_id"],
                "resource_type": "tweet",
                "parameter": "id",
                "section": "data",
                "field": "non_public_metrics",
                "title": "Field Authorization Error",
                "detail": "Sorry, you are not authorized to access 'non_public_metrics' on the Tweet.",
                "type": f"{PROBLEMS}/not-authorized-for-field",
            }
            return post, [problem]
        post["non_public_metrics"] = {
            "impression_count": int(row["impressions"]),
            "url_link_clicks": int(row["clicks"]),
            "user_profile_clicks": 0,
            "engagements": _engagements(row),
        }
        return post, []

    def posts(request: Request, owner: bool) -> dict[str, Any]:
        query = request.query_params
        size = int(query.get("max_results", "10"))
        if not FEWEST <= size <= MOST:
            raise Problem(400, "Invalid Request", "The `max_results` query parameter value is not between 5 and 100")
        rows = [
            row
            for row in records_of(post_totals(world, "x").sort_values("published_at", ascending=False))
            if query.get("start_time", "") <= str(iso_millis(row["published_at"])) < query.get("end_time", "9")
        ]
        if (late := faults.active(VENDOR, "late_rows")) is not None:
            rows = [row for row in rows if row["published_at"] < end - pd.Timedelta(days=late.days)]
        try:
            cursor = opened(query.get("pagination_token", ""))
        except ValueError:
            raise Problem(400, "Invalid Request", "The `pagination_token` is invalid") from None
        page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        fields = query.get("tweet.fields", "").split(",")
        made = [shown(row, fields, owner=owner) for row in rows[page.start : page.stop]]
        problems = [problem for _, found in made for problem in found]
        meta: dict[str, Any] = {"result_count": len(made)}
        if made:
            meta |= {"newest_id": made[0][0]["id"], "oldest_id": made[-1][0]["id"]}
        if page.cursor:
            meta["next_token"] = sealed(page.cursor)
        return {
            **({"data": [post for post, _ in made]} if made else {}),
            **({"errors": problems} if problems else {}),
            "meta": meta,
        }

    def analytics(request: Request, owner: bool) -> dict[str, Any]:
        if not owner:
            raise Problem(
                403,
                "Unsupported Authentication",
                "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.",
                f"{PROBLEMS}/unsupported-authentication",
            )
        query = request.query_params
        first, last = query["start_time"][:10], query["end_time"][:10]
        table = post_days(world, "x")
        if (restated := faults.active(VENDOR, "restated_days")) is not None:
            recent = pd.to_datetime(table["date"]) >= end - pd.Timedelta(days=restated.days)
            table["impressions"] = table["impressions"].mask(
                recent, (table["impressions"] * restated.factor).astype("int64")
            )
        table = table[table["post_id"].isin(query["ids"].split(",")) & table["date"].between(first, last)]
        table = table[table["date"] < last]
        if (late := faults.active(VENDOR, "late_rows")) is not None:
            table = table[pd.to_datetime(table["date"]) < end - pd.Timedelta(days=late.days)]
        data = [
            {"id": str(post), "timestamped_metrics": [_bucket(row) for row in records_of(rows)]}
            for post, rows in table.groupby("post_id", sort=True)
        ]
        return {"data": data} if data else {}

    def user(request: Request, _owner: bool) -> dict[str, Any]:
        if request.path_params["user"] != USER:
            raise Problem(404, "Not Found Error", "Could not find user", f"{PROBLEMS}/resource-not-found")
        return {"data": {"id": USER, "name": "Sandbox shop", "username": "sandboxshop"}}

    def route(path: str, respond: Callable[[Request, bool], dict[str, Any]]) -> Route:
        async def endpoint(request: Request) -> Response:
            skew = faults.active(VENDOR, "clock_skew")
            owner = bearer(request) is None
            try:
                if owner and await oauth1.objection(
                    request, tuple(CREDENTIALS.values()), skew.seconds if skew else 0.0
                ):
                    raise UNAUTHORIZED
                if not owner and bearer(request) != BEARER:
                    raise UNAUTHORIZED
                return JsonResponse(await run_in_threadpool(respond, request, owner))
            except Problem as refused:
                return refused.response()

        return Route(path, endpoint)

    return Starlette(
        routes=[
            route("/2/users/{user}/tweets", posts),
            route("/2/users/{user}", user),
            route("/2/tweets/analytics", analytics),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )


def _engagements(row: dict[str, Any]) -> int:
    return sum(int(row[name]) for name in ("clicks", "reactions", "comments", "shares"))


def _bucket(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "timestamp": f"{row['date']}T00:00:00Z",
        "metrics": {
            "impressions": int(row["impressions"]),
            "likes": int(row["reactions"]),
            "replies": int(row["comments"]),
            "retweets": int(row["shares"]),
            "url_clicks": int(row["clicks"]),
            "engagements": _engagements(row),
        },
    }
