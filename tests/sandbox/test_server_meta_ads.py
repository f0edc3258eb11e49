"""The sandbox's Meta Marketing API, over HTTP."""

import json

import pytest
import requests

JULY = json.dumps({"since": "2026-07-01", "until": "2026-07-31"})
FIELDS = "account_id,account_currency,campaign_id,campaign_name,adset_id,ad_id,ad_name,spend,clicks,impressions,actions"


@pytest.fixture
def meta(sandbox):
    token = sandbox.credentials()["META_ADS_ACCESS_TOKEN"]

    def call(path="act_1001/insights", method="GET", token=token, headers=None, **params):
        sent = {"access_token": token, **params} if token else params
        url = f"{sandbox.base_urls['meta_ads']}/v26.0/{path}"
        if method == "GET":
            return requests.get(url, headers=headers, timeout=10, params=sent)
        return requests.post(url, headers=headers, timeout=10, data=sent)

    return call


def _ad_days(meta, **params):
    asked = {"level": "ad", "time_increment": "1", "time_range": JULY, "fields": FIELDS, **params}
    return meta(**asked)


def test_one_row_per_ad_and_day_every_number_as_text(meta):
    reply = _ad_days(meta, limit="100")
    body = reply.json()
    assert len(body["data"]) == 11  # four days of three ads, less the one without delivery
    assert body["data"][0] == {
        "account_id": "1001",
        "account_currency": "USD",
        "campaign_id": "70",
        "campaign_name": "brand-de",
        "adset_id": "801",
        "ad_id": "901",
        "ad_name": "ad 1",
        "spend": "1.23",
        "clicks": "1",
        "impressions": "100",
        "actions": [
            {"action_type": "link_click", "value": "1", "7d_click": "1"},
            *(
                {"action_type": kind, "value": "1", "7d_click": "1"}
                for kind in ("offsite_conversion.fb_pixel_purchase", "purchase", "omni_purchase")
            ),
        ],
        "date_start": "2026-07-01",
        "date_stop": "2026-07-01",
    }
    assert "next" not in body["paging"]
    assert json.loads(reply.headers["x-business-use-case-usage"])["1001"][0]["type"] == "ads_insights"


def test_the_next_link_leads_on_by_itself_with_the_token_inside(sandbox, meta):
    token = sandbox.credentials()["META_ADS_ACCESS_TOKEN"]
    # The token in a header here, so that the link is what brings it along.
    reply = _ad_days(meta, token=None, headers={"Authorization": f"Bearer {token}"}, limit="4")
    rows, links = reply.json()["data"], 0
    while following := reply.json()["paging"].get("next"):
        assert following.startswith(f"{sandbox.base_urls['meta_ads']}/v26.0/act_1001/insights?")
        assert token in following
        reply = requests.get(following, timeout=10)
        rows, links = rows + reply.json()["data"], links + 1
    assert (len(rows), links) == (11, 2)
    assert len({(row["ad_id"], row["date_start"]) for row in rows}) == 11
    # The log must not become a place where tokens leak.
    assert not any(token in record.path for record in sandbox.requests)


def test_levels_and_ranges(meta):
    whole = meta(level="account", time_range=JULY, fields="spend,campaign_id,clicks").json()["data"]
    assert whole == [{"spend": "25.83", "clicks": "21", "date_start": "2026-07-01", "date_stop": "2026-07-31"}]
    days = meta(level="campaign", time_range=JULY, time_increment="2", fields="campaign_name,clicks").json()["data"]
    assert [(row["date_start"], row["date_stop"]) for row in days[:3:2]] == [
        ("2026-07-01", "2026-07-02"),
        ("2026-07-03", "2026-07-04"),
    ]
    some = _ad_days(meta, filtering=json.dumps([{"field": "ad.id", "operator": "IN", "value": ["902"]}])).json()
    assert {row["ad_id"] for row in some["data"]} == {"902"}
    assert _ad_days(meta, time_range=json.dumps({"since": "2026-06-01", "until": "2026-06-02"})).json() == {"data": []}


def test_a_report_run_goes_through_its_states(meta):
    run = meta(method="POST", level="ad", time_increment="1", time_range=JULY, fields=FIELDS).json()["report_run_id"]
    early = meta(f"{run}/insights").json()["error"]
    assert early["code"] == 100
    seen = [meta(run).json() for _ in range(4)]
    assert [(s["async_status"], s["async_percent_completion"]) for s in seen] == [
        ("Job Not Started", 0),
        ("Job Started", 0),
        ("Job Running", 50),
        ("Job Completed", 100),
    ]
    rows = meta(f"{run}/insights", limit="100").json()["data"]
    assert rows == _ad_days(meta, limit="100").json()["data"]
    page = meta(f"{run}/insights", limit="10").json()
    assert len(requests.get(page["paging"]["next"], timeout=10).json()["data"]) == 1


