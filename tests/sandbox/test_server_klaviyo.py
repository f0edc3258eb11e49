"""The sandbox's Klaviyo API, over HTTP."""

import pytest
import requests

from dlt_pipelines.sandbox.vendors.klaviyo import KEY, METRICS, metric_id
from tests.sandbox import openapi

REVISION = "2026-07-15"


@pytest.fixture
def ask(sandbox):
    def get(path, key=KEY, revision=REVISION, **params):
        url = path if path.startswith("http") else f"{sandbox.base_urls['klaviyo']}/api/{path}"
        headers = {"Authorization": f"Klaviyo-API-Key {key}", "revision": revision}
        return requests.get(url, headers=headers, params=params, timeout=10)

    return get


def test_an_event_names_its_profile_and_the_address_lies_beside_it(ask):
    clicks = {"filter": f'equals(metric_id,"{metric_id("Clicked Email")}")', "include": "profile,metric"}
    body = ask("events", **clicks).json()
    (event,) = body["data"]
    assert event["attributes"]["datetime"] == "2026-07-03 09:00:00+00:00"
    assert event["attributes"]["timestamp"] == 1783069200
    assert event["attributes"]["event_properties"]["URL"] == "https://shop.example/x"
    assert event["attributes"]["event_properties"]["Campaign Name"] == "July"
    included = {row["type"]: row for row in body["included"]}
    assert included["profile"]["attributes"]["email"] == "Ada@post.example"
    assert included["profile"]["id"] == event["relationships"]["profile"]["data"]["id"]
    assert included["metric"]["attributes"]["name"] == "Clicked Email"
    narrow = ask("events", **clicks, **{"fields[profile]": "email"}).json()
    assert [list(row["attributes"]) for row in narrow["included"] if row["type"] == "profile"] == [["email"]]


def test_pages_follow_each_other_by_absolute_address(ask):
    seen, url, params = [], "events", {"page[size]": "3", "sort": "datetime"}
    while url:
        body = ask(url, **params).json()
        seen += [row["id"] for row in body["data"]]
        url, params = body["links"]["next"], {}
    assert len(seen) == len(set(seen)) == 7


def test_filters_by_time(ask):
    later = ask("events", filter="greater-or-equal(datetime,2026-07-03T08:00:00Z)").json()["data"]
    assert len(later) == 2
    assert len(ask("profiles", filter="greater-than(updated,2026-07-02T00:00:00Z)").json()["data"]) == 2
    assert ask("events", filter="greater-or-equal(colour,red)").status_code == 400
    assert ask("events", filter="nonsense").status_code == 400


def test_refusals(ask, sandbox):
    assert ask("metrics", key="pk_wrong").json()["errors"][0]["code"] == "authentication_failed"
    assert ask("metrics", revision="").status_code == 400
    assert ask("campaigns").status_code == 400
    assert ask("events", **{"page[size]": "1001"}).status_code == 400
    sandbox.faults.switch("klaviyo", "throttle", seconds=7)
    throttled = ask("metrics")
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    assert ask("metrics").headers["RateLimit-Remaining"].isdigit()


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("metrics", {}),
        ("events", {"include": "profile,metric", "page[size]": "3"}),
        ("profiles", {"page[size]": "2"}),
        ("campaigns", {"filter": "equals(messages.channel,'email')", "include": "campaign-messages"}),
    ],
)
def test_replies_fit_klaviyos_own_specification(ask, name, params):
    specification = openapi.document("klaviyo", "openapi", f"get_{name}.json")
    body = ask(name, **params).json()
    # Real replies have null for a page that is not there, against their own specification.
    body["links"] = {key: value for key, value in body["links"].items() if value is not None}
    assert openapi.problems(specification, f"/api/{name}", "get", "200", body) == []
    refused = ask(name, key="pk_wrong", **params)
    assert openapi.problems(specification, f"/api/{name}", "get", "4XX", refused.json()) == []


def test_every_metric_is_listed(ask):
    assert {row["attributes"]["name"] for row in ask("metrics").json()["data"]} == set(METRICS.values())
