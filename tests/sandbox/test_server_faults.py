"""Switching faults, and those that look the same at every vendor."""

import itertools

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from dlt_pipelines.sandbox.__main__ import main
from dlt_pipelines.sandbox.faults import Faults, cursor_page
from dlt_pipelines.sandbox.server import SandboxServer

VENDORS = ("ga4", "google_ads", "meta_ads", "mailchimp", "hubspot")


@pytest.fixture
def call(sandbox, ga4_token, ads_token):
    """A request every vendor answers with 200."""
    known = sandbox.credentials()

    def request(vendor, timeout=10):
        base = sandbox.base_urls[vendor]
        if vendor == "ga4":
            headers = {"Authorization": f"Bearer {ga4_token()}"}
            return requests.get(f"{base}/v1beta/properties/4711/metadata", headers=headers, timeout=timeout)
        if vendor == "google_ads":
            headers = {
                "Authorization": f"Bearer {ads_token()}",
                "developer-token": known["GOOGLE_ADS_DEVELOPER_TOKEN"],
                "login-customer-id": "9876543210",
            }
            url = f"{base}/v26/customers/1234567890/googleAds:search"
            return requests.post(
                url, json={"query": "SELECT campaign.id FROM campaign"}, headers=headers, timeout=timeout
            )
        if vendor == "meta_ads":
            token = known["META_ADS_ACCESS_TOKEN"]
            return requests.get(f"{base}/v26.0/act_1001/ads", params={"access_token": token}, timeout=timeout)
        if vendor == "mailchimp":
            return requests.get(f"{base}/3.0/campaigns", auth=("x", known["MAILCHIMP_API_KEY"]), timeout=timeout)
        headers = {"Authorization": f"Bearer {known['HUBSPOT_ACCESS_TOKEN']}"}
        return requests.get(f"{base}/crm/v3/pipelines/deals", headers=headers, timeout=timeout)

    return request


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_broken_answer_at_every_vendor_and_a_good_one_after_it(sandbox, call, vendor):
    good = call(vendor)
    assert good.status_code == 200
    sandbox.faults.switch(vendor, "cut_body")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        call(vendor)
    sandbox.faults.switch(vendor, "truncated_body")
    half = call(vendor)
    assert good.content.startswith(half.content[:20])
    assert len(half.content) == len(good.content) // 2
    sandbox.faults.switch(vendor, "malformed_body")
    broken = call(vendor)
    assert (broken.status_code, broken.headers["content-type"]) == (200, "text/html")
    with pytest.raises(ValueError, match="Expecting value"):
        broken.json()
    assert call(vendor).content == good.content


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["throttle", "server_error", "expired_token"])
def test_refusals_strike_as_often_as_told(sandbox, call, vendor, kind):
    sandbox.faults.switch(vendor, kind, times=2, skip=1)
    statuses = [call(vendor).status_code for _ in range(4)]
    assert statuses[0] == statuses[3] == 200
    assert all(status >= 400 for status in statuses[1:3])
    assert len([r for r in sandbox.requests if r.vendor == vendor]) == 4


@pytest.mark.parametrize("vendor", VENDORS)
def test_silence_ends_in_the_clients_timeout_or_a_dropped_connection(sandbox, call, vendor):
    sandbox.faults.switch(vendor, "timeout", seconds=0.05)
    with pytest.raises(requests.ConnectionError):
        call(vendor)
    sandbox.faults.switch(vendor, "timeout", seconds=30)
    with pytest.raises(requests.Timeout):
        call(vendor, timeout=0.05)
    assert call(vendor).status_code == 200
    assert [r.status for r in sandbox.requests if r.vendor == vendor] == [0, 0, 200]


def test_faults_strike_only_the_path_they_name(sandbox, call):
    sandbox.faults.switch("hubspot", "server_error", path="/objects/")
    assert call("hubspot").status_code == 200
    assert sandbox.faults.active("hubspot", "server_error")


