"""hubspot-api-client: every contact and deal by the client's own paging, and the pipelines."""

import json
import os

import hubspot

told = json.loads(os.environ["SANDBOX"])
client = hubspot.Client.create(access_token=told["HUBSPOT_ACCESS_TOKEN"], host=told["base_url"])
contacts = client.crm.contacts.get_all(properties=["email", "lifecyclestage"])
deals = client.crm.deals.get_all(properties=["amount", "dealstage"])
pipelines = client.crm.pipelines.pipelines_api.get_all("deals").results
print(json.dumps({"contacts": len(contacts), "deals": len(deals), "pipelines": len(pipelines)}))
