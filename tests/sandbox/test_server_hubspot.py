"""The sandbox's HubSpot APIs, over HTTP, and against HubSpot's own OpenAPI documents where those are at hand."""

import json
from pathlib import Path

import pytest
import requests

from dlt_pipelines.sandbox.vendors import hubspot

DOCUMENTS = Path(__file__).parents[3] / "shared" / "data" / "vendor_samples" / "hubspot" / "openapi"
CONTACTS, DEALS = "/crm/v3/objects/contacts", "/crm/v3/objects/deals"


@pytest.fixture
def hub(sandbox):
    token = sandbox.credentials()["HUBSPOT_ACCESS_TOKEN"]

    def call(path, body=None, token=token, **params):
        return requests.request(
            "GET" if body is None else "POST",
            path if path.startswith("http") else f"{sandbox.base_urls['hubspot']}{path}",
            json=body,
            params=params or None,
            headers={"Authorization": f"Bearer {token}"},
            timeout=10,
        )

    return call


def test_properties_are_text_or_null_and_only_those_asked_for(hub):
    record = hub(CONTACTS, limit="1", properties="email,user_id,hs_google_click_id,unheard_of").json()["results"][0]
    assert record == {
        "id": "401",
        "properties": {
            "createdate": "2026-07-01T10:00:00.123Z",
            "hs_object_id": "401",
            "lastmodifieddate": "2026-07-01T12:00:00.123Z",
            "email": "person1@corp.example",
            "user_id": "u1",
            "hs_google_click_id": "g1",
        },
        "createdAt": "2026-07-01T10:00:00.123Z",
        "updatedAt": "2026-07-01T12:00:00.123Z",
        "archived": False,
    }
    unasked = hub(f"{CONTACTS}/402").json()["properties"]
    assert set(unasked) == {"email", "firstname", "lastname", "createdate", "hs_object_id", "lastmodifieddate"}
    assert unasked["firstname"] is None


@pytest.mark.parametrize("base", ["/crm/v3/objects/contacts", "/crm/objects/2026-09/contacts", "/crm/v3/objects/0-1"])
def test_lists_go_on_behind_the_last_id_and_the_last_page_has_no_paging(sandbox, hub, base):
    reply = hub(base, limit="2", properties="email").json()
    assert reply["paging"]["next"]["after"] == "402"
    assert reply["paging"]["next"]["link"].startswith(f"{sandbox.base_urls['hubspot']}{base}?limit=2")
    rest = hub(reply["paging"]["next"]["link"]).json()
    assert [record["id"] for record in rest["results"]] == ["403", "404"]
    assert "paging" not in rest
    archived = hub(base, archived="true").json()["results"]
    assert [(record["id"], record["archived"]) for record in archived] == [("405", True)]


def test_deals_tell_their_contacts_when_asked(hub):
    first, second = hub(DEALS, associations="contacts", properties="amount,product,closedate").json()["results"]
    assert first["associations"] == {
        "contacts": {"results": [{"id": "401", "type": "deal_to_contact"}, {"id": "402", "type": "deal_to_contact"}]}
    }
    assert first["properties"]["amount"] == "60000.00"
    assert first["properties"]["closedate"] == "2026-07-04T10:00:00.000Z"
    assert "associations" not in second
    assert (second["properties"]["amount"], second["properties"]["product"]) == (None, None)
    read = hub("/crm/v3/objects/0-3/9001", associations="contacts").json()
    assert len(read["associations"]["contacts"]["results"]) == 2
    back = hub(f"{CONTACTS}/401", associations="deals").json()
    assert back["associations"]["deals"]["results"] == [{"id": "9001", "type": "contact_to_deal"}]
    batch = hub("/crm/v4/associations/deals/contacts/batch/read", {"inputs": [{"id": "9001"}, {"id": "9002"}]})
    assert [item["toObjectId"] for item in batch.json()["results"][0]["to"]] == [401, 402]


def _since(name, moment, **more):
    return {
        "filterGroups": [{"filters": [{"propertyName": name, "operator": "GTE", "value": moment}]}],
        "sorts": [{"propertyName": name, "direction": "ASCENDING"}],
        "properties": [name],
        **more,
    }


def test_search_finds_what_changed_in_milliseconds(hub):
    # 2026-07-02T12:00:00.123Z, the very millisecond of the second contact's change
    body = _since("lastmodifieddate", "1782993600123", limit=1)
    first = hub(f"{CONTACTS}/search", body).json()
    assert (first["total"], first["results"][0]["id"]) == (3, "402")
    second = hub(f"{CONTACTS}/search", {**body, "after": first["paging"]["next"]["after"]}).json()
    assert second["results"][0]["id"] == "403"
    last = hub(f"{CONTACTS}/search", {**body, "after": second["paging"]["next"]["after"]}).json()
    assert "paging" not in last
    assert hub(f"{CONTACTS}/search", _since("lastmodifieddate", "1782993600124")).json()["total"] == 2
    assert hub("/crm/objects/2026-09/deals/search", _since("hs_lastmodifieddate", "1783000000000")).json()["total"] == 1


