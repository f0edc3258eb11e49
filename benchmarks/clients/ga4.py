"""google-analytics-data over its REST transport, signed in as a service account."""

import json
import os

from google.analytics.data_v1beta import BetaAnalyticsDataClient
from google.analytics.data_v1beta.services.beta_analytics_data.transports import BetaAnalyticsDataRestTransport
from google.analytics.data_v1beta.types import DateRange, Dimension, Metric, RunReportRequest
from google.oauth2 import service_account

told = json.loads(os.environ["SANDBOX"])
scopes = ["https://www.googleapis.com/auth/analytics.readonly"]
key = json.loads(told["GA4_CREDENTIALS_JSON"])
credentials = service_account.Credentials.from_service_account_info(key, scopes=scopes)
host = told["base_url"].removeprefix("http://")
transport = BetaAnalyticsDataRestTransport(host=host, url_scheme="http", credentials=credentials)
client = BetaAnalyticsDataClient(transport=transport)
key_events = rows = offset = 0
while True:
    reply = client.run_report(
        RunReportRequest(
            property="properties/4711",
            dimensions=[Dimension(name="date"), Dimension(name="sessionSource")],
            metrics=[Metric(name="sessions"), Metric(name="keyEvents")],
            date_ranges=[DateRange(start_date=told["first"], end_date=told["last"])],
            limit=100,
            offset=offset,
        )
    )
    key_events += sum(int(float(row.metric_values[1].value)) for row in reply.rows)
    rows += len(reply.rows)
    offset += 100
    if offset >= reply.row_count:
        break
print(json.dumps({"rows": rows, "key_events": key_events}))
