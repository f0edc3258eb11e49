"""The sandbox's Mailchimp API, over HTTP."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from dlt_pipelines.sandbox.vendors import mailchimp


@pytest.fixture
def chimp(sandbox):
    key = sandbox.credentials()["MAILCHIMP_API_KEY"]

    def get(path, auth=("anything", key), headers=None, **params):
        url = f"{sandbox.base_urls['mailchimp']}/3.0{path}"
        return requests.get(url, auth=auth, headers=headers, params=params, timeout=10)

    return get


def test_campaigns_in_order_of_sending(chimp):
    body = chimp("/campaigns", status="sent").json()
    assert body["total_items"] == 2
    first = body["campaigns"][0]
    assert (first["id"], first["send_time"], first["emails_sent"]) == ("mc1", "2026-07-01T08:00:00+00:00", 3)
    assert first["settings"]["subject_line"] == "News of July"
    assert first["recipients"]["list_id"] == "l1"
    later = chimp("/campaigns", since_send_time="2026-07-02T00:00:00+00:00").json()
    assert [campaign["id"] for campaign in later["campaigns"]] == ["mc2"]
    assert chimp("/campaigns/mc2").json()["settings"]["title"] == "August"
    assert chimp("/lists").json()["lists"][0]["id"] == "l1"


def test_email_activity_counts_emails_and_lists_the_silent_too(chimp):
    body = chimp("/reports/mc1/email-activity", count="100").json()
    assert body["total_items"] == 3
    activity = {email["email_address"]: email["activity"] for email in body["emails"]}
    assert activity["bob@post.example"] == []
    assert activity["Ada@post.example"] == [
        {"action": "open", "timestamp": "2026-07-01T09:00:00+00:00", "ip": "198.51.100.7"},
        {
            "action": "click",
            "timestamp": "2026-07-03T09:00:00+00:00",
            "url": "https://shop.example/x",
            "ip": "198.51.100.7",
        },
    ]
    assert activity["cem@post.example"][0]["type"] == "hard"
    ids = {email["email_address"]: email["email_id"] for email in body["emails"]}
    assert ids["Ada@post.example"] == hashlib.md5(b"ada@post.example", usedforsecurity=False).hexdigest()


def test_since_leaves_only_what_is_new(chimp):
    body = chimp("/reports/mc1/email-activity", since="2026-07-02T00:00:00+00:00").json()
    assert body["total_items"] == 1
    assert [entry["action"] for entry in body["emails"][0]["activity"]] == ["click"]


def test_offset_pages(chimp):
    pages = [chimp("/reports/mc1/email-activity", count="2", offset=str(offset)).json() for offset in (0, 2, 4)]
    assert [len(page["emails"]) for page in pages] == [2, 1, 0]
    assert {page["total_items"] for page in pages} == {3}


def test_reports_and_sent_to(chimp):
    report = chimp("/reports/mc1").json()
    assert report["opens"] == {"opens_total": 1, "unique_opens": 1, "open_rate": 0.333333}
    assert report["list_stats"]["open_rate"] == 33.3333
    assert len(chimp("/reports").json()["reports"]) == 2
    sent = {row["email_address"]: row for row in chimp("/reports/mc1/sent-to").json()["sent_to"]}
    assert sent["cem@post.example"]["status"] == "hard"
    assert sent["Ada@post.example"]["last_open"] == "2026-07-01T09:00:00+00:00"


def test_fields_narrow_the_reply(chimp):
    body = chimp("/campaigns", fields="campaigns.id,campaigns.settings.title,total_items").json()
    assert body == {
        "campaigns": [{"id": "mc1", "settings": {"title": "July"}}, {"id": "mc2", "settings": {"title": "August"}}],
        "total_items": 2,
    }


def test_a_key_as_bearer_and_errors_as_problem_documents(sandbox, chimp):
    key = sandbox.credentials()["MAILCHIMP_API_KEY"]
    assert key.endswith("-us21")
    assert chimp("/ping", auth=None, headers={"Authorization": f"Bearer {key}"}).json() == {
        "health_status": "Everything's Chimpy!"
    }
    assert chimp("/ping", auth=None).json()["title"] == "API Key Missing"
    for reply, status in (
        (chimp("/ping", auth=("x", "0-us21")), 401),
        (chimp("/campaigns/none"), 404),
        (chimp("/campaigns", count="1001"), 400),
        (chimp("/campaigns", since_send_time="yesterday"), 400),
    ):
        assert reply.status_code == status
        assert reply.headers["content-type"].startswith("application/problem+json")
        assert {"type", "title", "status", "detail", "instance"} == set(reply.json())


def test_an_eleventh_connection_is_refused(chimp, monkeypatch):
    entered, let_go = threading.Semaphore(0), threading.Event()

    def held(address):
        entered.release()
        let_go.wait(10)
        return address

    # Called while a request is being served: holds ten of them there at once.
    monkeypatch.setattr(mailchimp, "email_id", held)
    path = "/reports/mc2/email-activity"
    with ThreadPoolExecutor(10) as pool:
        waiting = [pool.submit(chimp, path) for _ in range(mailchimp.MAX_CONNECTIONS)]
        for _ in waiting:
            assert entered.acquire(timeout=10)
        refused = chimp("/ping")
        let_go.set()
    assert refused.status_code == 429
    assert refused.json()["detail"] == "You have exceeded the limit of 10 simultaneous connections."
    assert {reply.result().status_code for reply in waiting} == {200}


def test_throttle_dead_key_and_paging_faults(sandbox, chimp):
    sandbox.faults.switch("mailchimp", "throttle", retry_after=True, seconds=3)
    reply = chimp("/ping")
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")
    sandbox.faults.switch("mailchimp", "revoked_token")
    assert chimp("/ping").json()["title"] == "API Key Invalid"
    sandbox.faults.clear()

    def page(offset):
        body = chimp("/reports/mc1/email-activity", count="1", offset=str(offset)).json()
        return [email["email_id"] for email in body["emails"]], body["total_items"]

    complete = [page(offset) for offset in range(3)]
    # Rows put in front while the list is read: a page is seen twice, the total grows, nothing is lost.
    sandbox.faults.switch("mailchimp", "duplicate_page")
    moved = [page(offset) for offset in range(4)]
    assert [ids for ids, _ in moved] == [complete[0][0], complete[0][0], complete[1][0], complete[2][0]]
    assert [total for _, total in moved] == [3, 4, 4, 4]
    assert [page(offset) for offset in range(3)] == complete
    sandbox.faults.switch("mailchimp", "empty_page", skip=1)
    assert [page(offset)[0] for offset in (0, 1, 1)] == [complete[0][0], [], complete[1][0]]
    sandbox.faults.switch("mailchimp", "repeated_cursor")
    assert page(2)[0] == complete[0][0]