@pytest.mark.parametrize(
    ("condition", "ids"),
    [
        ({"propertyName": "user_id", "operator": "HAS_PROPERTY"}, ["401"]),
        ({"propertyName": "user_id", "operator": "NOT_HAS_PROPERTY"}, ["402", "403", "404"]),
        ({"propertyName": "lifecyclestage", "operator": "EQ", "value": "customer"}, ["403"]),
        ({"propertyName": "lifecyclestage", "operator": "NEQ", "value": "lead"}, ["403"]),
        ({"propertyName": "hs_object_id", "operator": "IN", "values": ["401", "404"]}, ["401", "404"]),
        ({"propertyName": "email", "operator": "CONTAINS_TOKEN", "value": "person2*"}, ["402"]),
        (
            {"propertyName": "hs_object_id", "operator": "BETWEEN", "value": "402", "highValue": "403"},
            ["402", "403"],
        ),
    ],
)
def test_search_operators(hub, condition, ids):
    body = {"filterGroups": [{"filters": [condition]}], "sorts": ["-hs_object_id"], "limit": 200}
    assert [record["id"] for record in hub(f"{CONTACTS}/search", body).json()["results"]] == ids[::-1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{CONTACTS}?limit=101", None),
        (f"{CONTACTS}?after=x!", None),
        ("/crm/v3/objects/rockets", None),
        (f"{CONTACTS}/search", {"limit": 201}),
        (f"{CONTACTS}/search", {"limit": 200, "after": "9900"}),
        (f"{CONTACTS}/search", {"filterGroups": [{}] * 6}),
        (
            f"{CONTACTS}/search",
            {"filterGroups": [{"filters": [{"propertyName": "a", "operator": "LIKE", "value": 1}]}]},
        ),
        ("/email/public/v1/events?startTimestamp=monday", None),
        ("/email/public/v1/events?offset=%FF", None),
    ],
)
def test_bad_requests(hub, path, body):
    reply = hub(path, body)
    assert (reply.status_code, reply.json()["category"]) == (400, "VALIDATION_ERROR")


def test_pipelines_have_their_flags_as_text(hub):
    pipeline = hub("/crm/v3/pipelines/deals").json()["results"][0]
    assert [(s["id"], s["metadata"]) for s in pipeline["stages"]] == [
        ("qualified", {"isClosed": "false", "probability": "0.4"}),
        ("closedwon", {"isClosed": "true", "probability": "1.0"}),
    ]


def test_email_events_the_newest_first_with_bots_marked(hub):
    first = hub("/email/public/v1/events", limit="2", startTimestamp="1782900000000").json()
    assert first["hasMore"] is True
    rest = hub("/email/public/v1/events", limit="2", offset=first["offset"]).json()
    assert rest["hasMore"] is False
    events = first["events"] + rest["events"]
    assert [(event["type"], event["filteredEvent"]) for event in events] == [
        ("CLICK", False),
        ("OPEN", True),
        ("SENT", False),
    ]
    assert events[0]["created"] == 1782986400000
    assert events[0]["url"] == "https://shop.example/x"
    assert "url" not in events[1]
    assert hub("/email/public/v1/events", eventType="OPEN").json()["events"] == [events[1]]
    assert hub("/email/public/v1/events", endTimestamp="1").json() == {"hasMore": False, "offset": "MA", "events": []}


def test_email_campaigns(hub):
    listed = hub("/email/public/v1/campaigns/by-id").json()
    assert [campaign["id"] for campaign in listed["campaigns"]] == [118]
    campaign = hub("/email/public/v1/campaigns/118").json()
    assert (campaign["name"], campaign["subject"]) == ("Launch", "We launch")
    assert campaign["counters"] == {"sent": 1, "open": 1, "click": 1, "bounce": 0}
    assert hub("/email/public/v1/campaigns/5").status_code == 404
    assert hub(f"{CONTACTS}/999").json()["category"] == "OBJECT_NOT_FOUND"


