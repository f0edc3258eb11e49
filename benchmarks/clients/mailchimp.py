"""mailchimp-marketing: campaigns by offset, and what the recipients of the first one did."""

import json
import os

import mailchimp_marketing

told = json.loads(os.environ["SANDBOX"])
client = mailchimp_marketing.Client()
client.set_config({"api_key": told["MAILCHIMP_API_KEY"], "server": "us21"})
client.api_client.host = f"{told['base_url']}/3.0"
campaigns, offset = [], 0
while True:
    reply = client.campaigns.list(count=10, offset=offset)
    campaigns += reply["campaigns"]
    offset += 10
    if offset >= reply["total_items"]:
        break
activity = client.reports.get_email_activity_for_campaign(campaigns[0]["id"], count=1000)
sent = sum(campaign["emails_sent"] for campaign in campaigns)
print(json.dumps({"campaigns": len(campaigns), "emails_sent": sent, "recipients": len(activity["emails"])}))