def test_switching_over_http(sandbox, call):
    url = f"{sandbox.url}/_faults"
    on = requests.post(url, json={"vendor": "hubspot", "kind": "throttle", "times": 1}, timeout=10)
    assert on.json()[0]["kind"] == "throttle"
    assert call("hubspot").status_code == 429
    assert requests.get(url, timeout=10).json() == []
    requests.post(url, json={"vendor": "hubspot", "kind": "late_rows"}, timeout=10)
    requests.post(url, json={"vendor": "ga4", "kind": "late_rows"}, timeout=10)
    left = requests.delete(url, params={"vendor": "hubspot"}, timeout=10).json()
    assert [fault["vendor"] for fault in left] == ["ga4"]
    bad = requests.post(url, json={"vendor": "hubspot", "kind": "gremlins"}, timeout=10)
    assert bad.status_code == 400
    assert "throttle" in bad.json()["error"]
    seen = requests.get(f"{sandbox.url}/_requests", timeout=10).json()
    assert seen == [{"vendor": "hubspot", "method": "GET", "path": "/crm/v3/pipelines/deals", "status": 429}]
    assert requests.get(sandbox.url, timeout=10).json()["ga4"] == sandbox.base_urls["ga4"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "throttle"), "unknown vendor"),
        (("hubspot", "gremlins"), "unknown fault"),
        (("hubspot", "withdrawn_field"), "needs the option field"),
    ],
)
def test_unknown_faults_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        Faults().switch(*arguments)
    with pytest.raises(ValueError, match="unknown option"):
        Faults().switch("hubspot", "throttle", colour="red")


def test_the_environment_names_everything_the_product_reads(sandbox):
    environment = sandbox.environment()
    assert environment["ATTRIBUTION__SOURCES__GA4__BASE_URL"] == f"{sandbox.url}/ga4"
    assert environment["ATTRIBUTION__SOURCES__GOOGLE_ADS__TOKEN_URL"] == sandbox.token_url
    assert environment.keys() >= sandbox.credentials().keys()


def test_two_sandboxes_know_nothing_of_each_others_faults(sandbox, tiny_world):
    with SandboxServer(tiny_world) as other:
        other.faults.switch("hubspot", "throttle", times=None)
        assert other.url != sandbox.url
        assert sandbox.faults.listing() == []


def test_a_taken_port_is_an_error_at_once(sandbox, tiny_world):
    with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
        SandboxServer(tiny_world, port=int(sandbox.url.rsplit(":", 1)[1]))


def test_the_command_prints_what_to_export(monkeypatch, tiny_world, tmp_path, capsys):
    monkeypatch.setattr("dlt_pipelines.sandbox.__main__.build_world", lambda config: tiny_world)
    monkeypatch.setattr(SandboxServer, "wait", lambda self: None)
    assert main(["--port", "0", "--people", "20", "--ga4-export", str(tmp_path / "export")]) == 0
    printed = capsys.readouterr().out
    assert "export HUBSPOT_ACCESS_TOKEN=" in printed
    assert (tmp_path / "export" / "events_20260701.json").exists()


@given(
    total=st.integers(0, 12),
    size=st.integers(1, 5),
    faults=st.lists(st.sampled_from(["empty_page", "duplicate_page", "repeated_cursor"]), max_size=4),
)
def test_whatever_the_paging_faults_every_row_is_seen_and_the_end_is_reached(total, size, faults):
    board = Faults()
    for kind in faults:
        board.switch("hubspot", kind)
    seen: set[int] = set()
    cursor = ""
    for _ in range(2 * (total + len(faults)) + 2):
        page = cursor_page(board, "hubspot", "/", total, cursor, size)
        seen.update(range(page.start, page.stop))
        if page.cursor is None:
            break
        cursor = page.cursor
    else:
        pytest.fail("the listing never ended")
    assert seen == set(range(total))


def test_equal_faults_are_used_up_one_after_the_other():
    board = Faults()
    for times in (1, 2):
        board.switch("ga4", "throttle", times=times)
    hits = list(itertools.takewhile(bool, (board.take("ga4", "throttle") for _ in range(9))))
    assert len(hits) == 3
