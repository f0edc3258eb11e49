"""Google Ads API over REST: search, searchStream, listAccessibleCustomers.

Quirks kept: int64 as text, camelCase, unset fields missing, fixed pages of 10,000 rows (a page size is an
error), errors of the stream as an array, ``click_view`` one day at a time and 90 days back, no metrics of a manager.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults, cursor_page
from dlt_pipelines.sandbox.vendors.common import (
    DEVELOPER_TOKEN,
    EUROPE,
    GOOGLE_ADS_CUSTOMER,
    GOOGLE_ADS_MANAGER,
    JsonResponse,
    World,
    json_of,
    on_time,
    records_of,
    share_of,
    text_or_none,
    whole,
    world_end,
    world_today,
)
from dlt_pipelines.sandbox.vendors.gaql import Condition, Query, QueryError, date_bounds, keeps, parse
from dlt_pipelines.sandbox.vendors.google_oauth import (
    ADS_SCOPES,
    TokenAuthority,
    google_dialect,
    google_error,
    refusal,
    shared_authority,
)

VENDOR = "google_ads"
PAGE = 10_000
CLICK_DAYS = 90
LIVE_VERSIONS = ("v23", "v24", "v25", "v26")
STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
}


@dataclass(frozen=True)
class Field:
    """A field of the query language: where its value comes from and how JSON shows it."""

    column: str
    kind: str = "text"  # text, int64 (text in JSON), int (text in JSON, a metric), double


FIELDS = {
    "customer.id": Field("account_id", "int64"),
    "customer.descriptive_name": Field("account_name"),
    "customer.currency_code": Field("currency"),
    "customer.time_zone": Field("time_zone"),
    "customer.manager": Field("manager", "bool"),
    "campaign.id": Field("campaign_id", "int64"),
    "campaign.name": Field("campaign_name"),
    "campaign.status": Field("status"),
    "campaign.advertising_channel_type": Field("channel_type"),
    "ad_group.id": Field("ad_group_id", "int64"),
    "ad_group.name": Field("ad_group_name"),
    "ad_group.status": Field("status"),
    "ad_group_ad.ad.id": Field("ad_id", "int64"),
    "ad_group_ad.ad.name": Field("ad_name"),
    "ad_group_ad.status": Field("status"),
    "click_view.gclid": Field("click_id"),
    "click_view.ad_group_ad": Field("ad_group_ad"),
    "segments.date": Field("date"),
    "segments.ad_network_type": Field("network"),
    "metrics.cost_micros": Field("cost_micros", "int64"),
    "metrics.clicks": Field("clicks", "int64"),
    "metrics.impressions": Field("impressions", "int64"),
    "metrics.conversions": Field("conversions", "double"),
    "metrics.conversions_value": Field("conversions_value", "double"),
    "metrics.ctr": Field("ctr", "double"),
    "metrics.average_cpc": Field("average_cpc", "double"),
}
# What each resource may be asked for, and the columns that make one row of it.
RESOURCES: dict[str, tuple[frozenset[str], tuple[str, ...]]] = {
    "customer": (frozenset({"customer", "segments", "metrics"}), ("account_id",)),
    "campaign": (frozenset({"customer", "campaign", "segments", "metrics"}), ("account_id", "campaign_id")),
    "ad_group": (
        frozenset({"customer", "campaign", "ad_group", "segments", "metrics"}),
        ("account_id", "campaign_id", "ad_group_id"),
    ),
    "ad_group_ad": (
        frozenset({"customer", "campaign", "ad_group", "ad_group_ad", "segments", "metrics"}),
        ("account_id", "campaign_id", "ad_group_id", "ad_id"),
    ),
    "click_view": (
        frozenset({"customer", "campaign", "ad_group", "click_view", "segments", "metrics"}),
        ("account_id", "date", "click_id"),
    ),
}
SUMS = ("cost_micros", "clicks", "impressions", "conversions", "conversions_value")


def _is_metric(name: str) -> bool:
    return name.startswith("metrics.")


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


def camel(name: str) -> str:
    """``cost_micros`` -> ``costMicros``."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def field_mask(query: Query) -> str:
    """The mask of the reply: the selected fields, in JSON names."""
    return ",".join(".".join(camel(part) for part in name.split(".")) for name in query.fields)


