"""GA4 Data API v1beta: ``runReport``, ``batchRunReports`` and the property's metadata.

Quirks kept: values are positional text, int64 is text in replies, ``rows`` is absent when there are none, false
flags are absent, ``rowCount`` counts over all pages.
"""

from __future__ import annotations

import re
import threading
from datetime import date, timedelta
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import FaultMiddleware, Faults, offset_page
from dlt_pipelines.sandbox.vendors.common import (
    EUROPE,
    GA4_PROPERTY,
    JsonResponse,
    World,
    json_of,
    on_time,
    world_end,
    world_today,
)
from dlt_pipelines.sandbox.vendors.ga4_facts import event_facts
from dlt_pipelines.sandbox.vendors.google_oauth import (
    ANALYTICS_SCOPES,
    TokenAuthority,
    google_dialect,
    google_error,
    refusal,
    shared_authority,
)

VENDOR = "ga4"
MAX_LIMIT, DEFAULT_LIMIT = 250_000, 10_000
DIMENSIONS = {
    "date": "date",
    "sessionSource": "source",
    "sessionMedium": "medium",
    "sessionCampaignName": "campaign",
    "sessionSourceMedium": "source_medium",
    "landingPage": "landing_page",
    "hostName": "host",
    "pagePath": "path",
    "eventName": "event_name",
    "country": "country",
    "deviceCategory": "category",
    "browser": "browser",
    "operatingSystem": "operating_system",
}
METRICS = {
    "sessions": "TYPE_INTEGER",
    "engagedSessions": "TYPE_INTEGER",
    "keyEvents": "TYPE_FLOAT",
    "conversions": "TYPE_FLOAT",
    "eventCount": "TYPE_INTEGER",
    "totalUsers": "TYPE_INTEGER",
    "activeUsers": "TYPE_INTEGER",
    "newUsers": "TYPE_INTEGER",
    "screenPageViews": "TYPE_INTEGER",
    "eventValue": "TYPE_FLOAT",
    "totalRevenue": "TYPE_CURRENCY",
}
REQUEST_FIELDS = frozenset(
    {
        "property",
        "dimensions",
        "metrics",
        "dateRanges",
        "dimensionFilter",
        "offset",
        "limit",
        "orderBys",
        "currencyCode",
        "keepEmptyRows",
        "returnPropertyQuota",
        "metricAggregations",
    }
)
SCHEMA_PAGE = "https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema"
HOURLY = (
    "Exhausted property tokens for a project per hour. These quota tokens will return in under an hour. To learn "
    "more, see https://developers.google.com/analytics/devguides/reporting/data/v1/quotas"
)


class InvalidArgumentError(ValueError):
    """A request that GA4 answers with 400 INVALID_ARGUMENT and this message."""


