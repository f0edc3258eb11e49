"""TikTok Business API: the integrated report at once, and the advertiser's facts.

Quirks kept: every answer is HTTP 200 and its code stands in the body, arrays travel as JSON text in the query, metrics are
text except some that are numbers, "-" means nothing was measured, days are written as midnights.
"""

from __future__ import annotations

import itertools
import json
from datetime import date
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors.ads import served_days, summed
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    decimal_text,
    records_of,
    sandbox_secret,
    text_or_none,
    whole,
)
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

VENDOR = "tiktok_ads"
TOKEN = sandbox_secret("tiktok")
ACCOUNT = PLATFORMS[VENDOR]
LEVELS = {
    "AUCTION_ADVERTISER": ("advertiser_id", "account_id"),
    "AUCTION_CAMPAIGN": ("campaign_id", "campaign_id"),
    "AUCTION_ADGROUP": ("adgroup_id", "ad_group_id"),
    "AUCTION_AD": ("ad_id", "ad_id"),
}
NAMES = {
    "campaign_id": "campaign_id",
    "campaign_name": "campaign_name",
    "adgroup_id": "ad_group_id",
    "adgroup_name": "ad_group_name",
    "ad_name": "ad_name",
}
METRICS = frozenset(
    {*NAMES, "spend", "impressions", "clicks", "ctr", "cpc", "conversion", "cost_per_conversion", "reach"}
)
DAYS_A_CALL = 30
_numbers = itertools.count(1)


def answer(code: int, message: str, data: Any = None) -> Response:
    """What TikTok says, whatever it is, with HTTP 200."""
    request_id = f"2026{next(_numbers):018d}"
    return JsonResponse({"code": code, "message": message, "request_id": request_id, "data": data or {}})