class Reports:
    """Answers queries from the world's ad days and clicks."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._end, self._today = world_end(world), world_today(world)

    def rows(self, query: Query) -> list[dict[str, Any]]:
        """Result rows in JSON form, in a fixed order.

        Raises:
            QueryError: The query asks for what the resource does not have.
        """
        self._check(query)
        table = self._clicks(query) if query.resource == "click_view" else self._days(query)
        rows = [self._row(query, values) for values in records_of(table)]
        return rows[: query.limit] if query.limit else rows

    def _check(self, query: Query) -> None:
        if query.resource not in RESOURCES:
            raise QueryError(
                "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
                f"Error in query: '{query.resource}' is not a valid resource name.",
            )
        withdrawn = self._faults.active(VENDOR, "withdrawn_field")
        mentioned = [*query.fields, *(c.field for c in query.conditions), *(name for name, _ in query.order)]
        for name in mentioned:
            known = name in FIELDS or name.endswith(".resource_name")
            if not known or (withdrawn and withdrawn.field == name):
                raise QueryError("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{name}'.")
            if name.split(".")[0] not in RESOURCES[query.resource][0]:
                raise QueryError(
                    "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
                    f"Cannot select or filter on the following field: '{name}', since it is incompatible with the "
                    f"resource in the FROM clause, '{query.resource}'.",
                )
        for name in mentioned[len(query.fields) :]:
            if name.endswith(".resource_name"):
                raise QueryError(
                    "PROHIBITED_FIELD_IN_WHERE_CLAUSE",
                    f"The field '{name}' cannot be used in WHERE or ORDER BY.",
                )
        if query.resource == "click_view":
            self._check_clicks(query)
        elif "segments.date" in query.fields and None in date_bounds(query, self._today):
            raise QueryError(
                "EXPECTED_FILTERS_ON_DATE_RANGE",
                "Expects filters on the following field to limit a finite date range: 'segments.date'",
            )

    def _check_clicks(self, query: Query) -> None:
        for name in query.fields:
            if _is_metric(name) and name != "metrics.clicks":
                raise QueryError(
                    "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE",
                    f"Cannot select or filter on the following metrics: '{name}' (click_view has only clicks).",
                )
        first, last = date_bounds(query, self._today)
        if first is None or first != last:
            raise QueryError(
                "EXPECTED_FILTER_ON_A_SINGLE_DAY",
                "Missing filter on a single day. The query must be limited to one segments.date.",
                family="clickViewError",
            )
        if first < self._today - timedelta(days=CLICK_DAYS):
            raise QueryError(
                "DATE_TOO_OLD",
                f"The requested date {first} is older than {CLICK_DAYS} days.",
                family="clickViewError",
            )

    def _days(self, query: Query) -> pd.DataFrame:
        frame = self._world.ad_days
        frame = frame[frame["platform"].eq("google_ads")]
        frame = frame.assign(
            date=pd.to_datetime(frame["date"]).dt.strftime("%Y-%m-%d"),
            account_name="Sandbox shop",
            time_zone=EUROPE,
            manager=False,
            status="ENABLED",
            network="SEARCH",
        )
        frame = self._disturbed(frame)
        selected = set(query.fields) | {c.field for c in query.conditions}
        # A row of the answer is one resource per combination of the segments that were selected.
        segments = [FIELDS[name].column for name in sorted(query.fields) if name.startswith("segments.")]
        frame = _filtered(frame, [c for c in query.conditions if not _is_metric(c.field)], self._today)
        keys = [*RESOURCES[query.resource][1], *segments]
        others = [c for c in frame.columns if c not in keys and c not in SUMS and c != "day"]
        sums = [c for c in SUMS if c in frame.columns]
        grouped = frame.groupby(keys, sort=True, dropna=False, as_index=False)
        table = grouped.agg({**dict.fromkeys(others, "last"), **dict.fromkeys(sums, "sum")})
        if segments and any(_is_metric(name) for name in selected):
            table = table[table["impressions"] > 0]
        table["ctr"] = table["clicks"] / table["impressions"].where(table["impressions"] > 0)
        table["average_cpc"] = table["cost_micros"] / table["clicks"].where(table["clicks"] > 0)
        table = _filtered(table, [c for c in query.conditions if _is_metric(c.field)], self._today)
        return _sorted(table, query)

    def _disturbed(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Late and restated ad days, while those faults are on."""
        ids = frame["date"] + "/" + frame["ad_id"].astype(str)
        frame = frame[on_time(self._faults, VENDOR, self._end, ids, frame["date"])]
        return restated(frame, self._faults, VENDOR, self._end)

    def _clicks(self, query: Query) -> pd.DataFrame:
        clicks = self._world.ad_clicks
        clicks = clicks[clicks["platform"].eq("google_ads") & clicks["click_id_type"].eq("gclid")]
        local = clicks["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(EUROPE)
        table = clicks.assign(
            date=local.dt.strftime("%Y-%m-%d"),
            account_id=GOOGLE_ADS_CUSTOMER,
            currency="EUR",
            time_zone=EUROPE,
            account_name="Sandbox shop",
            manager=False,
            status="ENABLED",
            network="SEARCH",
            clicks=1,
            ad_group_ad=[
                f"customers/{GOOGLE_ADS_CUSTOMER}/adGroupAds/{whole(group)}~{whole(ad)}"
                for group, ad in zip(clicks["ad_group_id"], clicks["ad_id"], strict=True)
            ],
        )
        table = table[
            on_time(self._faults, VENDOR, self._end, table["click_id"], table["occurred_at"])
        ].drop_duplicates(["date", "click_id"])
        table = _filtered(table, list(query.conditions), self._today)
        return _sorted(table.sort_values(["occurred_at", "click_id"]), query)

    def _row(self, query: Query, values: dict[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name in query.fields:
            resource, *rest = name.split(".")
            node = row.setdefault(camel(resource), {})
            if resource not in ("segments", "metrics"):
                # Google Ads sends the resource name of every selected resource, asked for or not.
                node["resourceName"] = _resource_name(resource, values)
            if rest == ["resource_name"]:
                continue
            if rest[0] == "ad":
                node = node.setdefault("ad", {})
                node["resourceName"] = f"customers/{values['account_id']}/ads/{values['ad_id']}"
            shown = _shown(FIELDS[name], values.get(FIELDS[name].column))
            if shown is not None:
                node[camel(rest[-1])] = shown
        return row


def restated(frame: pd.DataFrame, faults: Faults, vendor: str, end: pd.Timestamp) -> pd.DataFrame:
    """Ad days with provisional figures, while ``restated_days`` is on.

    Cost and counts of the last days are scaled, and one ad of ten reports under an id that the final figures
    no longer have: rows that vanish upstream must vanish downstream.
    """
    fault = faults.active(vendor, "restated_days")
    if fault is None:
        return frame
    recent = pd.to_datetime(frame["date"]) >= end - pd.Timedelta(days=fault.days)
    frame = frame.copy()
    for column in ("cost_micros", "clicks", "impressions"):
        scaled = (frame[column] * fault.factor).astype("int64")
        frame[column] = frame[column].mask(recent, scaled)
    for column in ("conversions", "conversions_value"):
        frame[column] = frame[column].mask(recent, (frame[column] * fault.factor).round(2))
    phantom = frame[recent & frame["ad_id"].astype(str).map(lambda value: share_of(value, 10) == 0)]
    phantom = phantom.assign(
        **{name: phantom[name].astype(str) + "9" for name in ("campaign_id", "ad_group_id", "ad_id")}
    )
    return pd.concat([frame, phantom], ignore_index=True)


def _filtered(frame: pd.DataFrame, conditions: list[Condition], today: date) -> pd.DataFrame:
    """Rows that satisfy every condition."""
    for condition in conditions:
        spec = FIELDS[condition.field]
        # Each distinct value is judged once: a report has far fewer days and campaigns than rows.
        kept = {value: keeps(condition, _comparable(spec, value), today) for value in frame[spec.column].unique()}
        frame = frame[frame[spec.column].map(kept).astype(bool)]
    return frame


def _comparable(field: Field, value: Any) -> Any:
    if not isinstance(value, bool) and pd.isna(value):
        return None
    return int(value) if field.kind == "int64" else value


def _sorted(table: pd.DataFrame, query: Query) -> pd.DataFrame:
    if not query.order:
        return table
    columns = [FIELDS[name].column for name, _ in query.order]
    return table.sort_values(columns, ascending=[not descending for _, descending in query.order], kind="stable")


def _resource_name(resource: str, values: dict[str, Any]) -> str:
    customer = f"customers/{values['account_id']}"
    if resource == "customer":
        return customer
    tail = {
        "campaign": f"campaigns/{values.get('campaign_id')}",
        "ad_group": f"adGroups/{values.get('ad_group_id')}",
        "ad_group_ad": f"adGroupAds/{values.get('ad_group_id')}~{values.get('ad_id')}",
        "click_view": f"clickViews/{values.get('date')}~{values.get('click_id')}",
    }[resource]
    return f"{customer}/{tail}"


def _shown(field: Field, value: Any) -> Any:
    if value is None or (not isinstance(value, bool) and pd.isna(value)):
        return None
    if field.kind == "int64":
        return str(int(value))
    if field.kind == "double":
        return float(value)
    if field.kind == "bool":
        return bool(value)
    shown = text_or_none(value)
    return shown.upper() if shown and field.column == "channel_type" else shown


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
            if customer == GOOGLE_ADS_MANAGER and any(map(_is_metric, query.fields)):
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
            reply["nextPageToken"] = base64.urlsafe_b64encode(f"page:{page.cursor}".encode()).decode()
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
        marker, _, cursor = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        marker, cursor = "", ""
    if marker != "page" or not cursor[:1].isdigit():
        raise AdsError(400, "requestError", "INVALID_PAGE_TOKEN", "Page token is invalid.")
    return cursor
