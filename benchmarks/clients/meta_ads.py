"""facebook-business: insights by cursor, following the client's own paging."""

import json
import os
from decimal import Decimal

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession

told = json.loads(os.environ["SANDBOX"])
FacebookSession.GRAPH = told["base_url"]
FacebookAdsApi.init(access_token=told["META_ADS_ACCESS_TOKEN"], api_version="v26.0")
fields = ["spend", "clicks", "impressions", "campaign_name", "actions", "account_currency"]
asked = {
    "level": "ad",
    "time_increment": 1,
    "limit": 50,
    "time_range": {"since": told["first"], "until": told["last"]},
}
rows = list(AdAccount("act_1001").get_insights(fields=fields, params=asked))
cost = sum(Decimal(row["spend"]) for row in rows)
print(json.dumps({"rows": len(rows), "cost": str(cost), "clicks": sum(int(row["clicks"]) for row in rows)}))
