"""Google Ads API over REST: search, searchStream, listAccessibleCustomers.

Quirks kept: int64 as text, camelCase, unset fields missing, fixed pages of 10,000 rows (a page size is an
error), errors of the stream as an array, ``click_view`` one day at a time and 90 days back, no metrics of a manager.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    DEVELOPER_TOKEN,
    GOOGLE_ADS_CUSTOMER,
    GOOGLE_ADS_MANAGER,
    JsonResponse,
    World,
    json_of,
    opened,
    sealed,
)
from dlt_pipelines.sandbox.vendors.gaql import Query, QueryError, parse
from dlt_pipelines.sandbox.vendors.google_ads_reports import VENDOR, Reports, field_mask, is_metric
from dlt_pipelines.sandbox.vendors.google_oauth import (
    ADS_SCOPES,
    TokenAuthority,
    google_dialect,
    google_error,
    refusal,
    shared_authority,
)

PAGE = 10_000
LIVE_VERSIONS = ("v23", "v24", "v25", "v26")
STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
}


class AdsError(Exception):
    """A refusal in Google Ads' own form.

    Attributes:
        http: Status of the response.
        family, code: Member and value of ``errorCode``.
        details: ``details`` of the error, e.g. the quota's retry delay.
    """

    def __init__(self, http: int, family: str, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.http, self.family, self.code, self.details = http, family, code, details

    def response(self, version: str, *, stream: bool) -> Response:
        """The body: an object from ``:search``, an array of one from ``:searchStream``."""
        reason = {
            400: "Request contains an invalid argument.",
            401: "Request had invalid authentication credentials.",
            403: "The caller does not have permission",
            429: "Resource has been exhausted (e.g. check quota).",
        }[self.http]
        request_id = uuid.uuid4().hex[:22]
        error: dict[str, Any] = {"errorCode": {self.family: self.code}, "message": str(self)}
        if self.details:
            error["details"] = self.details
        body = {
            "error": {
                "code": self.http,
                "message": reason,
                "status": STATUS[self.http],
                "details": [
                    {
                        "@type": f"type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure",
                        "errors": [error],
                        "requestId": request_id,
                    }
                ],
            }
        }
        return JsonResponse([body] if stream else body, self.http, headers={"request-id": request_id})


def _dialect(authority: TokenAuthority) -> Dialect:
    base = google_dialect(authority)

    def throttle(request: Request, fault: Fault) -> Response:
        delay = int(fault.seconds)
        details = {
            "quotaErrorDetails": {
                "rateScope": "ACCOUNT" if fault.policy == "RESOURCE_TEMPORARILY_EXHAUSTED" else "DEVELOPER",
                "rateName": "Number of operations for basic access",
                "retryDelay": f"{delay}s",
            }
        }
        error = AdsError(
            429,
            "quotaError",
            fault.policy or "RESOURCE_EXHAUSTED",
            f"Too many requests. Retry in {delay} seconds.",
            details,
        )
        return error.response(_version(request), stream=request.url.path.endswith(":searchStream"))

    def in_array(respond: Any) -> Any:
        def wrapped(request: Request, fault: Fault) -> Response:
            response: Response = respond(request, fault)
            return _as_array(response) if request.url.path.endswith(":searchStream") else response

        return wrapped

    return Dialect(throttle, in_array(base.server_error), in_array(base.expired_token), in_array(base.revoked_token))


def _as_array(response: Response) -> Response:
    headers = {k: v for k, v in response.headers.items() if k not in ("content-length", "content-type")}
    return Response(
        b"[" + bytes(response.body) + b"]", response.status_code, headers, "application/json; charset=UTF-8"
    )


def _version(request: Request) -> str:
    match = re.search(r"/(v\d+)/", request.url.path)
    return match[1] if match else LIVE_VERSIONS[-1]


def create_app(world: World, faults: Faults, authority: TokenAuthority | None = None) -> Starlette:
    """The Google Ads API for one customer below one manager."""
    authority = authority or shared_authority()
    reports = Reports(world, faults)

    def admitted(request: Request) -> None:
        version = request.path_params["version"]
        if version not in LIVE_VERSIONS:
            raise AdsError(
                400,
                "requestError",
                "UNSUPPORTED_VERSION",
                f"Version {version} is deprecated. Requests to this version will be blocked.",
            )
        token = request.headers.get("developer-token")
        if not token:
            raise AdsError(
                400,
                "requestError",
                "DEVELOPER_TOKEN_PARAMETER_MISSING",
                "The developer-token parameter is required for all requests.",
            )
        if token != DEVELOPER_TOKEN:
            raise AdsError(401, "authenticationError", "DEVELOPER_TOKEN_INVALID", "The developer token is not valid.")

    def check_customer(request: Request) -> str:
        customer = str(request.path_params["customer_id"])
        if not customer.isdigit():
            raise AdsError(400, "requestError", "INVALID_CUSTOMER_ID", f"Invalid customer ID '{customer}'.")
        if customer not in (GOOGLE_ADS_CUSTOMER, GOOGLE_ADS_MANAGER) or (
            customer == GOOGLE_ADS_CUSTOMER and request.headers.get("login-customer-id") != GOOGLE_ADS_MANAGER
        ):
            raise AdsError(
                403,
                "authorizationError",
                "USER_PERMISSION_DENIED",
                "User doesn't have permission to access customer. Note: If you're accessing a client customer, the "
                "manager's customer id must be set in the 'login-customer-id' header.",
            )
        return customer

    async def answer(request: Request) -> tuple[Query, list[dict[str, Any]], dict[str, Any]]:
        admitted(request)
        customer = check_customer(request)
        try:
            body = await json_of(request)
        except ValueError as error:
            raise AdsError(400, "requestError", "BAD_RESOURCE_ID", f"Invalid JSON payload: {error}") from None
        if "pageSize" in body or "page_size" in body:
            raise AdsError(
                400,
                "requestError",
                "PAGE_SIZE_NOT_SUPPORTED",
                "Setting the page size is not supported. Search Responses will have fixed page size of '10000' rows.",
            )
        try:
            query = parse(str(body.get("query", "")))
            if customer == GOOGLE_ADS_MANAGER and any(map(is_metric, query.fields)):
                raise QueryError(
                    "REQUESTED_METRICS_FOR_MANAGER",
                    "Metrics cannot be requested for a manager account. Issue separate requests for each client account.",
                )
            rows = [] if customer == GOOGLE_ADS_MANAGER else await run_in_threadpool(reports.rows, query)
        except QueryError as error:
            raise AdsError(400, error.family, error.code, str(error)) from None
        return query, rows, body

    async def search(request: Request) -> Response:
        if problem := refusal(request, authority, ADS_SCOPES):
            return problem
        try:
            query, rows, body = await answer(request)
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), _opened(body.get("pageToken", "")), PAGE)
        except AdsError as error:
            return error.response(_version(request), stream=False)
        reply: dict[str, Any] = {}
        if rows[page.start : page.stop]:
            reply["results"] = rows[page.start : page.stop]
        if page.cursor:
            reply["nextPageToken"] = sealed(f"page:{page.cursor}")
        reply["fieldMask"] = field_mask(query)
        return JsonResponse(reply, headers={"request-id": uuid.uuid4().hex[:22]})

    async def search_stream(request: Request) -> Response:
        if problem := refusal(request, authority, ADS_SCOPES):
            return _as_array(problem)
        try:
            query, rows, _ = await answer(request)
        except AdsError as error:
            return error.response(_version(request), stream=True)
        request_id, chunks = uuid.uuid4().hex[:22], []
        for start in range(0, max(1, len(rows)), PAGE):
            natural = (start, min(start + PAGE, len(rows)))
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), str(start), PAGE)
            # A stream has no cursors: a paging fault is one more chunk before the proper one.
            for first, last in dict.fromkeys([(page.start, page.stop), natural]):
                results = {"results": rows[first:last]} if rows[first:last] else {}
                chunks.append({**results, "fieldMask": field_mask(query), "requestId": request_id})
        return JsonResponse(chunks, headers={"request-id": request_id})

    async def accessible(request: Request) -> Response:
        if problem := refusal(request, authority, ADS_SCOPES):
            return problem
        try:
            admitted(request)
        except AdsError as error:
            return error.response(_version(request), stream=False)
        return JsonResponse({"resourceNames": [f"customers/{GOOGLE_ADS_MANAGER}"]})

    async def not_found(_request: Request) -> Response:
        return google_error(404, "NOT_FOUND", "Requested entity was not found.")

    return Starlette(
        routes=[
            Route("/{version}/customers:listAccessibleCustomers", accessible),
            Route("/{version}/customers/{customer_id}/googleAds:search", search, methods=["POST"]),
            Route("/{version}/customers/{customer_id}/googleAds:searchStream", search_stream, methods=["POST"]),
            Route("/{rest:path}", not_found, methods=["GET", "POST"]),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=_dialect(authority))],
    )


def _opened(token: str) -> str:
    if not token:
        return ""
    try:
        marker, _, cursor = opened(token).partition(":")
    except ValueError:
        marker, cursor = "", ""
    if marker != "page" or not cursor[:1].isdigit():
        raise AdsError(400, "requestError", "INVALID_PAGE_TOKEN", "Page token is invalid.")
    return cursor
