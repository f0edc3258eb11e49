"""Every vendor's way to say "slow down" or "log in again", over real loopback HTTP."""

import json
import logging
import time
from datetime import UTC, datetime, timedelta

import pytest

from dlt_pipelines import http
from dlt_pipelines.config import GoogleAdsConfig, HubspotConfig
from dlt_pipelines.dialects import DIALECTS
from dlt_pipelines.google_auth import GoogleAuth
from dlt_pipelines.http import (
    CredentialsRejected,
    HeaderAuth,
    QuotaExhausted,
    VendorError,
    VendorSession,
    read_by_offset,
    walk,
)
from tests.extraction.harness import Reply

SECRET = "pat-very-secret-token"
OK = Reply(200, {"answer": 42})


def session(vendor, dialect="mailchimp", **options):
    config = HubspotConfig(base_url=vendor.url, timeout_seconds=2.0, **options)
    return VendorSession(dialect, config, DIALECTS[dialect], HeaderAuth("Authorization", f"Bearer {SECRET}", SECRET))


def google_ads_429(delay):
    error = {
        "errorCode": {"quotaError": "RESOURCE_EXHAUSTED"},
        "message": f"Too many requests. Retry in {delay} seconds.",
        "details": {"quotaErrorDetails": {"rateScope": "DEVELOPER", "retryDelay": f"{delay}s"}},
    }
    return {"error": {"code": 429, "message": "Resource has been exhausted", "details": [{"errors": [error]}]}}


def meta_error(code, status=400):
    return Reply(status, {"error": {"message": "User request limit reached", "code": code}})


BUSINESS_USAGE = {"x-business-use-case-usage": json.dumps({"1": [{"estimated_time_to_regain_access": 2}]})}
THROTTLES = [
    ("mailchimp", Reply(429, {}, {"Retry-After": "7"}), 7.0),
    ("mailchimp", Reply(503, {}), 1.0),
    ("klaviyo", Reply(429, {}, {"Retry-After": "3"}), 3.0),
    ("ga4", Reply(429, {"error": {"code": 429, "message": "Exhausted concurrent requests quota."}}), 30.0),
    ("google_ads", Reply(429, google_ads_429(90)), 90.0),
    ("google_ads", Reply(429, [google_ads_429(5)]), 5.0),
    ("meta_ads", Reply(400, meta_error(17).body, BUSINESS_USAGE), 120.0),
    *[("meta_ads", meta_error(code), 15.0) for code in (4, 17, 32, 613, 80000, 80004, 80008)],
    ("meta_ads", meta_error(4, 403), 15.0),
    ("meta_ads", meta_error(2, 500), 1.0),
    ("hubspot", Reply(429, {"policyName": "TEN_SECONDLY_ROLLING", "message": "limit"}), 10.0),
    ("hubspot", Reply(429, {"policyName": "SECONDLY"}, {"Retry-After": "2"}), 2.0),
    ("tiktok_ads", Reply(200, {"code": 40100, "message": "Too many requests."}), 5.0),
    ("pipedrive", Reply(429, {"success": False}, {"x-ratelimit-reset": "2"}), 2.0),
    ("linkedin_ads", Reply(429, {"message": "More than 45 million metric values were requested"}), None),
]


@pytest.mark.parametrize(("dialect", "throttle", "wait"), THROTTLES)
def test_a_throttle_is_waited_out_as_the_vendor_asks(vendor, pauses, dialect, throttle, wait):
    served = Reply(200, {"code": 0, "answer": 42})
    vendor.script(throttle, served)
    with session(vendor, dialect, max_wait_seconds=400) as open_session:
        assert open_session.get("/x")["answer"] == 42
    assert pauses == [330.0 if wait is None else wait]
    assert len(vendor.asked) == 2


def test_the_moment_of_reset_is_waited_for(vendor, pauses):
    vendor.script(
        Reply(429, {}, {"x-rate-limit-reset": "999", "x-account-rate-limit-reset": str(int(time.time()) + 40)}), OK
    )
    with session(vendor, "x_ads") as open_session:
        open_session.get("/x")
    assert len(pauses) == 1
    assert 35 < pauses[0] <= 42


QUOTAS = [
    ("klaviyo", Reply(429, {}, {"Retry-After": "73473"}), timedelta(seconds=73473)),
    ("google_ads", Reply(429, google_ads_429(5603)), timedelta(seconds=5603)),
    ("ga4", Reply(429, {"error": {"message": "Exhausted property tokens per day. …"}}), timedelta(days=1)),
    (
        "ga4",
        Reply(429, {"error": {"message": "Exhausted property tokens for a project per hour."}}),
        timedelta(hours=1),
    ),
    ("hubspot", Reply(429, {"policyName": "DAILY", "message": "You have reached your daily limit."}), None),
    ("salesforce", Reply(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]), None),
    ("pipedrive", Reply(403, b"<html>blocked</html>", {"Content-Type": "text/html"}), timedelta(hours=1)),
]


@pytest.mark.parametrize(("dialect", "reply", "back"), QUOTAS)
def test_a_daily_quota_is_given_up_at_once_saying_when_to_come_back(vendor, pauses, monkeypatch, dialect, reply, back):
    now = datetime(2026, 10, 1, 18, 0, tzinfo=UTC)
    monkeypatch.setattr(http, "utc_now", lambda: now)
    monkeypatch.setattr("dlt_pipelines.dialects.until_midnight", lambda: 6 * 3600.0)
    vendor.script(reply)
    with session(vendor, dialect) as open_session, pytest.raises(QuotaExhausted) as caught:
        open_session.get("/x")
    assert caught.value.retry_at == now + (back or timedelta(hours=6))
    assert f"{caught.value.retry_at:%Y-%m-%d %H:%M} UTC" in str(caught.value)
    assert pauses == []
    assert len(vendor.asked) == 1


