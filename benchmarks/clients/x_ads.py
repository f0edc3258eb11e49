"""twitter-ads: signed by the client (oauthlib), statistics at once by week and again by job."""

import gzip
import json
import os
import urllib.request
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from twitter_ads.client import Client
from twitter_ads.http import Request

told = json.loads(os.environ["SANDBOX"])
client = Client(
    told["X_ADS_CONSUMER_KEY"],
    told["X_ADS_CONSUMER_SECRET"],
    told["X_ADS_ACCESS_TOKEN"],
    told["X_ADS_ACCESS_TOKEN_SECRET"],
)
account = told["account"]


def ask(method, path, **params):
    return Request(client, method, path, params=params, domain=told["base_url"]).perform().body


facts = ask("get", "/12/accounts")["data"][0]
zone = ZoneInfo(facts["timezone"])
ids = ",".join(found["id"] for found in ask("get", f"/12/accounts/{account}/campaigns")["data"])


def midnight(day):
    begins = datetime(day.year, day.month, day.day, tzinfo=zone)
    return begins.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def totals(stats):
    found = {"billed_charge_local_micro": 0, "url_clicks": 0}
    for entity in stats["data"]:
        for name in found:
            found[name] += sum(entity["id_data"][0]["metrics"][name] or [])
    return found


first, end = date.fromisoformat(told["first"]), date.fromisoformat(told["last"]) + timedelta(days=1)
cost = clicks = job_cost = 0
for placement in ("ALL_ON_TWITTER", "SPOTLIGHT", "TREND"):
    asked = {
        "entity": "CAMPAIGN",
        "entity_ids": ids,
        "granularity": "DAY",
        "placement": placement,
        "metric_groups": "ENGAGEMENT,BILLING",
    }
    start = first
    while start < end:
        stop = min(end, start + timedelta(days=7))
        stats = ask(
            "get", f"/12/stats/accounts/{account}", start_time=midnight(start), end_time=midnight(stop), **asked
        )
        found = totals(stats)
        cost, clicks, start = cost + found["billed_charge_local_micro"], clicks + found["url_clicks"], stop
    jobs = f"/12/stats/jobs/accounts/{account}"
    job = ask("post", jobs, start_time=midnight(first), end_time=midnight(end), **asked)["data"]["id_str"]
    url = None
    while url is None:
        url = ask("get", jobs, job_ids=job)["data"][0]["url"]
    with urllib.request.urlopen(url, timeout=30) as reply:
        job_cost += totals(json.loads(gzip.decompress(reply.read())))["billed_charge_local_micro"]
assert job_cost == cost, (job_cost, cost)
print(json.dumps({"cost": f"{cost // 1_000_000}.{cost % 1_000_000:06d}", "clicks": clicks}))
