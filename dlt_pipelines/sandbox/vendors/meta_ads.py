"""Meta Marketing API: insights, at once (GET) and as a report run (POST), with the account's objects.

Quirks kept: every number is text, actions are arrays in which one purchase appears under several types, throttling
is an HTTP 400, ``paging.next`` carries the token, days are in the account's time zone.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    AMERICA,
    META_ACCOUNT,
    META_TOKEN,
    JsonResponse,
    World,
    bearer,
    form_of,
    opened,
    sealed,
)
from dlt_pipelines.sandbox.vendors.meta_insights import VENDOR, GraphError, Insights, items, unknown_object


def usage_headers(percent: int = 12, minutes: int = 0) -> dict[str, str]:
    """How far the account has used up what it may ask for; minutes to wait once it has."""
    return {
        "x-fb-ads-insights-throttle": json.dumps(
            {"app_id_util_pct": percent, "acc_id_util_pct": percent, "ads_api_access_tier": "standard_access"}
        ),
        "x-business-use-case-usage": json.dumps(
            {
                META_ACCOUNT: [
                    {
                        "type": "ads_insights",
                        "call_count": percent,
                        "total_cputime": percent // 2,
                        "total_time": percent // 3,
                        "estimated_time_to_regain_access": minutes,
                        "ads_api_access_tier": "standard_access",
                    }
                ]
            }
        ),
        "x-ad-account-usage": json.dumps({"acc_id_util_pct": percent}),
    }


def _throttled(_request: Request, fault: Fault) -> Response:
    minutes = -(-int(fault.seconds) // 60)
    headers = usage_headers(100, minutes)
    code = int(fault.policy or 17)
    if code == 17:
        return GraphError(17, "User request limit reached", subcode=2446079).response(**headers)
    message = (
        "There have been too many calls from this ad-account. Wait a bit and try again. For more info, please "
        "refer to https://developers.facebook.com/docs/graph-api/overview/rate-limiting."
    )
    return GraphError(code, f"(#{code}) {message}", subcode=2446079).response(**headers)


def _token_error(subcode: int, reason: str) -> Response:
    return GraphError(190, f"Error validating access token: {reason}", subcode=subcode).response()


DIALECT = Dialect(
    throttle=_throttled,
    server_error=lambda _request, _fault: GraphError(
        2, "An unexpected error has occurred. Please retry your request later.", http=500, transient=True
    ).response(),
    expired_token=lambda _request, _fault: _token_error(
        463, "Session has expired on Wednesday, 01-Jul-26 00:00:00 PDT. The current time is later."
    ),
    revoked_token=lambda _request, _fault: _token_error(
        460, "The session has been invalidated because the user changed their password."
    ),
)


def create_app(world: World, faults: Faults) -> Starlette:
    """The Graph API for one ad account."""
    insights = Insights(world, faults)

    async def params_of(request: Request) -> dict[str, str]:
        """Query and form together, once the token has been checked."""
        params = dict(request.query_params)
        if request.method == "POST":
            params |= await form_of(request)
        token = params.pop("access_token", None) or bearer(request)
        if token is None:
            raise GraphError(104, "An access token is required to request this resource.")
        if token != META_TOKEN:
            raise GraphError(190, "Invalid OAuth access token - Cannot parse access token")
        return params

    def listing(request: Request, rows: list[dict[str, Any]], params: dict[str, str]) -> Response:
        try:
            size = int(params.get("limit", "25"))
            after = params.get("after", "")
            cursor = opened(after) if after else ""
            page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        except ValueError:
            raise GraphError(100, "(#100) Invalid parameter: limit or after") from None
        body: dict[str, Any] = {"data": rows[page.start : page.stop]}
        if rows:
            end = page.cursor or str(page.stop)
            body["paging"] = {"cursors": {"before": sealed(str(page.start)), "after": sealed(end)}}
            if page.cursor:
                # As Meta does, the link carries the token even when the request sent it in a header.
                following = request.url.include_query_params(
                    **{**params, "access_token": META_TOKEN, "limit": size, "after": sealed(page.cursor)}
                )
                body["paging"]["next"] = str(following)
        return JsonResponse(body, headers=usage_headers())

    def check_account(request: Request) -> None:
        if request.path_params["account_id"] != META_ACCOUNT:
            raise unknown_object(f"act_{request.path_params['account_id']}")

    async def account_insights(request: Request) -> Response:
        try:
            params = await params_of(request)
            check_account(request)
            query = insights.query(params)
            if request.method == "POST":
                return JsonResponse({"report_run_id": insights.start_run(query)}, headers=usage_headers())
            return listing(request, await run_in_threadpool(insights.rows, query), params)
        except GraphError as error:
            return error.response()

    async def run_insights(request: Request) -> Response:
        try:
            params = await params_of(request)
            query = insights.finished(request.path_params["run_id"])
            return listing(request, await run_in_threadpool(insights.rows, query), params)
        except GraphError as error:
            return error.response()

    async def run_state(request: Request) -> Response:
        try:
            await params_of(request)
            return JsonResponse(insights.poll(request.path_params["run_id"]))
        except GraphError as error:
            return error.response()

    async def account_objects(request: Request) -> Response:
        try:
            params = await params_of(request)
            check_account(request)
            return listing(request, insights.objects(request.path_params["kind"]), params)
        except (GraphError, KeyError) as error:
            problem = error if isinstance(error, GraphError) else unknown_object(request.path_params["kind"])
            return problem.response()

    account = {
        "id": f"act_{META_ACCOUNT}",
        "account_id": META_ACCOUNT,
        "name": "Sandbox shop",
        "currency": "USD",
        "timezone_name": AMERICA,
        "account_status": 1,
    }

    async def account_node(request: Request) -> Response:
        try:
            params = await params_of(request)
            check_account(request)
            names = {"id", *items(params.get("fields", "account_id"))}
            return JsonResponse({name: value for name, value in account.items() if name in names})
        except GraphError as error:
            return error.response()

    async def own_accounts(request: Request) -> Response:
        try:
            params = await params_of(request)
            names = {"id", *items(params.get("fields", "account_id"))}
            return listing(request, [{k: v for k, v in account.items() if k in names}], params)
        except GraphError as error:
            return error.response()

    return Starlette(
        routes=[
            Route("/{version}/me/adaccounts", own_accounts),
            Route("/{version}/act_{account_id}/insights", account_insights, methods=["GET", "POST"]),
            Route("/{version}/act_{account_id}/{kind}", account_objects),
            Route("/{version}/act_{account_id}", account_node),
            Route("/{version}/{run_id}/insights", run_insights),
            Route("/{version}/{run_id}", run_state),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