class TikTokError(Exception):
    """A refusal with its code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def response(self) -> Response:
        return answer(self.code, str(self))


def _throttled(_request: Request, fault: Fault) -> Response:
    if fault.policy == "DAILY":
        return answer(40100, "Too many requests. The daily request limit of your app is reached.")
    return answer(40100, "Too many requests. Please retry in some time.")


DIALECT = Dialect(
    throttle=_throttled,
    server_error=lambda _request, _fault: answer(50000, "System error."),
    expired_token=lambda _request, _fault: answer(40105, "Access token is incorrect or has been revoked."),
    revoked_token=lambda _request, _fault: answer(40105, "Access token is incorrect or has been revoked."),
)


def listed(request: Request, name: str) -> list[str]:
    """A list that stands in the query as JSON text.

    Raises:
        TikTokError: it is none.
    """
    try:
        items = json.loads(request.query_params.get(name, "[]"))
        if not isinstance(items, list):
            raise ValueError
    except ValueError:
        raise TikTokError(40002, f"{name}: must be a list of strings in JSON") from None
    return [str(item) for item in items]


def _day(request: Request, name: str) -> date:
    try:
        return date.fromisoformat(request.query_params.get(name, ""))
    except ValueError:
        raise TikTokError(40002, f"{name}: must be a date in the format YYYY-MM-DD") from None


def _whole_number(request: Request, name: str, default: int, largest: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise TikTokError(40002, f"{name}: must be an integer from 1 to {largest}")
    return int(text)


def create_app(world: World, faults: Faults) -> Starlette:
    """The API for one advertiser."""

    def check(request: Request, advertisers: list[str]) -> None:
        if request.headers.get("access-token") != TOKEN:
            raise TikTokError(40105, "Access token is incorrect or has been revoked.")
        strangers = [name for name in advertisers if name != ACCOUNT.account_id]
        if strangers or not advertisers:
            raise TikTokError(40001, f"No permission to operate advertiser {', '.join(strangers) or '(none given)'}.")

    def metrics_of(values: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
        spend, clicks, impressions = whole(values["cost_micros"]), whole(values["clicks"]), whole(values["impressions"])
        conversions = float(values["conversions"])
        known: dict[str, Any] = {name: text_or_none(values[column]) for name, column in NAMES.items()}
        known |= {
            "spend": decimal_text(spend),
            "impressions": str(impressions),
            "clicks": str(clicks),
            # A number among texts, as captured rows show.
            "ctr": round(100 * clicks / max(1, impressions), 2),
            "cpc": f"{spend / 1e6 / clicks:.2f}" if clicks else "-",
            "conversion": f"{conversions:g}" if conversions else "-",
            "cost_per_conversion": f"{spend / 1e6 / conversions:.3f}" if conversions else "-",
            "reach": str(max(1, impressions * 7 // 10)),
        }
        return {name: known[name] for name in wanted}

    def report(request: Request) -> Response:
        check(request, [request.query_params.get("advertiser_id", "")])
        level = request.query_params.get("data_level", "")
        if request.query_params.get("report_type") != "BASIC":
            raise TikTokError(40002, "report_type: the sandbox has BASIC reports only")
        if level not in LEVELS:
            raise TikTokError(40002, f"data_level: must be one of {sorted(LEVELS)}")
        dimensions, metrics = listed(request, "dimensions"), listed(request, "metrics")
        named, column = LEVELS[level]
        if not dimensions or not set(dimensions) <= {named, "stat_time_day"}:
            raise TikTokError(40002, f"dimensions: {level} goes with {named} and stat_time_day")
        withdrawn = faults.active(VENDOR, "withdrawn_field")
        gone = {name for name in metrics if name not in METRICS or (withdrawn and withdrawn.field == name)}
        if gone:
            raise TikTokError(40002, f"metrics: {', '.join(sorted(gone))} is not a valid metric")
        first, last = _day(request, "start_date"), _day(request, "end_date")
        if last < first or ("stat_time_day" in dimensions and (last - first).days >= DAYS_A_CALL):
            raise TikTokError(
                40002, f"end_date: from start_date on, and no more than {DAYS_A_CALL} days with stat_time_day"
            )
        keys = [{named: column, "stat_time_day": "date"}[name] for name in dimensions]
        frame = served_days(world, faults, VENDOR, str(first), str(last))
        rows = [] if frame.empty else records_of(summed(frame, sorted(keys, reverse=True)))
        page = _whole_number(request, "page", 1, 10**9)
        size = _whole_number(request, "page_size", 10, 1000)
        shown = offset_page(faults, VENDOR, request.url.path, len(rows), (page - 1) * size, size)
        return answer(
            0,
            "OK",
            {
                "list": [
                    {
                        "dimensions": {
                            name: f"{row['date']} 00:00:00" if name == "stat_time_day" else str(row[column])
                            for name in dimensions
                        },
                        "metrics": metrics_of(row, metrics),
                    }
                    for row in rows[shown.start : shown.stop]
                ],
                "page_info": {
                    "page": page,
                    "page_size": size,
                    "total_number": shown.total,
                    "total_page": -(-shown.total // size),
                },
            },
        )

    def advertiser(request: Request) -> Response:
        check(request, listed(request, "advertiser_ids"))
        facts = {
            "advertiser_id": ACCOUNT.account_id,
            "name": "Sandbox shop",
            "currency": ACCOUNT.currency,
            "timezone": ACCOUNT.zone,
            "display_timezone": ACCOUNT.zone,
            "status": "STATUS_ENABLE",
        }
        fields = listed(request, "fields") or list(facts)
        return answer(0, "OK", {"list": [{name: facts[name] for name in fields if name in facts}]})

    def route(path: str, respond: Any) -> Route:
        async def served(request: Request) -> Response:
            try:
                return await run_in_threadpool(respond, request)
            except TikTokError as error:
                return error.response()

        return Route(f"/open_api/{{version}}{path}", served)

    return Starlette(
        routes=[route("/report/integrated/get/", report), route("/advertiser/info/", advertiser)],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=DIALECT)],
    )