def test_nobody_is_hammered_for_ever(vendor, pauses):
    vendor.script(Reply(503, {}))
    with session(vendor, attempts=4) as open_session, pytest.raises(VendorError, match="after 4 attempts"):
        open_session.get("/x")
    assert len(vendor.asked) == 4
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    "broken",
    [
        Reply(200, b'{"half": '),
        Reply(200, b"<html>502</html>"),
        Reply(200, {"a": "long enough to be cut"}, cut=True),
    ],
)
def test_a_broken_body_is_asked_for_again(vendor, pauses, broken):
    vendor.script(broken, OK)
    with session(vendor) as open_session:
        assert open_session.get("/x") == {"answer": 42}


def test_a_refused_connection_is_an_error_in_words(pauses):
    config = HubspotConfig(base_url="http://127.0.0.1:9", attempts=2)
    with VendorSession("hubspot", config, DIALECTS["hubspot"]) as closed, pytest.raises(VendorError, match="refused"):
        closed.get("/x")


def test_a_busy_meta_account_is_given_a_rest_before_it_says_no(vendor, pauses):
    vendor.script(
        Reply(200, {}, {"x-fb-ads-insights-throttle": json.dumps({"app_id_util_pct": 10, "acc_id_util_pct": 95})})
    )
    with session(vendor, "meta_ads") as open_session:
        open_session.get("/x")
    assert pauses == [5.0]


def test_secrets_and_addresses_stay_out_of_errors_and_logs(vendor, pauses, caplog):
    leak = {"detail": f"token {SECRET} of ada@example.com, access_token=abcdefgh123 Bearer zzzzzzz"}
    vendor.script(Reply(500, leak), Reply(400, leak))
    caplog.set_level(logging.DEBUG)
    with session(vendor) as open_session, pytest.raises(VendorError) as caught:
        open_session.get("/x", {"access_token": SECRET})
    told = str(caught.value) + caplog.text.replace(f"access_token={SECRET}", "")
    assert caught.value.__suppress_context__
    ours = str(caught.value) + "".join(r.getMessage() for r in caplog.records if r.name.startswith("dlt_pipelines"))
    for secret in (SECRET, "ada@example.com", "abcdefgh123", "zzzzzzz"):
        assert secret not in ours
    assert "HTTP 400" in told


def google_session(vendor, **grant):
    config = GoogleAdsConfig(base_url=vendor.url, token_url=f"{vendor.url}/token")
    whole = {
        "type": "authorized_user",
        "client_id": "id",
        "client_secret": "hush-hush",
        "refresh_token": "1//keep-quiet",
    }
    auth = GoogleAuth("google_ads", config, whole | grant, "", config.token_url, {"developer-token": "dev-token"})
    return VendorSession("google_ads", config, DIALECTS["google_ads"], auth)


def test_one_refresh_on_401_and_then_the_truth(vendor, pauses):
    tokens = iter(range(10))

    def answer(asked):
        if asked.path == "/token":
            return Reply(200, {"access_token": f"token-{next(tokens)}", "expires_in": 3600})
        return (
            OK if asked.headers["Authorization"] == "Bearer token-1" else Reply(401, {"error": {"message": "expired"}})
        )

    vendor.answer = answer
    with google_session(vendor) as open_session:
        assert open_session.get("/x") == {"answer": 42}
    assert [asked.path for asked in vendor.asked] == ["/token", "/x", "/token", "/x"]

    vendor.asked.clear()
    with google_session(vendor) as open_session, pytest.raises(CredentialsRejected, match="expired"):
        open_session.get("/x")
    assert [asked.path for asked in vendor.asked] == ["/token", "/x", "/token", "/x"]


def test_a_revoked_refresh_token_says_so_without_showing_it(vendor, pauses):
    vendor.script(Reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}))
    with (
        google_session(vendor) as open_session,
        pytest.raises(CredentialsRejected, match="expired or revoked") as caught,
    ):
        open_session.get("/x")
    assert "keep-quiet" not in str(caught.value)
    assert len(vendor.asked) == 1


def test_a_cursor_that_comes_twice_is_asked_again_then_given_up():
    replies = iter([([1], "a"), ([2], "a"), ([2], "b"), ([3], None)])
    assert list(walk("v", lambda cursor: next(replies))) == [[1], [2], [3]]
    with pytest.raises(VendorError, match="same page cursor"):
        list(walk("v", lambda cursor: ([1], "a")))


def test_a_listing_that_moves_while_it_is_read_is_read_again():
    first = {0: ([1, 2], 4), 2: ([2, 3], 4)}
    second = {0: ([0, 1], 4), 2: ([2, 3], 4)}
    passes = iter([first, second])
    state = {}

    def fetch(offset):
        if offset == 0:
            state["pass"] = next(passes)
        return state["pass"][offset]

    assert read_by_offset("v", fetch, 2, key=lambda row: row) == [0, 1, 2, 3]
    with pytest.raises(VendorError, match="announced 3 rows but sent 1"):
        read_by_offset("v", lambda offset: ([1], 3), 2, key=lambda row: row)
    assert read_by_offset("v", lambda offset: ([], 0), 2, key=lambda row: row) == []
