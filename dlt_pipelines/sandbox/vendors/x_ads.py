"""X Ads API v12: accounts, campaigns, statistics at once and by job, every request signed with OAuth 1.0a.

Quirks kept: metrics are arrays in the order of days and null without delivery, days begin at midnight of the account's time
zone, a call answers for seven days and twenty entities of one placement, a job's file is gzipped and needs no credentials.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors import oauth1
from dlt_pipelines.sandbox.vendors.ads import campaigns_of, served_days, summed
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    opened,
    own_address,
    records_of,
    sandbox_secret,
    sealed,
    share_of,
    whole,
)
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

VENDOR = "x_ads"
ACCOUNT = PLATFORMS[VENDOR]
CREDENTIALS = {
    "X_ADS_CONSUMER_KEY": sandbox_secret("x consumer key", 25),
    "X_ADS_CONSUMER_SECRET": sandbox_secret("x consumer secret", 50),
    "X_ADS_ACCESS_TOKEN": f"1466000000-{sandbox_secret('x access token', 40)}",
    "X_ADS_ACCESS_TOKEN_SECRET": sandbox_secret("x access token secret", 45),
}
PLACEMENTS = ("ALL_ON_TWITTER", "SPOTLIGHT", "TREND")
GROUPS = {
    "ENGAGEMENT": ("impressions", "engagements", "clicks", "url_clicks", "follows"),
    "BILLING": ("billed_engagements", "billed_charge_local_micro"),
    "WEB_CONVERSION": ("conversion_purchases", "conversion_sign_ups"),
}
DAYS_A_CALL, DAYS_A_JOB, ENTITIES_A_CALL = 7, 90, 20


class Refusal(Exception):  # noqa: N818 - read as what happened
    """An error answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code

    def response(self, **headers: str) -> Response:
        body = {"errors": [{"code": self.code, "message": str(self)}], "request": {"params": {}}}
        response = JsonResponse(body, self.status)
        response.headers.update(headers)
        return response


UNAUTHORIZED = Refusal(401, "UNAUTHORIZED_ACCESS", "This request is not properly authenticated")


def _throttled(_request: Request, fault: Fault) -> Response:
    reset = str(int(time.time() + fault.seconds))
    told = Refusal(429, "TOO_MANY_REQUESTS", "Request rate limit exceeded for this account")
    return told.response(**{"x-account-rate-limit-reset": reset, "x-account-rate-limit-remaining": "0"})


def _day(text: str, name: str) -> date:
    """The day that begins at this instant in the account's time zone.

    Raises:
        Refusal: it is no midnight there.
    """
    try:
        moment = datetime.fromisoformat(text).astimezone(ZoneInfo(ACCOUNT.zone))
    except ValueError:
        raise Refusal(400, "INVALID_PARAMETER", f"Expected time in ISO 8601 for {name}") from None
    if (moment.hour, moment.minute, moment.second) != (0, 0, 0):
        raise Refusal(400, "INVALID_TIME_WINDOW", f"{name} must be a midnight of {ACCOUNT.zone} for granularity DAY")
    return moment.date()


def _span(asked: Mapping[str, str], longest: int) -> tuple[date, date]:
    start, end = _day(asked.get("start_time", ""), "start_time"), _day(asked.get("end_time", ""), "end_time")
    if not 0 < (end - start).days <= longest:
        raise Refusal(400, "INVALID_TIME_WINDOW", f"The time window must be of 1 to {longest} days")
    return start, end


