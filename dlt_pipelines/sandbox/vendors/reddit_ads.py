"""Reddit Ads API v3: accounts, campaigns, reports by POST whose next page is another POST; Basic client, rotating tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, Page, cursor_page
from dlt_pipelines.sandbox.vendors.ads import campaign_days, campaigns_of
from dlt_pipelines.sandbox.vendors.common import JsonResponse, World, json_of, opened, records_of, sealed, whole
from dlt_pipelines.sandbox.vendors.oauth import RefreshAuthority, token_route
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

VENDOR = "reddit_ads"
TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 - an address
ACCOUNT = PLATFORMS[VENDOR]
FIELDS = {"SPEND", "IMPRESSIONS", "CLICKS", "CTR", "CPC", "ECPM", "KEY_CONVERSION_TOTAL_COUNT"}
BREAKDOWNS = {"CAMPAIGN_ID", "DATE"}


def refusal(status: int, message: str, **headers: str) -> Response:
    """Reddit's error body."""
    response = JsonResponse({"error": {"code": status, "message": message}}, status)
    response.headers.update(headers)
    return response


class BadReport(Exception):  # noqa: N818 - read as what happened
    """A report that cannot be made."""


def _instant(asked: dict[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(asked.get(name)))
    except ValueError:
        raise BadReport(f"{name} is no time") from None
    if (moment.minute, moment.second) != (0, 0):
        raise BadReport(f"{name} must be a full hour")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _metrics(row: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    spend, clicks, impressions = whole(row["cost_micros"]), whole(row["clicks"]), whole(row["impressions"])
    known = {
        "SPEND": spend,
        "IMPRESSIONS": impressions,
        "CLICKS": clicks,
        "CTR": clicks / max(1, impressions),
        "CPC": spend / max(1, clicks),
        "ECPM": 1000 * spend / max(1, impressions),
        "KEY_CONVERSION_TOTAL_COUNT": float(row["conversions"]),
    }
    return {"campaign_id": str(row["campaign_id"]), "date": row["date"]} | {
        name.lower(): known[name] for name in fields
    }


def create_app(world: World, faults: Faults) -> Starlette:
    """The API for one ad account, and its token endpoint."""
    authority = RefreshAuthority(VENDOR, faults, rotates=True)

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return refusal(401, "The access token expired.")

    def throttled(_request: Request, fault: Fault) -> Response:
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{fault.seconds:.0f}"}
        return refusal(429, "Too many requests.", **headers)

    def objection(request: Request) -> Response | None:
        if not request.headers.get("user-agent"):
            return refusal(403, "A User-Agent is required.")
        if not authority.admits(request):
            return refusal(401, "The access token is not valid.")
        if request.path_params["account"] != ACCOUNT.account_id:
            return refusal(403, "You have no access to this ad account.")
        return None

    def paged(request: Request, total: int) -> tuple[Page, dict[str, Any]]:
        """A page of a listing and what the reply says of the next one."""
        token = request.query_params.get("page.token", "")
        try:
            cursor, size = opened(token) if token else "", int(request.query_params.get("page.size", "100"))
        except ValueError:
            raise BadReport("page.token or page.size is not one of ours") from None
        page = cursor_page(faults, VENDOR, request.url.path, total, cursor, size)
        if page.cursor is None:
            return page, {}
        query = urlencode({"page.size": size, "page.token": f"{sealed(page.cursor)}="})
        return page, {"next_url": f"{request.url.replace(query='')}?{query}"}

    def account(_request: Request, _asked: dict[str, Any]) -> Response:
        return JsonResponse(
            {
                "data": {
                    "id": ACCOUNT.account_id,
                    "name": "Sandbox shop",
                    "currency": ACCOUNT.currency,
                    "time_zone_id": ACCOUNT.zone,
                }
            }
        )

    def campaigns(request: Request, _asked: dict[str, Any]) -> Response:
        rows = campaigns_of(world, VENDOR)
        page, pagination = paged(request, len(rows))
        shown = [
            {"id": row["id"], "name": row["name"], "objective": row["type"], "effective_status": "ACTIVE"}
            for row in rows[page.start : page.stop]
        ]
        return JsonResponse({"data": shown, "pagination": pagination})

    def reports(request: Request, body: dict[str, Any]) -> Response:
        asked = body.get("data") or {}
        fields = [str(name) for name in asked.get("fields") or []]
        unknown = set(fields) - FIELDS
        if unknown or not fields:
            raise BadReport(f"fields: {', '.join(sorted(unknown)) or 'none given'}")
        if set(asked.get("breakdowns") or []) != BREAKDOWNS:
            raise BadReport("the sandbox breaks down by CAMPAIGN_ID and DATE")
        zone = ZoneInfo(str(asked.get("time_zone_id") or "GMT"))
        starts, ends = _instant(asked, "starts_at").astimezone(zone), _instant(asked, "ends_at").astimezone(zone)
        if zone.key != ACCOUNT.zone or starts.hour or ends.hour:
            raise BadReport("the sandbox reports whole days of the account's time zone")
        last = (ends - timedelta(hours=1)).date()
        rows = records_of(campaign_days(world, faults, VENDOR, str(starts.date()), str(last)))
        page, pagination = paged(request, len(rows))
        shown = [_metrics(row, fields) for row in rows[page.start : page.stop]]
        return JsonResponse({"data": {"metrics": shown}, "pagination": pagination})

    def route(path: str, respond: Any, method: str = "GET") -> Route:
        async def served(request: Request) -> Response:
            denied = objection(request)
            if denied is not None:
                return denied
            try:
                asked = await json_of(request) if method == "POST" else {}
                response: Response = await run_in_threadpool(respond, request, asked)
            except (BadReport, ValueError) as problem:
                return refusal(400, str(problem))
            return response

        return Route(f"/api/{{version}}/ad_accounts/{{account}}{path}", served, methods=[method])

    dialect = Dialect(
        throttle=throttled,
        server_error=lambda _request, _fault: refusal(500, "Internal error."),
        expired_token=expired,
        revoked_token=lambda _request, _fault: refusal(401, "The access token was revoked."),
    )
    return Starlette(
        routes=[
            route("", account),
            route("/campaigns", campaigns),
            route("/reports", reports, "POST"),
            token_route(TOKEN_PATH, authority, basic=True),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect, sign_in=TOKEN_PATH)],
    )
