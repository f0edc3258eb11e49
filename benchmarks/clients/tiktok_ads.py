"""tiktok-business-api-sdk-official: the integrated report, page by page."""

import json
import os
from decimal import Decimal

import business_api_client as sdk

told = json.loads(os.environ["SANDBOX"])
configuration = sdk.Configuration()
configuration.host = told["base_url"]
reports = sdk.ReportingApi(sdk.ApiClient(configuration))
rows, cost, clicks, page, pages = 0, Decimal(0), 0, 1, 1
while page <= pages:
    reply = reports.report_integrated_get(
        "BASIC",
        told["TIKTOK_ADS_ACCESS_TOKEN"],
        advertiser_id=told["account"],
        service_type="AUCTION",
        data_level="AUCTION_AD",
        dimensions=["ad_id", "stat_time_day"],
        metrics=["spend", "clicks", "impressions", "conversion"],
        start_date=told["first"],
        end_date=told["last"],
        page=page,
        page_size=50,
    )
    data = reply.to_dict() if hasattr(reply, "to_dict") else reply
    data = data.get("data", data)
    for row in data["list"]:
        metrics = row["metrics"]
        rows, cost, clicks = rows + 1, cost + Decimal(metrics["spend"]), clicks + int(metrics["clicks"])
    pages = data["page_info"]["total_page"]
    page += 1
print(json.dumps({"rows": rows, "cost": str(cost), "clicks": clicks}))
