"""google-ads speaks gRPC only, so its message classes read the sandbox's JSON instead: strictly, unknown fields refused."""

import json
import os
import urllib.parse
import urllib.request

from google.ads.googleads.v23.services.types.google_ads_service import SearchGoogleAdsResponse
from google.protobuf import json_format

told = json.loads(os.environ["SANDBOX"])


def post(url, body, headers):
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


form = {
    "grant_type": "refresh_token",
    "client_id": told["GOOGLE_ADS_CLIENT_ID"],
    "client_secret": told["GOOGLE_ADS_CLIENT_SECRET"],
    "refresh_token": told["GOOGLE_ADS_REFRESH_TOKEN"],
}
token = post(told["token_url"], urllib.parse.urlencode(form).encode(), {})["access_token"]
headers = {
    "Authorization": f"Bearer {token}",
    "developer-token": told["GOOGLE_ADS_DEVELOPER_TOKEN"],
    "login-customer-id": "9876543210",
    "Content-Type": "application/json",
}
query = (
    "SELECT segments.date, customer.id, customer.currency_code, customer.time_zone, campaign.id, campaign.name, "
    "campaign.advertising_channel_type, metrics.cost_micros, metrics.clicks, metrics.impressions, metrics.conversions, "
    "metrics.conversions_value FROM campaign "
    f"WHERE segments.date BETWEEN '{told['first']}' AND '{told['last']}'"
)
rows, cost, clicks, page = 0, 0, 0, ""
while True:
    asked = {"query": query, **({"pageToken": page} if page else {})}
    address = f"{told['base_url']}/v26/customers/1234567890/googleAds:search"
    document = post(address, json.dumps(asked).encode(), headers)
    message = json_format.ParseDict(document, SearchGoogleAdsResponse.pb()())
    for row in message.results:
        rows, cost, clicks = rows + 1, cost + row.metrics.cost_micros, clicks + row.metrics.clicks
    page = message.next_page_token
    if not page:
        break
print(json.dumps({"rows": rows, "cost": f"{cost // 1_000_000}.{cost % 1_000_000:06d}", "clicks": clicks}))
