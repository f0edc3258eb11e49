"""LinkedIn Marketing API: ad accounts, campaigns and ad analytics in Rest.li 2.0.

Quirks kept: parentheses, colons and commas of the query stay literal (a client that encodes them is refused), no paging of
analytics, decimal strings of money that may stand in scientific notation, days as objects, no throttle headers.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.ads import campaign_days, campaigns_of
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    decimal_text,
    opened,
    records_of,
    sealed,
    share_of,
    whole,
)
from dlt_pipelines.sandbox.vendors.oauth import RefreshAuthority, token_route
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

VENDOR = "linkedin_ads"
TOKEN_PATH = "/oauth/v2/accessToken"  # noqa: S105 - an address
ACCOUNT = PLATFORMS[VENDOR]
URN = "urn:li:sponsoredCampaign:"
OLDEST_VERSION = "202511"
METRICS = (
    "impressions",
    "clicks",
    "landingPageClicks",
    "costInLocalCurrency",
    "costInUsd",
    "externalWebsiteConversions",
)
DEFAULT_FIELDS = ("impressions", "clicks")
FIELDS_A_CALL = 20
CREATED = 1_782_000_000_000
_BOUND = re.compile(r"(start|end):\(([a-z0-9:,]+)\)")


def error(status: int, message: str, code: str = "", service: int | None = None) -> Response:
    """LinkedIn's error body."""
    named = {"code": code} if code else {}
    numbered = {} if service is None else {"serviceErrorCode": service}
    return JsonResponse({"status": status, **numbered, **named, "message": message}, status)


def _throttled(_request: Request, fault: Fault) -> Response:
    if fault.policy == "DAILY":
        return error(
            429,
            "Resource level throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached.",
            service=101,
        )
    if fault.policy == "VOLUME":
        return error(
            429,
            "The data request limit has been exceeded. More than 45 million metric values were requested in a 5-minute window.",
        )
    return error(429, "Resource level throttle limit for calls to this resource is reached.", service=101)


def _unauthorized(code: str, message: str) -> Response:
    return error(401, message, code, 65601 if code == "REVOKED_ACCESS_TOKEN" else 65602)


def restli_query(raw: str) -> dict[str, str]:
    """Parameters of a Rest.li query, as they stand.

    Raises:
        ValueError: a structure was percent-encoded, which LinkedIn reads as text.
    """
    if re.search(r"%28|%29", raw, re.IGNORECASE):
        raise ValueError("Invalid query parameters passed to request: structural characters are encoded")
    return {name: value for name, _, value in (part.partition("=") for part in raw.split("&") if part)}


def bounds(text: str) -> dict[str, date]:
    """First and last day of a `(start:(year:…,month:…,day:…),end:(…))`, members in any order.

    Raises:
        ValueError: it is none.
    """
    found = {}
    for name, members in _BOUND.findall(text):
        parts = {key: int(value) for key, _, value in (member.partition(":") for member in members.split(","))}
        if parts.keys() != {"year", "month", "day"}:
            raise ValueError("dateRange: a day is year, month and day")
        found[name] = date(**parts)
    if "start" not in found:
        raise ValueError("dateRange: start is required")
    return {"end": date.max, **found}