def test_a_report_run_may_fail(sandbox, meta):
    sandbox.faults.switch("meta_ads", "failed_job")
    run = meta(method="POST", level="ad", time_range=JULY).json()["report_run_id"]
    assert [meta(run).json()["async_status"] for _ in range(3)][-1] == "Job Failed"


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"fields": "spend,colour"}, 100, "colour is not valid for fields param"),
        ({"level": "keyword"}, 100, "level"),
        ({"time_range": "July"}, 100, "time_range"),
        ({"time_range": json.dumps({"since": "2026-07-02", "until": "2026-07-01"})}, 100, "start date"),
        ({"time_range": json.dumps({"since": "2020-01-01", "until": "2020-01-02"})}, 3018, "37 months"),
        ({"time_increment": "0"}, 100, "time_increment"),
        ({"filtering": "[{}]"}, 100, "filtering"),
        ({"after": "!!!"}, 100, "Invalid parameter"),
        ({"token": "wrong"}, 190, "access token"),
        ({"token": None}, 104, "access token"),
        ({"path": "act_5/insights"}, 100, "does not exist"),
        ({"path": "777"}, 100, "does not exist"),
    ],
)
def test_errors_are_400_with_a_code(meta, params, code, said):
    reply = _ad_days(meta, **params) if "path" not in params else meta(**params)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"], error["code"]) == (400, "OAuthException", code)
    assert said in error["message"]


@pytest.mark.parametrize("policy", ["", "80000"])
def test_throttling_is_a_400_that_names_minutes_in_a_header(sandbox, meta, policy):
    sandbox.faults.switch("meta_ads", "throttle", seconds=90, policy=policy)
    reply = _ad_days(meta)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, int(policy or 17))
    assert reply.json()["error"]["error_subcode"] == 2446079
    usage = json.loads(reply.headers["x-business-use-case-usage"])["1001"][0]
    assert usage["estimated_time_to_regain_access"] == 2
    assert "retry-after" not in reply.headers


def test_dead_tokens_and_server_errors(sandbox, meta):
    sandbox.faults.switch("meta_ads", "expired_token")
    assert _ad_days(meta).json()["error"]["error_subcode"] == 463
    sandbox.faults.switch("meta_ads", "revoked_token")
    assert [_ad_days(meta).json()["error"]["error_subcode"] for _ in range(2)] == [460, 460]
    sandbox.faults.clear()
    sandbox.faults.switch("meta_ads", "server_error")
    reply = _ad_days(meta)
    assert (reply.status_code, reply.json()["error"]["is_transient"]) == (500, True)
    assert _ad_days(meta).status_code == 200


def test_account_and_its_objects(meta):
    account = meta("act_1001", fields="name,currency,timezone_name").json()
    assert account == {
        "id": "act_1001",
        "name": "Sandbox shop",
        "currency": "USD",
        "timezone_name": "America/Los_Angeles",
    }
    assert meta("me/adaccounts").json()["data"][0]["account_id"] == "1001"
    assert [row["id"] for row in meta("act_1001/campaigns").json()["data"]] == ["70", "71"]
    assert meta("act_1001/adsets").json()["data"][0]["campaign_id"] == "70"
    assert [row["adset_id"] for row in meta("act_1001/ads").json()["data"]] == ["801", "802", "803"]
    assert meta("act_1001/pixels").json()["error"]["code"] == 100


def test_late_and_restated_days(sandbox, meta):
    complete = _ad_days(meta, limit="100").json()["data"]
    sandbox.faults.switch("meta_ads", "restated_days", days=1, factor=0.5)
    provisional = _ad_days(meta, limit="100").json()["data"]
    assert provisional[0] == complete[0]
    assert provisional[-1]["spend"] != complete[-1]["spend"]
    sandbox.faults.clear()
    sandbox.faults.switch("meta_ads", "late_rows", days=30)
    assert len(_ad_days(meta, limit="100").json()["data"]) < len(complete)
    sandbox.faults.clear()
    assert _ad_days(meta, limit="100").json()["data"] == complete