class Reports:
    """Computes reports from the world's events; the event facts are built at the first one."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._facts: pd.DataFrame | None = None
        self._lock = threading.Lock()
        self._tokens_spent = 0

    def _served_facts(self) -> pd.DataFrame:
        with self._lock:
            if self._facts is None:
                facts = event_facts(self._world)
                self._facts = facts.assign(source_medium=facts["source"] + " / " + facts["medium"])
        facts = self._facts
        return facts[on_time(self._faults, VENDOR, world_end(self._world), facts["event_id"], facts["occurred_at"])]

    def day(self, text: str) -> date:
        """A date of a request, relative ones counted from the world's last day."""
        today = world_today(self._world)
        if text in ("today", "yesterday"):
            return today - timedelta(days=text == "yesterday")
        if match := re.fullmatch(r"(\d+)daysAgo", text):
            return today - timedelta(days=int(match[1]))
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise InvalidArgumentError(f"Invalid date: {text}. Expected YYYY-MM-DD.") from None

    def run(self, request: dict[str, Any], path: str) -> dict[str, Any]:
        """The reply to one report request.

        Raises:
            InvalidArgumentError: The request is not one that GA4 would answer.
        """
        unknown = request.keys() - REQUEST_FIELDS
        if unknown:
            raise InvalidArgumentError(
                f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
            )
        dimensions = _names(request, "dimensions", 9)
        metrics = _names(request, "metrics", 10)
        self._check_fields(dimensions, metrics)
        ranges = request.get("dateRanges") or []
        if len(ranges) != 1:
            raise InvalidArgumentError("This sandbox serves reports of exactly one date range.")
        first, last = self.day(ranges[0].get("startDate", "")), self.day(ranges[0].get("endDate", ""))
        if first > last:
            raise InvalidArgumentError(f"startDate {first} must be before endDate {last}.")
        limit = _whole(request, "limit", DEFAULT_LIMIT)
        offset = _whole(request, "offset", 0)
        if limit <= 0 or offset < 0:
            raise InvalidArgumentError("limit must be positive and offset must not be negative.")
        facts = self._served_facts()
        facts = facts[(facts["day"] >= first) & (facts["day"] <= last)]
        facts = facts[_matches(facts, request.get("dimensionFilter"))]
        table = _ordered(
            self._aggregate(facts, dimensions, metrics), request.get("orderBys") or [], dimensions, metrics
        )
        page = offset_page(self._faults, VENDOR, path, len(table), offset, min(limit, MAX_LIMIT))
        return self._reply(request, table.iloc[page.start : page.stop], dimensions, metrics, page.total)

    def _check_fields(self, dimensions: list[str], metrics: list[str]) -> None:
        withdrawn = self._faults.active(VENDOR, "withdrawn_field")
        for kind, names, known in (("dimension", dimensions, DIMENSIONS), ("metric", metrics, METRICS)):
            for name in names:
                if name not in known or (withdrawn and withdrawn.field == name):
                    raise InvalidArgumentError(
                        f"Field {name} is not a valid {kind}. For a list of valid dimensions and metrics, see {SCHEMA_PAGE} "
                    )
        if not metrics:
            raise InvalidArgumentError("At least one metric is required in this sandbox's reports.")

    def _aggregate(self, facts: pd.DataFrame, dimensions: list[str], metrics: list[str]) -> pd.DataFrame:
        columns = [DIMENSIONS[name] for name in dimensions]
        session, value = facts["session_key"], facts["value"].fillna(0.0)
        device = facts["device_id"]
        measures: dict[str, tuple[pd.Series, str]] = {
            "sessions": (session, "nunique"),
            "engagedSessions": (session.where(facts["is_engaged"]), "nunique"),
            "keyEvents": (facts["is_key"] * self._restatement(facts), "sum"),
            "conversions": (facts["is_key"] * self._restatement(facts), "sum"),
            "eventCount": (facts["event_id"], "count"),
            "totalUsers": (device, "nunique"),
            "activeUsers": (device, "nunique"),
            "newUsers": (device.where(facts["ga_session_number"] == 1), "nunique"),
            "screenPageViews": (facts["event_name"].eq("page_view").astype("int64"), "sum"),
            "eventValue": (value, "sum"),
            "totalRevenue": (value.where(facts["event_name"].eq("purchase"), 0.0), "sum"),
        }
        keys = [facts[column] for column in columns] or [pd.Series("total", index=facts.index)]
        table = pd.DataFrame(
            {
                name: getattr(measures[name][0].groupby(keys, sort=True, observed=True), measures[name][1])()
                for name in metrics
            }
        )
        # GA4 drops rows in which every metric is zero unless keepEmptyRows is set; ours arise from events, so
        # they only do so when none of the chosen metrics counts anything.
        table = table[(table != 0).any(axis=1)].reset_index(names=columns or ["total"])
        table.columns = [*(dimensions or ["total"]), *metrics]
        return table

    def _restatement(self, facts: pd.DataFrame) -> pd.Series:
        fault = self._faults.active(VENDOR, "restated_days")
        weight = pd.Series(1.0, index=facts.index)
        if fault:
            recent = facts["day"] >= world_today(self._world) - timedelta(days=fault.days)
            weight = weight.mask(recent, fault.factor)
        return weight

    def _reply(
        self,
        request: dict[str, Any],
        table: pd.DataFrame,
        dimensions: list[str],
        metrics: list[str],
        total: int,
    ) -> dict[str, Any]:
        flip = self._faults.active(VENDOR, "type_flip")
        flipped = flip.field if flip else ""
        rows = [
            {
                **(
                    {"dimensionValues": [{"value": str(value)} for value in row[: len(dimensions)]]}
                    if dimensions
                    else {}
                ),
                "metricValues": [
                    {"value": "(not set)" if name == flipped else _number(value)}
                    for name, value in zip(metrics, row[-len(metrics) :], strict=True)
                ],
            }
            for row in table.itertuples(index=False)
        ]
        reply: dict[str, Any] = {}
        if dimensions:
            reply["dimensionHeaders"] = [{"name": name} for name in dimensions]
        reply["metricHeaders"] = [{"name": name, "type": METRICS[name]} for name in metrics]
        if rows:
            reply["rows"] = rows
        if total:
            reply["rowCount"] = total
        reply["metadata"] = {"currencyCode": request.get("currencyCode") or "EUR", "timeZone": EUROPE}
        if request.get("returnPropertyQuota"):
            reply["propertyQuota"] = self._quota()
        return {**reply, "kind": "analyticsData#runReport"}

    def _quota(self) -> dict[str, Any]:
        with self._lock:
            self._tokens_spent += 7
            spent = self._tokens_spent

        def left(limit: int, consumed: int) -> dict[str, int]:
            # Zero fields are absent, as proto-JSON leaves them out.
            values = {"consumed": consumed, "remaining": max(0, limit - consumed)}
            return {name: value for name, value in values.items() if value}

        return {
            "tokensPerDay": left(200_000, spent),
            "tokensPerHour": left(40_000, spent),
            "concurrentRequests": left(10, 0),
            "serverErrorsPerProjectPerHour": left(10, 0),
            "potentiallyThresholdedRequestsPerHour": left(120, 0),
            "tokensPerProjectPerHour": left(14_000, spent),
        }


