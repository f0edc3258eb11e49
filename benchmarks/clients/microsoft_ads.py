"""msads: the reporting manager submits, polls, downloads, unzips and reads the file by itself."""

import json
import os
import tempfile
import urllib.parse
import urllib.request
from datetime import date
from decimal import Decimal

from bingads.authorization import AuthorizationData, OAuthTokens, OAuthWebAuthCodeGrant
from bingads.v13.reporting import ReportingDownloadParameters, ReportingServiceManager
from openapi_client.models.reporting import (
    AccountThroughCampaignReportScope,
    CampaignPerformanceReportRequest,
    Date,
    ReportTime,
)

told = json.loads(os.environ["SANDBOX"])
form = {
    "grant_type": "refresh_token",
    "client_id": told["MICROSOFT_ADS_CLIENT_ID"],
    "client_secret": told["MICROSOFT_ADS_CLIENT_SECRET"],
    "refresh_token": told["MICROSOFT_ADS_REFRESH_TOKEN"],
}
with urllib.request.urlopen(told["token_url"], urllib.parse.urlencode(form).encode(), timeout=30) as reply:
    tokens = json.loads(reply.read())
signed_in = OAuthWebAuthCodeGrant(
    client_id=told["MICROSOFT_ADS_CLIENT_ID"],
    client_secret=told["MICROSOFT_ADS_CLIENT_SECRET"],
    redirection_uri="http://127.0.0.1",
    oauth_tokens=OAuthTokens(tokens["access_token"], tokens["expires_in"], tokens["refresh_token"]),
)
data = AuthorizationData(
    account_id=told["account"],
    customer_id="25000000",
    developer_token=told["MICROSOFT_ADS_DEVELOPER_TOKEN"],
    authentication=signed_in,
)


def day(text):
    found = date.fromisoformat(text)
    return Date(Year=found.year, Month=found.month, Day=found.day)


folder = tempfile.mkdtemp()
manager = ReportingServiceManager(
    data, poll_interval_in_milliseconds=50, working_directory=folder, location=told["base_url"]
)
request = CampaignPerformanceReportRequest(
    Type="CampaignPerformanceReportRequest",
    ReportName="client",
    Format="Csv",
    FormatVersion="2.0",
    Aggregation="Daily",
    Columns=["TimePeriod", "AccountId", "CampaignId", "CampaignName", "Impressions", "Clicks", "Spend"],
    Scope=AccountThroughCampaignReportScope(AccountIds=[told["account"]]),
    Time=ReportTime(CustomDateRangeStart=day(told["first"]), CustomDateRangeEnd=day(told["last"])),
)
report = manager.download_report(
    ReportingDownloadParameters(
        report_request=request,
        result_file_directory=folder,
        result_file_name="report.csv",
        overwrite_result_file=True,
        timeout_in_milliseconds=60_000,
    )
)
rows, cost, clicks = 0, Decimal(0), 0
for record in report.report_records:
    rows, cost, clicks = rows + 1, cost + Decimal(record.value("Spend")), clicks + record.int_value("Clicks")
assert rows == report.record_count
print(json.dumps({"rows": rows, "cost": str(cost), "clicks": clicks}))
