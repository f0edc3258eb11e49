"""The sandbox's Salesforce org, over HTTP."""

import csv
import io

import pytest
import requests

DATA = "/services/data/v66.0"


@pytest.fixture
def sign_in(sandbox):
    known = sandbox.credentials()

    def post(**form):
        body = {
            "grant_type": "refresh_token",
            "client_id": known["SALESFORCE_CLIENT_ID"],
            "client_secret": known["SALESFORCE_CLIENT_SECRET"],
            "refresh_token": known["SALESFORCE_REFRESH_TOKEN"],
            **form,
        }
        return requests.post(f"{sandbox.base_urls['salesforce']}/services/oauth2/token", data=body, timeout=10)

    return post


@pytest.fixture
def org(sandbox, sign_in):
    token = sign_in().json()["access_token"]

    def call(path, body=None, token=token, **params):
        return requests.request(
            "GET" if body is None else "POST",
            f"{sandbox.base_urls['salesforce']}{path}",
            json=body,
            params=params or None,
            headers={"Authorization": f"Bearer {token}", "Sforce-Query-Options": "batchSize=2"},
            timeout=10,
        )

    return call


def test_a_token_names_the_instance_and_no_expiry(sandbox, sign_in):
    for reply in (sign_in(), sign_in(grant_type="client_credentials")):
        assert reply.json()["instance_url"] == sandbox.base_urls["salesforce"]
        assert "expires_in" not in reply.json()
    assert sign_in(client_secret="wrong").json()["error"] == "invalid_client"
    assert sign_in(refresh_token="0.wrong").json()["error"] == "invalid_grant"
    sandbox.faults.switch("salesforce", "revoked_token")
    assert sign_in().status_code == 400


def test_pages_follow_by_relative_address_and_deleted_rows_only_when_asked_for(org):
    seen, path = [], f"{DATA}/queryAll"
    body = org(path, q="SELECT Id, IsDeleted FROM Lead ORDER BY Id").json()
    assert (body["totalSize"], body["done"]) == (3, False)
    assert body["nextRecordsUrl"].startswith(f"{DATA}/queryAll/01g")
    while True:
        seen += body["records"]
        if body["done"]:
            break
        body = org(body["nextRecordsUrl"]).json()
    assert [row["IsDeleted"] for row in seen] == [False, False, True]
    assert seen[0]["attributes"]["type"] == "Lead"
    assert seen[0]["Id"] == "00Q000000000403AAA"
    assert org(f"{DATA}/query", q="SELECT COUNT() FROM Lead").json() == {"totalSize": 2, "done": True, "records": []}


def test_soql_compares_orders_and_limits(org):
    def ids(q):
        return [row["Id"][-6:-3] for row in org(f"{DATA}/queryAll", q=q).json()["records"]]

    assert ids("SELECT Id FROM Lead WHERE SystemModstamp >= 2026-07-04T00:00:00Z ORDER BY Id DESC") == ["405", "404"]
    assert ids("SELECT Id FROM Lead WHERE SystemModstamp >= 2026-07-04T02:00:00%2B02:00".replace("%2B", "+")) == [
        "404",
        "405",
    ]
    assert ids("SELECT Id FROM Contact WHERE Email = 'person2@corp.example'") == ["402"]
    assert ids("SELECT Id FROM Contact WHERE User_Id__c != null LIMIT 1") == ["401"]


def test_refusals_are_arrays_of_one(org, sandbox):
    for query, code in (
        ("SELECT Nothing__c FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("DELETE Contact", "MALFORMED_QUERY"),
    ):
        refused = org(f"{DATA}/query", q=query)
        assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, code)
    assert org(f"{DATA}/query/01gnothing-2").json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"
    assert org(f"{DATA}/sobjects/Nothing/describe").status_code == 404
    assert org(f"{DATA}/query", token="wrong").json()[0]["errorCode"] == "INVALID_SESSION_ID"
    sandbox.faults.switch("salesforce", "throttle")
    refused = org(f"{DATA}/query", q="SELECT Id FROM Contact")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert org(f"{DATA}/query", q="SELECT Id FROM Contact").headers["Sforce-Limit-Info"] == "api-usage=18/15000"


def test_a_bulk_job_gives_text_page_by_page_until_the_locator_says_null(org):
    job = org(
        f"{DATA}/jobs/query", {"operation": "queryAll", "query": "SELECT Id, Amount, IsWon FROM Opportunity"}
    ).json()
    path = f"{DATA}/jobs/query/{job['id']}"
    assert job["state"] == "UploadComplete"
    assert [org(path).json()["state"] for _ in range(2)] == ["InProgress", "JobComplete"]
    first = org(f"{path}/results", maxRecords=1)
    second = org(f"{path}/results", maxRecords=1, locator=first.headers["Sforce-Locator"])
    assert second.headers["Sforce-Locator"] == "null"
    rows = [*csv.DictReader(io.StringIO(first.text)), *csv.DictReader(io.StringIO(second.text))]
    assert rows == [
        {"Id": "006000000009001AAA", "Amount": "60000.0", "IsWon": "true"},
        {"Id": "006000000009002AAA", "Amount": "", "IsWon": "false"},
    ]