def _names(request: dict[str, Any], key: str, most: int) -> list[str]:
    names = [str(item.get("name", "")) for item in request.get(key) or []]
    if len(names) > most:
        raise InvalidArgumentError(f"Requests are limited to {most} {key}. This request is for {len(names)}.")
    if len(set(names)) != len(names):
        raise InvalidArgumentError(f"Requests can't have duplicate {key}.")
    return names


def _whole(request: dict[str, Any], key: str, default: int) -> int:
    try:
        return int(request.get(key, default))
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"Invalid value at '{key}' (TYPE_INT64), \"{request[key]}\"") from None


def _number(value: Any) -> str:
    number = float(value)
    return str(int(number)) if number.is_integer() else repr(round(number, 6))


def _matches(facts: pd.DataFrame, expression: dict[str, Any] | None) -> pd.Series:
    """Which rows a dimension filter keeps."""
    if not expression:
        return pd.Series(True, index=facts.index)
    if "andGroup" in expression or "orGroup" in expression:
        joined = "andGroup" if "andGroup" in expression else "orGroup"
        result = pd.Series(joined == "andGroup", index=facts.index)
        for part in expression[joined].get("expressions", []):
            kept = _matches(facts, part)
            result = result & kept if joined == "andGroup" else result | kept
        return result
    if "notExpression" in expression:
        return ~_matches(facts, expression["notExpression"])
    condition = expression.get("filter", {})
    name = condition.get("fieldName", "")
    if name not in DIMENSIONS:
        raise InvalidArgumentError(
            f"Field {name} is not a valid dimension. For a list of valid dimensions and metrics, see {SCHEMA_PAGE} "
        )
    values = facts[DIMENSIONS[name]].astype(str)
    if "inListFilter" in condition:
        return values.isin(condition["inListFilter"].get("values", []))
    text = condition.get("stringFilter", {})
    wanted, kind = str(text.get("value", "")), text.get("matchType", "EXACT")
    tests = {
        "EXACT": lambda: values == wanted,
        "BEGINS_WITH": lambda: values.str.startswith(wanted),
        "ENDS_WITH": lambda: values.str.endswith(wanted),
        "CONTAINS": lambda: values.str.contains(wanted, regex=False),
        "FULL_REGEXP": lambda: values.str.fullmatch(wanted),
        "PARTIAL_REGEXP": lambda: values.str.contains(wanted),
    }
    if kind not in tests:
        raise InvalidArgumentError(f"Invalid value at 'dimension_filter.filter.string_filter.match_type', \"{kind}\"")
    return tests[kind]()


