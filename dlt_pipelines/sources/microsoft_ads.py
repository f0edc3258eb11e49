"""Microsoft Ads: campaign days and clicks, each from a report that is ordered, waited for and downloaded as a zipped CSV.

The file states what it is: how many rows it holds and up to which day it is complete. A file that holds another number of
rows than it says is not whole and is asked for again.
"""

import csv
import io
import logging
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, MicrosoftAdsConfig
from dlt_pipelines.dialects import microsoft
from dlt_pipelines.http import VendorError, VendorSession, poll
from dlt_pipelines.oauth import rotating_auth
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "microsoft_ads"
DEVELOPER_TOKEN: Final = SecretSpec("MICROSOFT_ADS_DEVELOPER_TOKEN", "developer token of the manager account")
CLIENT_ID: Final = SecretSpec("MICROSOFT_ADS_CLIENT_ID", "id of the registered application")
CLIENT_SECRET: Final = SecretSpec(
    "MICROSOFT_ADS_CLIENT_SECRET", "secret of the application; public clients have none", required=False
)
REFRESH_TOKEN: Final = SecretSpec("MICROSOFT_ADS_REFRESH_TOKEN", "refresh token of a user who may read the accounts")
SCOPE: Final = "https://ads.microsoft.com/msads.manage offline_access"
DAYS_PER_REPORT: Final = 31
CLICK_DAYS_PER_REPORT: Final = 7
JOB_TRIES: Final = 3
ABSENT: Final = ("", "--")
CAMPAIGN_DAILY: Final = ResourceSpec(
    "campaign_daily",
    ("date", "account_id", "campaign_id"),
    "Spend, clicks and conversions per campaign and day.",
    (
        C("date", "date", "Day in the report's time zone."),
        C("account_id", "text", "Account."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("campaign_type", "text", "Campaign type as Microsoft names it."),
        C("impressions", "bigint", "Impressions."),
        C("clicks", "bigint", "Clicks."),
        C("spend", "decimal", "Spend in `currency_code`."),
        C("conversions", "double", "Conversions by day of the click."),
        C("revenue", "decimal", "Value of the conversions."),
        C("currency_code", "text", "Currency of the account."),
        C("time_zone", "text", "Time zone of the report."),
    ),
)
CLICKS: Final = ResourceSpec(
    "clicks",
    ("date", "msclkid"),
    "One row per click: the click id's campaign, ad and cost.",
    (
        C("date", "date", "Day in the report's time zone."),
        C("msclkid", "text", "Click id of the landing page's address."),
        C("account_id", "text", "Account."),
        C("campaign_id", "text", "Campaign."),
        C("ad_group_id", "text", "Ad group."),
        C("ad_id", "text", "Ad."),
        C("keyword", "text", "Keyword that matched, personal values redacted.", "free_text"),
        C("device_type", "text", "Device as Microsoft names it."),
        C("clicks", "bigint", "Clicks under this id."),
        C("cpc", "decimal", "Cost of the click in the account's currency."),
    ),
)


@dataclass(frozen=True)
class Report:
    """A report to order: its kind, and which of its columns become ours."""

    kind: str
    columns: Mapping[str, str]


CAMPAIGN_REPORT: Final = Report(
    "CampaignPerformanceReportRequest",
    {
        "TimePeriod": "date",
        "AccountId": "account_id",
        "CampaignId": "campaign_id",
        "CampaignName": "campaign_name",
        "CampaignType": "campaign_type",
        "CurrencyCode": "currency_code",
        "Impressions": "impressions",
        "Clicks": "clicks",
        "Spend": "spend",
        "Conversions": "conversions",
        "Revenue": "revenue",
    },
)
CLICK_REPORT: Final = Report(
    "MSClickIdPerformanceReportRequest",
    {
        "TimePeriod": "date",
        "AccountId": "account_id",
        "CampaignId": "campaign_id",
        "AdGroupId": "ad_group_id",
        "AdId": "ad_id",
        "MSClickId": "msclkid",
        "Keyword": "keyword",
        "DeviceType": "device_type",
        "Clicks": "clicks",
        "Cpc": "cpc",
    },
)


def open_session(config: MicrosoftAdsConfig) -> VendorSession:
    developer_token = DEVELOPER_TOKEN.read()
    auth = rotating_auth(
        NAME,
        config,
        CLIENT_ID,
        CLIENT_SECRET,
        REFRESH_TOKEN,
        form={"scope": SCOPE},
        headers={"DeveloperToken": developer_token},
    )
    return VendorSession(NAME, config, microsoft, auth)


def build(config: MicrosoftAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.account_ids:
        raise ValueError("sources.microsoft_ads.account_ids is empty; name the accounts to read.")

    def campaigns(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for part in days.chunks(DAYS_PER_REPORT):
                yield from report_rows(session, config, CAMPAIGN_REPORT, part)

    def clicks(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for part in days.chunks(CLICK_DAYS_PER_REPORT):
                yield from report_rows(session, config, CLICK_REPORT, part)

    resources = [
        day_resource(
            NAME,
            CAMPAIGN_DAILY,
            window,
            hasher,
            accounts=config.account_ids,
            settling_days=config.settling_days,
            pull=campaigns,
        )
    ]
    if config.clicks and config.click_days_back:
        resources.append(
            day_resource(
                NAME,
                CLICKS,
                window,
                hasher,
                accounts=config.account_ids,
                # A click does not change; only the last days may still gain some.
                settling_days=min(config.settling_days, 3),
                pull=clicks,
                earliest=window.now.date() - timedelta(days=config.click_days_back),
            )
        )
    return make_source(NAME, resources)


def report_rows(
    session: VendorSession, config: MicrosoftAdsConfig, report: Report, days: "DayRange"
) -> Iterator[Mapping[str, Any]]:
    """Rows of one report under our names; none where Microsoft built no file."""
    address = _finished_report(session, config, report, days)
    if address is None:
        return
    file = session.download(address, lambda content: read_report(content, tuple(report.columns), days.account))
    wanted = [(theirs, ours) for theirs, ours in report.columns.items() if ours != "account_id"]
    for row in file.rows():
        values = {ours: None if row[theirs] in ABSENT else row[theirs] for theirs, ours in wanted}
        yield values | {"account_id": days.account, "time_zone": row["time_zone"]}


def _finished_report(
    session: VendorSession, config: MicrosoftAdsConfig, report: Report, days: "DayRange"
) -> str | None:
    """Order a report and wait for it; the address of its file, None when there is nothing to report.

    Raises:
        VendorError: the report failed repeatedly or never ended.
    """
    # In this API only Microsoft's own servers may stand behind the path; the headers say whose data is meant.
    place = f"/Reporting/{config.api_version}/GenerateReport"
    whose = {"CustomerAccountId": days.account} | ({"CustomerId": config.customer_id} if config.customer_id else {})
    status = ""
    for attempt in range(1, JOB_TRIES + 1):
        question = {"ReportRequest": _question(config, report, days)}
        order = str(session.call("POST", f"{place}/Submit", json=question, headers=whose)["ReportRequestId"])

        def ended(order: str = order) -> Mapping[str, Any] | None:
            reply = session.call("POST", f"{place}/Poll", json={"ReportRequestId": order}, headers=whose)
            state: Mapping[str, Any] = reply["ReportRequestStatus"]
            return None if state["Status"] == "Pending" else state

        state = poll(ended) or {"Status": "no end within an hour"}
        status = str(state["Status"])
        if status == "Success":
            return state.get("ReportDownloadUrl") or None
        LOG.warning("%s: report for %s to %s: %s (attempt %d)", NAME, days.start, days.end, status, attempt)
    raise VendorError(f"{NAME}: the report for account {days.account} ended {JOB_TRIES} times with {status!r}.")


def _question(config: MicrosoftAdsConfig, report: Report, days: "DayRange") -> dict[str, Any]:
    return {
        "Type": report.kind,
        "ReportName": f"attribution {days.start} {days.end}",
        "Format": "Csv",
        "FormatVersion": "2.0",
        "ReturnOnlyCompleteData": False,
        "Aggregation": "Daily",
        "Columns": list(report.columns),
        "Scope": {"AccountIds": [days.account]},
        "Time": {
            "CustomDateRangeStart": _day(days.start),
            "CustomDateRangeEnd": _day(days.end - timedelta(days=1)),
            "ReportTimeZone": config.report_time_zone,
        },
    }


def _day(day: date) -> dict[str, int]:
    return {"Year": day.year, "Month": day.month, "Day": day.day}


@dataclass(frozen=True)
class ReportFile:
    """A downloaded report that was found whole. It is kept zipped: a million rows are 8 MB so, and a gigabyte as objects."""

    content: bytes
    names: tuple[str, ...]
    facts: Mapping[str, str]

    def rows(self) -> Iterator[dict[str, str]]:
        """Rows by Microsoft's column names, with the header's time zone as `time_zone`."""
        with _lines(self.content) as lines:
            _begin(lines)
            for values in lines:
                if len(values) == len(self.names) > 1:
                    yield {**dict(zip(self.names, values, strict=True)), "time_zone": self.facts.get("Time Zone", "")}


@contextmanager
def _lines(content: bytes) -> Iterator[Iterator[list[str]]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        with archive.open(name) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield csv.reader(text)


def _begin(lines: Iterator[list[str]]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Read up to the table: its column names, and the facts above it.

    Raises:
        ValueError: there is no table.
    """
    facts: dict[str, str] = {}
    for line in lines:
        if "TimePeriod" in line:
            return tuple(line), facts
        label, _, value = (line[0] if line else "").partition(": ")
        facts[label] = value.strip()
    raise ValueError("no table")


def read_report(content: bytes, columns: Sequence[str], account: str) -> ReportFile:
    """A zipped report, read through once to see that it is whole.

    Raises:
        ValueError: it is not: no zip, no table in it, or another number of rows than it states.
        VendorError: a column that was asked for is not in it.
    """
    try:
        with _lines(content) as lines:
            names, facts = _begin(lines)
            count = sum(len(values) == len(names) > 1 for values in lines)
    except (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(str(error)) from None
    lacking = [column for column in columns if column not in names]
    if lacking:
        raise VendorError(
            f"{NAME}: the report for account {account} lacks the columns {', '.join(lacking)}; its format changed. "
            "Nothing of this source was written."
        )
    if facts.get("Rows", "").isdigit() and int(facts["Rows"]) != count:
        raise ValueError("another number of rows than stated")
    if facts.get("Potential Incomplete Data", "").lower() == "true":
        completed = facts.get("Last Completed Available Day")
        LOG.info("%s %s: complete up to %s; later days are pulled again", NAME, account, completed)
    return ReportFile(content, names, facts)


def probe(config: MicrosoftAdsConfig) -> Iterator[Finding]:
    """Whether a report may be ordered for every configured account."""
    if not config.account_ids:
        yield Finding("error", f"{NAME}: account_ids", "empty", "Name the accounts under [sources.microsoft_ads].")
        return
    from dlt_pipelines.extraction import DayRange

    with open_session(config) as session:
        yesterday = date.today() - timedelta(days=1)
        for account in config.account_ids:
            days = DayRange(account, yesterday, yesterday + timedelta(days=1))
            rows = list(report_rows(session, config, CAMPAIGN_REPORT, days))
            yield Finding("ok", f"{NAME}: {account}", f"reports are built; {len(rows)} campaigns delivered yesterday")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Microsoft Ads",
    config_model=MicrosoftAdsConfig,
    resources=(CAMPAIGN_DAILY, CLICKS),
    secrets=(DEVELOPER_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