def test_tokens_and_quotas(sandbox, hub):
    reply = hub(CONTACTS, token="wrong")
    assert (reply.status_code, reply.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    sandbox.faults.switch("hubspot", "expired_token")
    assert hub(CONTACTS).json()["category"] == "EXPIRED_AUTHENTICATION"
    for path, policy, expected in (
        (CONTACTS, "", "TEN_SECONDLY_ROLLING"),
        (f"{CONTACTS}/search", "", "SECONDLY"),
        (CONTACTS, "DAILY", "DAILY"),
    ):
        sandbox.faults.switch("hubspot", "throttle", policy=policy)
        reply = hub(path, {} if path.endswith("search") else None)
        assert (reply.status_code, reply.json()["policyName"]) == (429, expected)
    assert hub(CONTACTS).headers["X-HubSpot-RateLimit-Max"] == "100"


def test_paging_faults_of_a_list(sandbox, hub):
    def walk(most=9):
        seen, after, cursors = [], None, []
        for _ in range(most):
            page = hub(CONTACTS, limit="2", **({"after": after} if after else {})).json()
            seen.append([record["id"] for record in page["results"]])
            after = page.get("paging", {}).get("next", {}).get("after")
            cursors.append(after)
            if after is None:
                break
        return seen, cursors

    assert walk()[0] == [["401", "402"], ["403", "404"]]
    sandbox.faults.switch("hubspot", "empty_page", skip=1)
    assert walk()[0] == [["401", "402"], [], ["403", "404"]]
    sandbox.faults.switch("hubspot", "duplicate_page")
    assert walk()[0] == [["401", "402"], ["401", "402"], ["403", "404"]]
    sandbox.faults.switch("hubspot", "repeated_cursor", times=None)
    seen, cursors = walk(4)
    assert seen[1:] == [["401", "402"]] * 3
    assert len(set(cursors)) == 1


def test_late_rows_and_withdrawn_or_flipped_properties(sandbox, hub):
    sandbox.faults.switch("hubspot", "late_rows", days=30)
    assert len(hub(CONTACTS).json()["results"]) < 4
    sandbox.faults.clear()
    sandbox.faults.switch("hubspot", "withdrawn_field", field="email")
    assert "email" not in hub(CONTACTS, properties="email").json()["results"][0]["properties"]
    sandbox.faults.clear()
    sandbox.faults.switch("hubspot", "type_flip", field="amount")
    assert hub(DEALS).json()["results"][0]["properties"]["amount"] == {"value": "60000.00"}


def _nullable(schema):
    """As JSON schema: OpenAPI's `nullable`, and null for property values, which only the newer documents admit to."""
    if isinstance(schema, dict):
        schema = {key: _nullable(value) for key, value in schema.items()}
        if schema.get("type") == "string" and (schema.get("nullable") or set(schema) <= {"type", "example"}):
            schema["type"] = ["string", "null"]
        return schema
    return [_nullable(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize(
    ("document", "path", "method", "request_path", "body"),
    [
        ("contacts_v3", CONTACTS, "get", f"{CONTACTS}?limit=2&properties=email,user_id&associations=deals", None),
        ("contacts_v3", f"{CONTACTS}/search", "post", f"{CONTACTS}/search", _since("lastmodifieddate", "0", limit=1)),
        ("contacts_v3", f"{CONTACTS}/{{contactId}}", "get", f"{CONTACTS}/401?associations=deals", None),
        ("deals_v3", "/crm/v3/objects/0-3", "get", "/crm/v3/objects/0-3?associations=contacts", None),
        ("deals_v3", "/crm/v3/objects/0-3/search", "post", "/crm/v3/objects/0-3/search", {"limit": 1}),
        (
            "contacts_2026-09",
            "/crm/objects/2026-09/{objectType}",
            "get",
            "/crm/objects/2026-09/contacts?limit=1",
            None,
        ),
        ("deals_2026-09", "/crm/objects/2026-09/{objectType}", "get", "/crm/objects/2026-09/deals", None),
        ("pipelines_v3", "/crm/v3/pipelines/{objectType}", "get", "/crm/v3/pipelines/deals", None),
        ("contacts_v3", f"{CONTACTS}/{{contactId}}", "default", f"{CONTACTS}/999", None),
    ],
)
def test_replies_satisfy_hubspots_own_documents(hub, document, path, method, request_path, body):
    jsonschema = pytest.importorskip("jsonschema")
    file = DOCUMENTS / f"{document}.json"
    if not file.exists():
        pytest.skip("HubSpot's OpenAPI documents are not on this machine (../shared/data/vendor_samples)")
    spec = json.loads(file.read_text())
    responses = spec["paths"][path]["get" if method == "default" else method]["responses"]
    described = responses["default" if method == "default" else "200"]
    if "$ref" in described:
        described = spec["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    schema = next(iter(described["content"].values()))["schema"]
    reply = hub(request_path, body).json()
    jsonschema.Draft4Validator({**_nullable(schema), "components": _nullable(spec["components"])}).validate(reply)


def test_search_stops_at_its_window(hub, monkeypatch):
    monkeypatch.setattr(hubspot, "SEARCH_WINDOW", 2)
    assert hub(f"{CONTACTS}/search", {"limit": 2}).status_code == 200
    assert hub(f"{CONTACTS}/search", {"limit": 2, "after": "2"}).status_code == 400
