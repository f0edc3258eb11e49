"""The sandbox's GA4 Data API and Google's token endpoint, over HTTP."""

import json

import pytest
import requests

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DIMENSIONS = ("date", "sessionSource", "sessionMedium", "sessionCampaignName")


@pytest.fixture
def report(sandbox, ga4_token):
    token = ga4_token()

    def run(dimensions=DIMENSIONS, metrics=("sessions", "keyEvents"), token=token, prop="4711", **extra):
        body = {
            "dimensions": [{"name": name} for name in dimensions],
            "metrics": [{"name": name} for name in metrics],
            "dateRanges": [{"startDate": "2026-07-01", "endDate": "2026-07-31"}],
            **extra,
        }
        url = f"{sandbox.base_urls['ga4']}/v1beta/properties/{prop}:runReport"
        return requests.post(url, json=body, headers={"Authorization": f"Bearer {token}"}, timeout=10)

    return run


def _rows(reply):
    return [
        (*(v["value"] for v in row.get("dimensionValues", [])), *(v["value"] for v in row["metricValues"]))
        for row in reply.json().get("rows", [])
    ]


def test_sessions_and_key_events_by_source_in_the_property_time_zone(report):
    reply = report(limit="100", offset="0")
    assert reply.status_code == 200
    assert _rows(reply) == [
        ("20260701", "google", "cpc", "brand-de", "1", "1"),
        ("20260702", "news", "email", "july", "1", "0"),
        ("20260703", "google", "organic", "(organic)", "1", "0"),
        ("20260704", "(direct)", "(none)", "(direct)", "1", "1"),
    ]
    body = reply.json()
    assert body["rowCount"] == 4
    assert body["metricHeaders"] == [
        {"name": "sessions", "type": "TYPE_INTEGER"},
        {"name": "keyEvents", "type": "TYPE_FLOAT"},
    ]
    assert body["metadata"] == {"currencyCode": "EUR", "timeZone": "Europe/Berlin"}
    assert "propertyQuota" not in body


def test_pages_count_rows_over_all_of_them(report):
    replies = [report(limit=3, offset=str(offset)) for offset in (0, 3)]
    assert [len(_rows(reply)) for reply in replies] == [3, 1]
    assert {reply.json()["rowCount"] for reply in replies} == {4}
    assert len(set(_rows(replies[0]) + _rows(replies[1]))) == 4


def test_no_rows_means_no_rows_member(report):
    body = report(dateRanges=[{"startDate": "2025-01-01", "endDate": "2025-01-02"}]).json()
    assert "rows" not in body
    assert "rowCount" not in body


def test_relative_days_count_from_the_end_of_the_world(report):
    body = report(dimensions=["date"], dateRanges=[{"startDate": "2daysAgo", "endDate": "yesterday"}])
    assert [row[0] for row in _rows(body)] == ["20260703", "20260704"]


def test_metrics_without_dimensions_order_filter_and_quota(report):
    assert _rows(report(dimensions=(), metrics=("eventCount", "totalUsers", "newUsers", "totalRevenue"))) == [
        ("7", "2", "2", "49.5")
    ]
    ordered = report(dimensions=["deviceCategory"], orderBys=[{"metric": {"metricName": "sessions"}, "desc": True}])
    assert [row[0] for row in _rows(ordered)] == ["desktop", "mobile"]
    filtered = report(
        dimensionFilter={"filter": {"fieldName": "sessionMedium", "stringFilter": {"value": "cpc"}}},
        returnPropertyQuota=True,
    )
    assert len(_rows(filtered)) == 1
    assert filtered.json()["propertyQuota"]["tokensPerDay"]["consumed"] > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": ("visits",)}, "Field visits is not a valid metric"),
        ({"dimensions": ("color",)}, "Field color is not a valid dimension"),
        ({"pageSize": 5}, 'Unknown name "pageSize"'),
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "TYPE_INT64"),
        ({"dateRanges": [{"startDate": "1 July", "endDate": "today"}]}, "Invalid date"),
        ({"dateRanges": []}, "date range"),
        ({"dimensions": ("date", "date")}, "duplicate"),
    ],
)
def test_bad_requests_are_invalid_arguments(report, change, said):
    reply = report(**change)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert said in error["message"]


def test_batch_and_metadata(sandbox, ga4_token):
    base = f"{sandbox.base_urls['ga4']}/v1beta/properties/4711"
    headers = {"Authorization": f"Bearer {ga4_token()}"}
    one = {"metrics": [{"name": "sessions"}], "dateRanges": [{"startDate": "2026-07-01", "endDate": "today"}]}
    reply = requests.post(f"{base}:batchRunReports", json={"requests": [one, one]}, headers=headers, timeout=10)
    assert [item["rows"][0]["metricValues"][0]["value"] for item in reply.json()["reports"]] == ["4", "4"]
    names = requests.get(f"{base}/metadata", headers=headers, timeout=10).json()
    assert {"apiName": "keyEvents", "uiName": "keyEvents", "type": "TYPE_FLOAT"} in names["metrics"]


