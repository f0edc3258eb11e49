"""Microsoft Advertising reporting, REST: order, poll, download a zipped CSV; tokens of the Microsoft identity platform.

Quirks kept: a report with nothing in it has no file, the CSV begins with a byte order mark and lines of facts and ends
with a line of copyright, every value is quoted, refresh tokens rotate.
"""

from __future__ import annotations

import csv
import io
import itertools
import threading
import zipfile
from datetime import date
from typing import Any

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dlt_pipelines.sandbox.faults import Dialect, Fault, FaultMiddleware, Faults
from dlt_pipelines.sandbox.vendors.ads import campaign_days
from dlt_pipelines.sandbox.vendors.common import (
    JsonResponse,
    World,
    decimal_text,
    json_of,
    on_time,
    own_address,
    records_of,
    sandbox_secret,
    share_of,
    whole,
    world_end,
)
from dlt_pipelines.sandbox.vendors.oauth import RefreshAuthority, token_route
from dlt_pipelines.sandbox.world_platforms import PLATFORMS

VENDOR = "microsoft_ads"
TOKEN_PATH = "/common/oauth2/v2.0/token"  # noqa: S105 - an address
DEVELOPER_TOKEN = sandbox_secret("microsoft developer token", 16)
ACCOUNT = PLATFORMS[VENDOR]
REFUSED = "AADSTS70000: The provided value for the input parameter 'refresh_token' is not valid.\r\nTrace ID: 1-2-3"
CAMPAIGN_COLUMNS = frozenset(
    {
        *("TimePeriod", "AccountId", "CampaignId", "CampaignName", "CampaignType", "CurrencyCode"),
        *("Impressions", "Clicks", "Ctr", "Spend", "Conversions", "ConversionsQualified", "Revenue"),
    }
)
CLICK_COLUMNS = frozenset(
    {
        *("TimePeriod", "AccountId", "CampaignId", "AdGroupId", "AdId", "MSClickId"),
        *("Keyword", "DeviceType", "Network", "Clicks", "Cpc"),
    }
)
COLUMNS = {"CampaignPerformanceReportRequest": CAMPAIGN_COLUMNS, "MSClickIdPerformanceReportRequest": CLICK_COLUMNS}
_numbers = itertools.count(1)


def fault_detail(status: int, code: int, name: str, message: str) -> Response:
    """An AdApiFaultDetail."""
    error = {"Code": code, "ErrorCode": name, "Message": message, "Detail": None}
    tracking = f"00000000-0000-0000-0000-{next(_numbers):012d}"
    return JsonResponse({"TrackingId": tracking, "Type": "AdApiFaultDetail", "Errors": [error]}, status)


class ReportError(Exception):
    """A request that no report can be built from."""


def _day(asked: dict[str, Any], name: str) -> date:
    try:
        parts = asked["Time"][name]
        return date(int(parts["Year"]), int(parts["Month"]), int(parts["Day"]))
    except (KeyError, TypeError, ValueError):
        raise ReportError(f"Time.{name} is no date") from None


