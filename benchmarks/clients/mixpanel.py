"""mixpanel-utils: the raw export and every profile, page by page."""

import json
import os

from mixpanel_utils import MixpanelUtils

told = json.loads(os.environ["SANDBOX"])
client = MixpanelUtils(
    told["MIXPANEL_SECRET"], project_id=4713, service_account_username=told["MIXPANEL_USERNAME"], read_pool_size=1
)
client.raw_api = client.formatted_api = f"{told['base_url']}/api"
dates = {"from_date": told["first"], "to_date": told["last"], "project_id": 4713}
events = [event for event in client.query_export(dates) if event["event"] != "$identify"]
# A client that sends again repeats the insert id; the export tells it twice.
distinct = {event["properties"]["$insert_id"] for event in events}
profiles = client.query_engage({"project_id": 4713})
print(json.dumps({"events": len(distinct), "profiles": len(profiles)}))