def test_calls_without_a_good_token_are_refused(report, ads_token):
    for token, reason in (("made-up", "ACCESS_TOKEN_TYPE_UNSUPPORTED"), ("ya29.unknown", "ACCESS_TOKEN_EXPIRED")):
        reply = report(token=token)
        assert reply.status_code == 401
        assert reply.json()["error"]["details"][0]["reason"] == reason
        assert "invalid_token" in reply.headers["www-authenticate"]
    narrow = report(token=ads_token())
    assert narrow.status_code == 403
    assert narrow.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
    assert report(prop="1").json()["error"]["status"] == "PERMISSION_DENIED"


def test_a_user_may_sign_in_instead_of_a_service_account(sandbox, token_reply, report):
    user = json.loads(sandbox.user_credentials_json())
    grant = {name: user[name] for name in ("client_id", "client_secret", "refresh_token")}
    reply = token_reply(grant_type="refresh_token", **grant).json()
    assert reply["token_type"] == "Bearer"
    assert report(token=reply["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": 1, "exp": 3601},
        {"exp": 2**33},
        {"iss": "other@x.test"},
        {"aud": "https://elsewhere.test"},
        {"scope": ""},
    ],
)
def test_assertions_that_google_would_not_take(assertion, token_reply, claims):
    reply = token_reply(grant_type=JWT_GRANT, assertion=assertion(**claims))
    assert reply.status_code == 400
    assert reply.json()["error"] in ("invalid_grant", "invalid_scope")


def test_wrong_clients_and_refresh_tokens(sandbox, token_reply, assertion):
    known = sandbox.credentials()
    good = {
        "grant_type": "refresh_token",
        "client_id": known["GOOGLE_ADS_CLIENT_ID"],
        "client_secret": known["GOOGLE_ADS_CLIENT_SECRET"],
        "refresh_token": known["GOOGLE_ADS_REFRESH_TOKEN"],
    }
    for name, status, error in (
        ("client_id", 401, "invalid_client"),
        ("client_secret", 401, "invalid_client"),
        ("refresh_token", 400, "invalid_grant"),
        ("grant_type", 400, "unsupported_grant_type"),
    ):
        reply = token_reply(**{**good, name: "wrong"})
        assert (reply.status_code, reply.json()["error"]) == (status, error)
    head, body, _ = assertion().split(".")
    forged = token_reply(grant_type=JWT_GRANT, assertion=f"{head}.{body}.{'A' * 342}")
    assert forged.json()["error_description"] == "Invalid JWT Signature."


def test_an_expired_token_is_refused_until_a_new_one_is_fetched(sandbox, report, ga4_token):
    sandbox.faults.switch("ga4", "expired_token")
    assert report().status_code == 401
    assert report().status_code == 401  # the fault is over, the old token stays dead
    assert report(token=ga4_token()).status_code == 200


def test_a_revoked_account_gets_no_new_token_either(sandbox, report, token_reply, assertion):
    sandbox.faults.switch("ga4", "revoked_token")
    assert report().status_code == 401
    assert token_reply(grant_type=JWT_GRANT, assertion=assertion()).json()["error"] == "invalid_grant"
    sandbox.faults.clear()
    assert report().status_code == 200


def test_a_skewed_clock_shows_in_the_date_header_and_refuses_assertions(sandbox, report, token_reply, assertion):
    sandbox.faults.switch("google_oauth", "clock_skew", seconds=-7200)
    reply = token_reply(grant_type=JWT_GRANT, assertion=assertion())
    assert reply.status_code == 400
    assert "reasonable timeframe" in reply.json()["error_description"]
    true_date = report().headers["date"]
    assert reply.headers["date"] != true_date


def test_data_faults(sandbox, report):
    complete = _rows(report())
    sandbox.faults.switch("ga4", "restated_days", days=1, factor=0.5)
    assert _rows(report())[-1] == (*complete[-1][:-1], "0.5")
    sandbox.faults.clear()
    sandbox.faults.switch("ga4", "late_rows", days=30)
    assert sum(int(row[-2]) for row in _rows(report(metrics=("eventCount", "keyEvents")))) < 7
    sandbox.faults.clear()
    sandbox.faults.switch("ga4", "withdrawn_field", field="keyEvents")
    assert "not a valid metric" in report().json()["error"]["message"]
    sandbox.faults.clear()
    sandbox.faults.switch("ga4", "type_flip", field="sessions")
    assert _rows(report())[0][-2] == "(not set)"
    sandbox.faults.clear()
    assert _rows(report()) == complete


def test_throttling_says_which_quota_ran_out(sandbox, report):
    sandbox.faults.switch("ga4", "throttle")
    reply = report()
    assert reply.status_code == 429
    assert reply.json()["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert reply.json()["error"]["message"].startswith("Exhausted property tokens for a project per hour.")
    assert "retry-after" not in reply.headers