def _analytics_element(row: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    day = date.fromisoformat(row["date"])
    at = {"year": day.year, "month": day.month, "day": day.day}
    clicks, cost, conversions = whole(row["clicks"]), whole(row["cost_micros"]), float(row["conversions"])
    money = decimal_text(cost)
    known: dict[str, Any] = {
        "dateRange": {"start": at, "end": at},
        "pivotValues": [f"{URN}{row['campaign_id']}"],
        "impressions": whole(row["impressions"]),
        "clicks": clicks + whole(row["impressions"]) // 500,
        "landingPageClicks": clicks,
        # Real rows hold digits far behind the point, and exponents.
        "costInLocalCurrency": f"{cost}E-6" if share_of(f"{day}{row['campaign_id']}", 4) == 0 else money,
        "costInUsd": f"{money}000000000001" if cost else "0E+3",
        "externalWebsiteConversions": int(conversions) if conversions.is_integer() else conversions,
    }
    return {name: known[name] for name in fields if name in known}


def create_app(world: World, faults: Faults) -> Starlette:
    """The API for one ad account, and its token endpoint."""
    authority = RefreshAuthority(VENDOR, faults, rotates=False, prefix="AQ")

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return _unauthorized("EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")

    def objection(request: Request) -> Response | None:
        version = request.headers.get("linkedin-version", "")
        if not version:
            return error(400, "Version header is not present", "VERSION_MISSING")
        if version < OLDEST_VERSION:
            return error(426, f"Requested version {version} is not active", "NONEXISTENT_VERSION")
        if request.headers.get("x-restli-protocol-version") != "2.0.0":
            return error(400, "Invalid query parameters passed to request", "ILLEGAL_ARGUMENT")
        if not authority.admits(request):
            return _unauthorized("INVALID_ACCESS_TOKEN", "Invalid access token")
        number = request.path_params.get("account")
        if number is not None and number != ACCOUNT.account_id:
            return error(403, "Not enough permissions to access: adAccounts", "ACCESS_DENIED", 100)
        return None

    def account(request: Request) -> Response:
        return objection(request) or JsonResponse(
            {
                "id": int(ACCOUNT.account_id),
                "name": "Sandbox shop",
                "currency": ACCOUNT.currency,
                "status": "ACTIVE",
                "type": "BUSINESS",
                "changeAuditStamps": {"created": {"time": CREATED}, "lastModified": {"time": CREATED}},
            }
        )

    def campaigns(request: Request) -> Response:
        refusal = objection(request)
        if refusal is not None:
            return refusal
        if request.query_params.get("q") != "search":
            return error(400, "No finder of this name", "ILLEGAL_ARGUMENT")
        token = request.query_params.get("pageToken", "")
        try:
            cursor = opened(token) if token else ""
        except ValueError:
            return error(400, "Invalid page token", "ILLEGAL_ARGUMENT")
        rows = campaigns_of(world, VENDOR)
        size = int(request.query_params.get("pageSize", "100"))
        page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        elements = [
            {
                "id": int(row["id"]),
                "name": row["name"],
                "type": row["type"],
                "status": "ACTIVE",
                "account": f"urn:li:sponsoredAccount:{ACCOUNT.account_id}",
                "changeAuditStamps": {"created": {"time": CREATED}, "lastModified": {"time": CREATED}},
            }
            for row in rows[page.start : page.stop]
        ]
        metadata = {"nextPageToken": sealed(page.cursor)} if page.cursor else {}
        return JsonResponse({"elements": elements, "metadata": metadata})

    def analytics(request: Request) -> Response:
        refusal = objection(request)
        if refusal is not None:
            return refusal
        try:
            asked = restli_query(request.url.query)
            span = bounds(asked.get("dateRange", ""))
        except ValueError as problem:
            return error(400, str(problem), "ILLEGAL_ARGUMENT")
        grain = (asked.get("q"), asked.get("pivot", "").removeprefix("(value:").removesuffix(")"))
        daily = asked.get("timeGranularity", "").removeprefix("(value:").removesuffix(")")
        listed = re.fullmatch(r"List\((.*)\)", asked.get("campaigns", ""))
        if grain != ("analytics", "CAMPAIGN") or daily != "DAILY" or listed is None:
            return error(
                400, "The sandbox answers q=analytics by CAMPAIGN and DAILY, for named campaigns", "ILLEGAL_ARGUMENT"
            )
        fields = tuple(unquote(asked["fields"]).split(",")) if asked.get("fields") else DEFAULT_FIELDS
        unknown = set(fields) - {"dateRange", "pivotValues", *METRICS}
        if unknown or len(fields) > FIELDS_A_CALL:
            return error(
                400, f"Unpermitted fields present in PARAMETER: {', '.join(sorted(unknown))}", "QUERY_PARAM_NOT_ALLOWED"
            )
        wanted = {unquote(urn).removeprefix(URN) for urn in listed[1].split(",")}
        rows = campaign_days(world, faults, VENDOR, str(span["start"]), str(span["end"]))
        rows = rows[rows["campaign_id"].astype(str).isin(wanted)]
        elements = [_analytics_element(row, fields) for row in records_of(rows)]
        return JsonResponse({"paging": {"start": 0, "count": 10, "links": []}, "elements": elements})

    def route(path: str, respond: Any) -> Route:
        async def served(request: Request) -> Response:
            response: Response = await run_in_threadpool(respond, request)
            return response

        return Route(path, served)

    dialect = Dialect(
        throttle=_throttled,
        server_error=lambda _request, _fault: error(500, "Internal Server Error", "INTERNAL_SERVER_ERROR"),
        expired_token=expired,
        revoked_token=lambda _request, _fault: _unauthorized(
            "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user"
        ),
    )
    return Starlette(
        routes=[
            route("/rest/adAccounts/{account}", account),
            route("/rest/adAccounts/{account}/adCampaigns", campaigns),
            route("/rest/adAnalytics", analytics),
            token_route(TOKEN_PATH, authority, described="The provided refresh token is invalid or expired"),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect, sign_in=TOKEN_PATH)],
    )
