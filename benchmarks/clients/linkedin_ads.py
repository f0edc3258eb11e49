"""linkedin-api-client: its own encoding of Rest.li queries, campaigns and analytics by finder."""

import json
import os
import urllib.parse
import urllib.request
from datetime import date
from decimal import Decimal

from linkedin_api.clients.restli.client import RestliClient
from linkedin_api.common import constants

told = json.loads(os.environ["SANDBOX"])
constants.VERSIONED_BASE_URL = f"{told['base_url']}/rest"
form = {
    "grant_type": "refresh_token",
    "client_id": told["LINKEDIN_ADS_CLIENT_ID"],
    "client_secret": told["LINKEDIN_ADS_CLIENT_SECRET"],
    "refresh_token": told["LINKEDIN_ADS_REFRESH_TOKEN"],
}
with urllib.request.urlopen(told["token_url"], urllib.parse.urlencode(form).encode(), timeout=30) as reply:
    token = json.loads(reply.read())["access_token"]
client, version = RestliClient(), "202610"
found = client.finder(
    resource_path="/adAccounts/{account}/adCampaigns",
    path_keys={"account": told["account"]},
    finder_name="search",
    query_params={"pageSize": 100},
    access_token=token,
    version_string=version,
)
campaigns = [f"urn:li:sponsoredCampaign:{campaign['id']}" for campaign in found.elements]


def day(text):
    at = date.fromisoformat(text)
    return {"year": at.year, "month": at.month, "day": at.day}


reply = client.finder(
    resource_path="/adAnalytics",
    finder_name="analytics",
    query_params={
        "pivot": {"value": "CAMPAIGN"},
        "timeGranularity": {"value": "DAILY"},
        "dateRange": {"start": day(told["first"]), "end": day(told["last"])},
        "campaigns": campaigns,
        "fields": "dateRange,pivotValues,costInLocalCurrency,landingPageClicks,impressions",
    },
    access_token=token,
    version_string=version,
)
assert reply.status_code == 200, reply.response.text
cost = sum(Decimal(element["costInLocalCurrency"]) for element in reply.elements)
clicks = sum(element["landingPageClicks"] for element in reply.elements)
print(json.dumps({"rows": len(reply.elements), "cost": str(cost), "clicks": clicks}))