def _ordered(
    table: pd.DataFrame, orders: list[dict[str, Any]], dimensions: list[str], metrics: list[str]
) -> pd.DataFrame:
    """Sorted as asked, then by every dimension so that pages never overlap."""
    names, ascending = [], []
    for order in orders:
        name = order.get("dimension", {}).get("dimensionName") or order.get("metric", {}).get("metricName")
        if name not in dimensions and name not in metrics:
            raise InvalidArgumentError(f"The orderBy field {name} is not in the request.")
        names.append(name)
        ascending.append(not order.get("desc", False))
    rest = [name for name in dimensions if name not in names]
    if names or rest:
        table = table.sort_values([*names, *rest], ascending=[*ascending, *[True] * len(rest)], kind="stable")
    return table


def create_app(world: World, faults: Faults, authority: TokenAuthority | None = None) -> Starlette:
    """The Data API for one property."""
    authority = authority or shared_authority()
    reports = Reports(world, faults)

    def denied(request: Request) -> Response | None:
        problem = refusal(request, authority, ANALYTICS_SCOPES)
        if problem is None and request.path_params["property_id"] != GA4_PROPERTY:
            return google_error(
                403, "PERMISSION_DENIED", "User does not have sufficient permissions for this property."
            )
        return problem

    async def run_report(request: Request) -> Response:
        problem = denied(request)
        if problem:
            return problem
        try:
            reply = await run_in_threadpool(reports.run, await json_of(request), request.url.path)
        except ValueError as error:
            return google_error(400, "INVALID_ARGUMENT", str(error))
        return JsonResponse(reply)

    async def batch_run_reports(request: Request) -> Response:
        problem = denied(request)
        if problem:
            return problem
        try:
            asked = (await json_of(request)).get("requests") or []
            if len(asked) > 5:
                raise InvalidArgumentError("Batch requests are limited to 5 reports.")
            replies = [
                await run_in_threadpool(reports.run, item, f"{request.url.path}/{number}")
                for number, item in enumerate(asked)
            ]
        except ValueError as error:
            return google_error(400, "INVALID_ARGUMENT", str(error))
        return JsonResponse({"reports": replies, "kind": "analyticsData#batchRunReports"})

    async def metadata(request: Request) -> Response:
        problem = denied(request)
        if problem:
            return problem
        return JsonResponse(
            {
                "name": f"properties/{GA4_PROPERTY}/metadata",
                "dimensions": [{"apiName": name, "uiName": name} for name in DIMENSIONS],
                "metrics": [{"apiName": name, "uiName": name, "type": kind} for name, kind in METRICS.items()],
            }
        )

    return Starlette(
        routes=[
            Route("/v1beta/properties/{property_id}:runReport", run_report, methods=["POST"]),
            Route("/v1beta/properties/{property_id}:batchRunReports", batch_run_reports, methods=["POST"]),
            Route("/v1beta/properties/{property_id}/metadata", metadata),
        ],
        middleware=[
            Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=google_dialect(authority, HOURLY))
        ],
    )