def zipped(text: str) -> bytes:
    """A zip of one CSV; the same text gives the same bytes."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("report.csv", (2026, 7, 1, 0, 0, 0)), "\ufeff" + text)
    return held.getvalue()


class Reports:
    """Orders and the files built for them."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world, self._faults = world, faults
        self._orders: dict[str, dict[str, Any]] = {}
        self._polled: set[str] = set()
        self._lock = threading.Lock()

    def order(self, asked: dict[str, Any]) -> str:
        """The number of an order.

        Raises:
            ReportError: it cannot be built.
        """
        known = COLUMNS.get(str(asked.get("Type")))
        if known is None:
            raise ReportError(f"Type: the sandbox builds {sorted(COLUMNS)}")
        unknown = set(asked.get("Columns") or ["(none)"]) - known
        if unknown:
            raise ReportError(f"Columns: {', '.join(sorted(unknown))} not in this report")
        if (asked.get("Format"), asked.get("FormatVersion"), asked.get("Aggregation")) != ("Csv", "2.0", "Daily"):
            raise ReportError("the sandbox builds daily CSV of format version 2.0")
        if (asked.get("Scope") or {}).get("AccountIds") != [ACCOUNT.account_id]:
            raise ReportError("Scope.AccountIds: accounts that the user may not read")
        if _day(asked, "CustomDateRangeEnd") < _day(asked, "CustomDateRangeStart"):
            raise ReportError("Time: ends before it begins")
        with self._lock:
            number = f"{30000000 + next(_numbers)}"
            self._orders[number] = asked
        return number

    def state(self, number: str, base: str) -> dict[str, Any] | None:
        """What a poll says; None for an order that is not known."""
        with self._lock:
            if number not in self._orders:
                return None
            first = number not in self._polled
            self._polled.add(number)
        if first:
            return {"Status": "Pending", "ReportDownloadUrl": None}
        if self._faults.take(VENDOR, "failed_job", "/Poll"):
            return {"Status": "Error", "ReportDownloadUrl": None}
        address = f"{base}/download/{number}.zip?sig={sandbox_secret(number, 20)}"
        return {"Status": "Success", "ReportDownloadUrl": address if self._rows(self._orders[number]) else None}

    def file(self, number: str, path: str) -> bytes | None:
        asked = self._orders.get(number)
        if asked is None:
            return None
        rows, columns = self._rows(asked), [str(name) for name in asked["Columns"]]
        if fault := self._faults.take(VENDOR, "withdrawn_field", path):
            columns = [name for name in columns if name != fault.field]
        if fault := self._faults.take(VENDOR, "type_flip", path):
            rows = [{**row, fault.field: f"{row[fault.field]} units"} for row in rows]
        text = io.StringIO()
        facts = {
            "Report Name": asked.get("ReportName", ""),
            "Report Time": f"{_day(asked, 'CustomDateRangeStart'):%m/%d/%Y},{_day(asked, 'CustomDateRangeEnd'):%m/%d/%Y}",
            "Time Zone": (asked.get("Time") or {}).get("ReportTimeZone") or "PacificTimeUSCanadaTijuana",
            "Last Completed Available Day": f"{world_end(self._world) - pd.Timedelta(days=2):%m/%d/%Y} 11:00:00 PM (GMT)",
            "Potential Incomplete Data": "true",
            "Rows": str(len(rows)),
        }
        for name, value in facts.items():
            text.write(f'"{name}: {value}"\r\n')
        text.write("\r\n")
        table = csv.writer(text, quoting=csv.QUOTE_ALL)
        table.writerow(columns)
        table.writerows([row[name] for name in columns] for row in rows)
        text.write('\r\n"©2026 Microsoft Corporation. All rights reserved. "\r\n')
        return zipped(text.getvalue())

    def _rows(self, asked: dict[str, Any]) -> list[dict[str, str]]:
        first, last = str(_day(asked, "CustomDateRangeStart")), str(_day(asked, "CustomDateRangeEnd"))
        if asked["Type"] == "CampaignPerformanceReportRequest":
            table = campaign_days(self._world, self._faults, VENDOR, first, last)
            return [_campaign_row(row) for row in records_of(table)]
        return [_click_row(row) for row in records_of(self._clicks(first, last))]

    def _clicks(self, first: str, last: str) -> pd.DataFrame:
        clicks = self._world.ad_clicks
        clicks = clicks[clicks["platform"].eq(VENDOR)]
        local = clicks["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(ACCOUNT.zone)
        clicks = clicks.assign(date=local.dt.strftime("%Y-%m-%d"))
        days = self._world.ad_days
        days = days[days["platform"].eq(VENDOR) & (days["clicks"] > 0)]
        days = days.assign(date=pd.to_datetime(days["date"]).dt.strftime("%Y-%m-%d"))
        days = days.assign(cpc=days["cost_micros"] // days["clicks"])[["date", "ad_id", "cpc"]]
        clicks = clicks.merge(days, how="left", on=["date", "ad_id"])
        shown = on_time(self._faults, VENDOR, world_end(self._world), clicks["click_id"], clicks["date"])
        return clicks[shown & (clicks["date"] >= first) & (clicks["date"] <= last)]


def _campaign_row(row: dict[str, Any]) -> dict[str, str]:
    clicks, impressions = whole(row["clicks"]), whole(row["impressions"])
    return {
        "TimePeriod": row["date"],
        "AccountId": ACCOUNT.account_id,
        "CampaignId": str(row["campaign_id"]),
        "CampaignName": str(row["campaign_name"]),
        "CampaignType": str(row["channel_type"]),
        "CurrencyCode": ACCOUNT.currency,
        "Impressions": str(impressions),
        "Clicks": str(clicks),
        "Ctr": f"{100 * clicks / max(1, impressions):.2f}%",
        "Spend": decimal_text(row["cost_micros"]),
        "Conversions": f"{float(row['conversions']):g}",
        "ConversionsQualified": f"{float(row['conversions']):.2f}",
        "Revenue": f"{float(row['conversions_value']):.2f}",
    }


def _click_row(row: dict[str, Any]) -> dict[str, str]:
    click = str(row["click_id"])
    return {
        "TimePeriod": row["date"],
        "AccountId": ACCOUNT.account_id,
        "CampaignId": str(row["campaign_id"]),
        "AdGroupId": str(row["ad_group_id"]),
        "AdId": str(row["ad_id"]),
        "MSClickId": click,
        # Broad matches without a keyword are empty.
        "Keyword": "" if share_of(click, 5) == 0 else str(row["campaign_name"]).replace("-", " "),
        "DeviceType": ("Computer", "Smartphone", "Tablet")[share_of(click, 3)],
        "Network": "Bing and Yahoo! search",
        "Clicks": "1",
        "Cpc": "" if pd.isna(row["cpc"]) else decimal_text(row["cpc"]),
    }


def create_app(world: World, faults: Faults) -> Starlette:
    """The reporting service, its files and its token endpoint."""
    authority, reports = RefreshAuthority(VENDOR, faults, rotates=True, prefix="EwB"), Reports(world, faults)

    def expired(_request: Request, _fault: Fault) -> Response:
        authority.expire_all()
        return fault_detail(401, 109, "AuthenticationTokenExpired", "Authentication token expired.")

    def throttled(_request: Request, _fault: Fault) -> Response:
        return fault_detail(
            429, 117, "CallRateExceeded", "You have exceeded the number of calls you may make per minute."
        )

    def objection(request: Request) -> Response | None:
        if request.headers.get("developertoken") != DEVELOPER_TOKEN:
            return fault_detail(
                401, 105, "InvalidCredentials", "Authentication failed: the developer token is unknown."
            )
        if not authority.admits(request):
            return fault_detail(
                401,
                105,
                "InvalidCredentials",
                "Authentication failed. Either supplied credentials are invalid or the account is inactive.",
            )
        if request.headers.get("customeraccountid") != ACCOUNT.account_id:
            return fault_detail(
                400, 106, "UserIsNotAuthorized", "The user does not represent a authorized developer of this account."
            )
        return None

    async def submit(request: Request) -> Response:
        refusal = objection(request)
        if refusal is not None:
            return refusal
        try:
            number = reports.order((await json_of(request)).get("ReportRequest") or {})
        except (ReportError, ValueError) as error:
            return fault_detail(400, 2004, "ReportingServiceInvalidReport", str(error))
        return JsonResponse({"ReportRequestId": number})

    async def poll(request: Request) -> Response:
        refusal = objection(request)
        if refusal is not None:
            return refusal
        number = str((await json_of(request)).get("ReportRequestId"))
        base = own_address(request)
        state = await run_in_threadpool(reports.state, number, base)
        if state is None:
            return fault_detail(400, 2100, "ReportingServiceInvalidReportId", "The report request id is not known.")
        return JsonResponse({"ReportRequestStatus": state})

    async def download(request: Request) -> Response:
        number = str(request.path_params["number"])
        if request.query_params.get("sig") != sandbox_secret(number, 20):
            return Response("<Error><Code>AuthenticationFailed</Code></Error>", 403, media_type="application/xml")
        content = await run_in_threadpool(reports.file, number, f"/download/{number}.zip")
        if content is None:
            return Response("<Error><Code>BlobNotFound</Code></Error>", 404, media_type="application/xml")
        return Response(content, media_type="application/zip")

    place = "/Reporting/{version}/GenerateReport"
    dialect = Dialect(
        throttle=throttled,
        server_error=lambda _request, _fault: fault_detail(500, 0, "InternalError", "An internal error has occurred."),
        expired_token=expired,
        revoked_token=lambda _request, _fault: fault_detail(401, 105, "InvalidCredentials", "Authentication failed."),
    )
    return Starlette(
        routes=[
            Route(f"{place}/Submit", submit, methods=["POST"]),
            Route(f"{place}/Poll", poll, methods=["POST"]),
            Route("/download/{number}.zip", download),
            token_route(TOKEN_PATH, authority, described=REFUSED),
        ],
        middleware=[Middleware(FaultMiddleware, vendor=VENDOR, faults=faults, dialect=dialect, sign_in=TOKEN_PATH)],
    )
