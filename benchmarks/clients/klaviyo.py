"""klaviyo-api: campaigns, metrics and a page of events, every reply validated by the client's models."""

import json
import os

from klaviyo_api import KlaviyoAPI

told = json.loads(os.environ["SANDBOX"])
client = KlaviyoAPI(told["KLAVIYO_API_KEY"], max_delay=5, max_retries=1)
client.api_client.configuration.host = told["base_url"]


def plain(reply):
    return reply if isinstance(reply, dict) else reply.to_dict()


campaigns = plain(client.Campaigns.get_campaigns(filter="equals(messages.channel,'email')"))["data"]
metrics = plain(client.Metrics.get_metrics())["data"]
events = plain(client.Events.get_events(page_size=100))["data"]
print(json.dumps({"campaigns": len(campaigns), "metrics": len(metrics), "events": len(events)}))