class Statistics:
    """Statistics of campaigns, and the jobs that write them to files."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._jobs: dict[str, tuple[dict[str, str], int]] = {}
        self._numbers = itertools.count(1_120_829_647_711_653_888)
        self._lock = threading.Lock()

    def days(self, start: date, end: date) -> pd.DataFrame:
        """Delivery by day, campaign and placement; half of the ads run in the timeline, the other half in the spotlight."""
        frame = served_days(self._world, self._faults, VENDOR, str(start), str(end - timedelta(days=1)))
        if frame.empty:
            return frame.assign(placement=pd.Series(dtype=object))
        placement = [PLACEMENTS[share_of(str(ad), 2)] for ad in frame["ad_id"]]
        return summed(frame.assign(placement=placement), ["date", "campaign_id", "placement"])

    def active(self, asked: Mapping[str, str]) -> list[dict[str, Any]]:
        if asked.get("entity") != "CAMPAIGN":
            raise Refusal(400, "INVALID_PARAMETER", "entity: the sandbox has statistics of CAMPAIGN")
        start, end = _span(asked, DAYS_A_JOB)
        found = self.days(start, end)
        return [
            {
                "entity_id": str(campaign),
                "activity_start_time": asked["start_time"],
                "activity_end_time": asked["end_time"],
                "placements": sorted(rows["placement"].unique()),
            }
            for campaign, rows in found.groupby("campaign_id")
        ]

    def answer(self, asked: Mapping[str, str], longest: int) -> dict[str, Any]:
        """The document of one request for statistics."""
        start, end = _span(asked, longest)
        ids = [text for text in asked.get("entity_ids", "").split(",") if text]
        groups = asked.get("metric_groups", "").split(",")
        if not 0 < len(ids) <= ENTITIES_A_CALL:
            raise Refusal(400, "INVALID_PARAMETER", f"entity_ids: 1 to {ENTITIES_A_CALL} ids")
        if asked.get("entity") != "CAMPAIGN" or asked.get("granularity") != "DAY" or not set(groups) <= GROUPS.keys():
            raise Refusal(
                400, "INVALID_PARAMETER", "the sandbox has CAMPAIGN by DAY and the groups " + ", ".join(GROUPS)
            )
        if asked.get("placement") not in PLACEMENTS:
            raise Refusal(400, "INVALID_PARAMETER", "placement: one of " + ", ".join(PLACEMENTS))
        rows = self.days(start, end)
        rows = rows[rows["placement"].eq(asked["placement"])]
        length = (end - start).days
        return {
            "data_type": "stats",
            "time_series_length": length,
            "data": [
                {
                    "id": name,
                    "id_data": [
                        {
                            "segment": None,
                            "metrics": _metrics(records_of(rows[rows["campaign_id"].eq(name)]), start, length, groups),
                        }
                    ],
                }
                for name in ids
            ],
            "request": {"params": dict(asked)},
        }

    def submit(self, asked: dict[str, str]) -> dict[str, Any]:
        self.answer(asked, DAYS_A_JOB)
        with self._lock:
            number = str(next(self._numbers))
            self._jobs[number] = (asked, 0)
        return self._shown(number, "PROCESSING", None)

    def states(self, numbers: list[str], base: str) -> list[dict[str, Any]]:
        shown = []
        for number in numbers:
            with self._lock:
                if number not in self._jobs:
                    continue
                asked, polls = self._jobs[number]
                self._jobs[number] = (asked, polls + 1)
            if polls == 0:
                shown.append(self._shown(number, "PROCESSING", None))
            elif self._faults.take(VENDOR, "failed_job", "/jobs/"):
                shown.append(self._shown(number, "FAILED", None))
            else:
                shown.append(self._shown(number, "SUCCESS", f"{base}/files/stats_job_{number}.json.gz"))
        return shown

    def file(self, number: str) -> bytes | None:
        job = self._jobs.get(number)
        return None if job is None else gzip.compress(json.dumps(self.answer(job[0], DAYS_A_JOB)).encode(), mtime=0)

    def _shown(self, number: str, status: str, url: str | None) -> dict[str, Any]:
        asked = self._jobs[number][0]
        known = {name: asked.get(name) for name in ("start_time", "end_time", "placement", "granularity", "entity")}
        return {
            "id": int(number),
            "id_str": number,
            "status": status,
            "url": url,
            "account_id": ACCOUNT.account_id,
            **known,
        }


def _metrics(rows: list[dict[str, Any]], start: date, length: int, groups: list[str]) -> dict[str, Any]:
    place = {str(start + timedelta(days=day)): day for day in range(length)}
    series: dict[str, list[Any]] = {}

    def put(name: str, day: int, value: Any) -> None:
        series.setdefault(name, [0] * length)[day] = value

    for row in rows:
        day, clicks = place[row["date"]], whole(row["clicks"])
        put("impressions", day, whole(row["impressions"]))
        put("url_clicks", day, clicks)
        put("clicks", day, clicks + whole(row["impressions"]) // 300)
        put("engagements", day, clicks + whole(row["impressions"]) // 100)
        put("billed_engagements", day, clicks)
        put("billed_charge_local_micro", day, whole(row["cost_micros"]))
        if row["conversions"]:
            put("conversion_sign_ups", day, float(row["conversions"]))
    known: dict[str, Any] = {name: series.get(name) for group in groups for name in GROUPS[group]}
    for name in GROUPS["WEB_CONVERSION"]:
        if known.get(name) is not None:
            known[name] = {"metric": known[name], "post_engagement": known[name], "post_view": [0] * length}
    return known


def create_app(world: World, faults: Faults) -> Starlette:
    """The API for one ad account."""
    statistics = Statistics(world, faults)

    async def check(request: Request) -> None:
        """The signature, made anew from what arrived."""
        skew = faults.active(VENDOR, "clock_skew")
        objection = await oauth1.objection(request, tuple(CREDENTIALS.values()), skew.seconds if skew else 0.0)
        if objection:
            raise Refusal(401, "UNAUTHORIZED_ACCESS", objection)
        if request.path_params.get("account", ACCOUNT.account_id) != ACCOUNT.account_id:
            raise Refusal(404, "NOT_FOUND", "Account was not found")

    def facts() -> dict[str, Any]:
        return {
            "id": ACCOUNT.account_id,
            "name": "Sandbox shop",
            "timezone": ACCOUNT.zone,
            "approval_status": "ACCEPTED",
            "deleted": False,
            "created_at": "2026-01-01T08:00:00Z",
            "updated_at": "2026-01-01T08:00:00Z",
        }

    def accounts(_request: Request, _asked: dict[str, str]) -> Any:
        return {"request": {"params": {}}, "next_cursor": None, "data": [facts()]}

    def account(request: Request, _asked: dict[str, str]) -> Any:
        return {"request": {"params": dict(request.path_params)}, "data": facts()}

    def campaigns(request: Request, asked: dict[str, str]) -> Any:
        rows = campaigns_of(world, VENDOR)
        try:
            cursor = opened(asked["cursor"]) if asked.get("cursor") else ""
            size = int(asked.get("count", "200"))
        except ValueError:
            raise Refusal(400, "INVALID_PARAMETER", "cursor or count is not one of ours") from None
        page = cursor_page(faults, VENDOR, request.url.path, len(rows), cursor, size)
        shown = [
            {
                "id": row["id"],
                "name": row["name"],
                "currency": ACCOUNT.currency,
                "entity_status": "ACTIVE",
                "funding_instrument_id": "lygyi",
                "created_at": "2026-01-01T08:00:00Z",
                "updated_at": "2026-01-01T08:00:00Z",
                "deleted": False,
            }
            for row in rows[page.start : page.stop]
        ]
        following = sealed(page.cursor) if page.cursor else None
        return {"request": {"params": asked}, "next_cursor": following, "data": shown}

    def stats(_request: Request, asked: dict[str, str]) -> Any:
        return statistics.answer(asked, DAYS_A_CALL)

    def active(_request: Request, asked: dict[str, str]) -> Any:
        return {"request": {"params": asked}, "data": statistics.active(asked)}

    def jobs(request: Request, asked: dict[str, str]) -> Any:
        if request.method == "POST":
            return {"request": {"params": asked}, "data": statistics.submit(asked)}
        base = own_address(request)
        found = statistics.states(asked.get("job_ids", "").split(","), base)
        return {"request": {"params": asked}, "next_cursor": None, "data": found}

    async def file(request: Request) -> Response:
        content = await run_in_threadpool(statistics.file, str(request.path_params["number"]))
        return Response(status_code=404) if content is None else Response(content, media_type="application/gzip")

    def route(path: str, respond: Any, *methods: str) -> Route:
        async def served(request: Request) -> Response:
            try:
                await check(request)
                asked = dict(request.query_params)
                if request.method == "POST":
                    asked |= dict(parse_qsl((await request.body()).decode()))
                return JsonResponse(await run_in_threadpool(respond, request, asked))
            except Refusal as refused:
                return refused.response()

        return Route(f"/{{version}}{path}", served, methods=list(methods or ("GET",)))

    dialect = Dialect(
        throttle=_throttled,
        server_error=lambda _request, _fault: Refusal(500, "INTERNAL_ERROR", "Internal error").response(),
        expired_token=lambda _request, _fault: UNAUTHORIZED.response(),
        revoked_token=lambda _request, _fault: UNAUTHORIZED.response(),
    )
    return Starlette(
        routes=[
            route("/accounts", accounts),
            route("/accounts/{account}", account),
            route("/accounts/{account}/campaigns", campaigns),
            route("/stats/accounts/{account}", stats),
            route("/stats/accounts/{account}/active_entities", active),
            route("/stats/jobs/accounts/{account}", jobs, "GET", "POST"),
            Route("/files/stats_job_{number}.json.gz", file),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect)],
    )
