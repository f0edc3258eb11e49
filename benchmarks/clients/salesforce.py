"""simple-salesforce: contacts, leads and opportunities by the client's own paging through queryAll.

The client speaks https only; an adapter takes it down to http on loopback. It signs in at salesforce.com alone, so the token
is fetched beside it.
"""

import json
import os

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

told = json.loads(os.environ["SANDBOX"])


class Loopback(HTTPAdapter):
    """Sends https to loopback as http."""

    def send(self, request, *args, **kwargs):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


grant = requests.post(
    f"{told['base_url']}/services/oauth2/token",
    data={
        "grant_type": "client_credentials",
        "client_id": told["SALESFORCE_CLIENT_ID"],
        "client_secret": told["SALESFORCE_CLIENT_SECRET"],
    },
    timeout=30,
).json()
session = requests.Session()
session.mount("https://127.0.0.1", Loopback())
client = Salesforce(
    instance=grant["instance_url"].removeprefix("http://"),
    session_id=grant["access_token"],
    session=session,
    version="66.0",
)
client.headers["Sforce-Query-Options"] = "batchSize=5"
contacts = client.query_all("SELECT Id FROM Contact", include_deleted=True)["records"]
leads = client.query_all("SELECT Id FROM Lead", include_deleted=True)["records"]
deals = client.query_all("SELECT Id, Amount FROM Opportunity", include_deleted=True)["records"]
amount = sum(deal["Amount"] or 0 for deal in deals)
print(json.dumps({"contacts": len(contacts) + len(leads), "deals": len(deals), "amount": f"{amount:.2f}"}))
