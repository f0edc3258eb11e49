"""The sandbox's Google Ads API, over HTTP."""

import pytest
import requests

from dlt_pipelines.sandbox.vendors import gaql, google_ads

DAYS = "segments.date BETWEEN '2026-07-01' AND '2026-07-31'"


@pytest.fixture
def ads(sandbox, ads_token):
    known = sandbox.credentials()
    headers = {
        "Authorization": f"Bearer {ads_token()}",
        "developer-token": known["GOOGLE_ADS_DEVELOPER_TOKEN"],
        "login-customer-id": "9876543210",
    }

    def post(query, method="search", customer="1234567890", version="v26", drop=(), change=None, **body):
        url = f"{sandbox.base_urls['google_ads']}/{version}/customers/{customer}/googleAds:{method}"
        sent = {k: v for k, v in {**headers, **(change or {})}.items() if k not in drop}
        return requests.post(url, json={"query": query, **body}, headers=sent, timeout=10)

    return post


def _failure(reply):
    body = reply.json()
    error = (body[0] if isinstance(body, list) else body)["error"]
    return error["details"][0]["errors"][0]


def test_campaign_days(ads):
    reply = ads(
        "SELECT segments.date, campaign.id, campaign.name, metrics.cost_micros, metrics.clicks, metrics.impressions, "
        f"metrics.conversions FROM campaign WHERE {DAYS} ORDER BY segments.date, campaign.id"
    )
    assert reply.status_code == 200
    body = reply.json()
    assert body["results"][0] == {
        "segments": {"date": "2026-07-01"},
        "campaign": {"resourceName": "customers/1234567890/campaigns/70", "id": "70", "name": "brand-de"},
        "metrics": {"costMicros": "3690000", "clicks": "3", "impressions": "300", "conversions": 1.0},
    }
    # Four days of two campaigns, less the one on which nothing happened.
    assert len(body["results"]) == 7
    assert "nextPageToken" not in body
    assert body["fieldMask"].split(",")[3] == "metrics.costMicros"


def test_other_grains_filters_and_zero_metrics(ads):
    whole = ads("SELECT customer.id, metrics.cost_micros FROM customer").json()["results"]
    assert whole == [
        {
            "customer": {"resourceName": "customers/1234567890", "id": "1234567890"},
            "metrics": {"costMicros": str(4 * 1_230_000 * 6 - 3 * 1_230_000)},
        }
    ]
    named = ads("SELECT campaign.name FROM campaign WHERE campaign.name LIKE 'generic%'").json()["results"]
    assert [row["campaign"]["name"] for row in named] == ["generic-de"]
    ads_of = ads(
        f"SELECT ad_group_ad.ad.id, metrics.conversions FROM ad_group_ad WHERE {DAYS} AND metrics.clicks > 1 "
        "AND campaign.id IN (70, 71) ORDER BY ad_group_ad.ad.id DESC LIMIT 1"
    ).json()["results"]
    assert ads_of[0]["adGroupAd"]["ad"]["id"] == "903"
    assert ads_of[0]["metrics"] == {"conversions": 0.0}
    recent = ads("SELECT campaign.id, segments.date FROM campaign WHERE segments.date DURING LAST_7_DAYS").json()
    assert len(recent["results"]) == 8


def test_a_result_with_no_rows_has_no_results(ads):
    body = ads("SELECT campaign.id FROM campaign WHERE campaign.name = 'none'").json()
    assert "results" not in body
    stream = ads("SELECT campaign.id FROM campaign WHERE campaign.name = 'none'", "searchStream").json()
    assert [("results" in chunk) for chunk in stream] == [False]


def test_pages_and_chunks(ads, monkeypatch):
    monkeypatch.setattr(google_ads, "PAGE", 3)
    query = f"SELECT campaign.id, segments.date, metrics.clicks FROM campaign WHERE {DAYS}"
    rows: list[dict] = []
    sizes: list[int] = []
    token = None
    while token is not None or not sizes:
        body = ads(query, **({"pageToken": token} if token else {})).json()
        sizes.append(len(body["results"]))
        rows += body["results"]
        token = body.get("nextPageToken")
    assert sizes == [3, 3, 1]
    chunks = ads(query, "searchStream").json()
    assert [len(chunk["results"]) for chunk in chunks] == [3, 3, 1]
    assert [row for chunk in chunks for row in chunk["results"]] == rows
    assert len({chunk["requestId"] for chunk in chunks}) == 1
    assert _failure(ads(query, pageToken="nonsense"))["errorCode"] == {"requestError": "INVALID_PAGE_TOKEN"}


def test_clicks_one_day_at_a_time_in_the_account_time_zone(ads):
    query = "SELECT click_view.gclid, click_view.ad_group_ad, segments.date, campaign.id, ad_group.id FROM click_view"
    first = ads(f"{query} WHERE segments.date = '2026-07-01'").json()["results"]
    assert first == [
        {
            "clickView": {
                "resourceName": "customers/1234567890/clickViews/2026-07-01~g1",
                "gclid": "g1",
                "adGroupAd": "customers/1234567890/adGroupAds/801~901",
            },
            "segments": {"date": "2026-07-01"},
            "campaign": {"resourceName": "customers/1234567890/campaigns/70", "id": "70"},
            "adGroup": {"resourceName": "customers/1234567890/adGroups/801", "id": "801"},
        }
    ]
    # 22:30 UTC is the next day in Berlin, and a wbraid is no gclid.
    second = ads(f"{query} WHERE segments.date = '2026-07-02'").json()["results"]
    assert [row["clickView"]["gclid"] for row in second] == ["g2"]
    for condition, code in (
        ("segments.date >= '2026-07-01'", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
        ("segments.date BETWEEN '2026-07-01' AND '2026-07-02'", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
        ("segments.date = '2026-01-01'", "DATE_TOO_OLD"),
    ):
        assert _failure(ads(f"{query} WHERE {condition}"))["errorCode"] == {"clickViewError": code}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT campaign.colour FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT campaign.id FROM campains", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT ad_group.id FROM campaign", "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE"),
        ("SELECT campaign.id, segments.date FROM campaign", "EXPECTED_FILTERS_ON_DATE_RANGE"),
        (
            "SELECT campaign.id, segments.date FROM campaign WHERE segments.date >= '2026-07-01'",
            "EXPECTED_FILTERS_ON_DATE_RANGE",
        ),
        ("SELECT campaign.id FROM campaign WHERE segments.date = '2026-13-01'", "INVALID_DATE_FORMAT"),
        (
            "SELECT segments.date FROM campaign WHERE segments.date BETWEEN '2026-07-02' AND '2026-07-01'",
            "DATE_RANGE_TOO_NARROW",
        ),
        (
            "SELECT segments.date FROM campaign WHERE segments.date DURING SOMETIME",
            "INVALID_VALUE_WITH_DURING_OPERATOR",
        ),
        ("campaign.id FROM campaign", "EXPECTED_SELECT"),
        ("SELECT campaign.id", "EXPECTED_FROM"),
        ("SELECT campaign.id FROM campaign WHERE", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id ~ 1", "BAD_SYMBOL"),
        ("SELECT campaign.id FROM campaign LIMIT none", "BAD_LIMIT_VALUE"),
        ("SELECT campaign.id FROM campaign nonsense", "UNEXPECTED_INPUT"),
    ],
)
def test_bad_queries(ads, query, code):
    reply = ads(query)
    assert reply.status_code == 400
    assert _failure(reply)["errorCode"] == {"queryError": code}


def test_errors_of_the_stream_are_an_array(ads):
    body = ads("SELECT nothing FROM campaign", "searchStream").json()
    assert isinstance(body, list)
    assert body[0]["error"]["status"] == "INVALID_ARGUMENT"
    unauthorised = ads("SELECT campaign.id FROM campaign", "searchStream", drop=["Authorization"])
    assert unauthorised.status_code == 401
    assert unauthorised.json()[0]["error"]["status"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"pageSize": 100}, 400, {"requestError": "PAGE_SIZE_NOT_SUPPORTED"}),
        ({"drop": ["developer-token"]}, 400, {"requestError": "DEVELOPER_TOKEN_PARAMETER_MISSING"}),
        ({"change": {"developer-token": "x"}}, 401, {"authenticationError": "DEVELOPER_TOKEN_INVALID"}),
        ({"drop": ["login-customer-id"]}, 403, {"authorizationError": "USER_PERMISSION_DENIED"}),
        ({"customer": "5555555555"}, 403, {"authorizationError": "USER_PERMISSION_DENIED"}),
        ({"customer": "123-456-7890"}, 400, {"requestError": "INVALID_CUSTOMER_ID"}),
        ({"version": "v20"}, 400, {"requestError": "UNSUPPORTED_VERSION"}),
    ],
)
def test_refusals(ads, how, status, code):
    reply = ads("SELECT campaign.id FROM campaign", **how)
    assert reply.status_code == status
    assert _failure(reply)["errorCode"] == code


def test_a_manager_has_no_metrics(ads):
    reply = ads("SELECT campaign.id, metrics.clicks FROM campaign", customer="9876543210")
    assert _failure(reply)["errorCode"] == {"queryError": "REQUESTED_METRICS_FOR_MANAGER"}


def test_accessible_customers(sandbox, ads_token):
    headers = {
        "Authorization": f"Bearer {ads_token()}",
        "developer-token": sandbox.credentials()["GOOGLE_ADS_DEVELOPER_TOKEN"],
    }
    url = f"{sandbox.base_urls['google_ads']}/v26/customers:listAccessibleCustomers"
    assert requests.get(url, headers=headers, timeout=10).json() == {"resourceNames": ["customers/9876543210"]}


def test_quota_errors_say_when_to_come_back(sandbox, ads):
    for method in ("search", "searchStream"):
        sandbox.faults.switch("google_ads", "throttle", seconds=90)
        reply = ads("SELECT campaign.id FROM campaign", method)
        assert reply.status_code == 429
        failure = _failure(reply)
        assert failure["errorCode"] == {"quotaError": "RESOURCE_EXHAUSTED"}
        assert failure["details"]["quotaErrorDetails"]["retryDelay"] == "90s"
        assert isinstance(reply.json(), list) == (method == "searchStream")


def test_restated_days_scale_figures_and_add_rows_that_later_vanish(sandbox, ads):
    query = f"SELECT ad_group_ad.ad.id, segments.date, metrics.cost_micros FROM ad_group_ad WHERE {DAYS}"

    def figures():
        return {
            (row["segments"]["date"], row["adGroupAd"]["ad"]["id"]): int(row["metrics"]["costMicros"])
            for row in ads(query).json()["results"]
        }

    final = figures()
    sandbox.faults.switch("google_ads", "restated_days", days=2, factor=0.5)
    provisional = figures()
    assert provisional["2026-07-02", "901"] == final["2026-07-02", "901"]
    assert provisional["2026-07-04", "901"] == final["2026-07-04", "901"] // 2
    sandbox.faults.clear()
    sandbox.faults.switch("google_ads", "withdrawn_field", field="metrics.cost_micros")
    assert _failure(ads(query))["errorCode"] == {"queryError": "UNRECOGNIZED_FIELD"}
    sandbox.faults.clear()
    assert figures() == final


def test_paging_faults_of_the_stream_are_further_chunks(sandbox, ads, monkeypatch):
    monkeypatch.setattr(google_ads, "PAGE", 3)
    query = f"SELECT campaign.id, segments.date, metrics.clicks FROM campaign WHERE {DAYS}"
    sandbox.faults.switch("google_ads", "duplicate_page", times=1)
    assert [len(chunk["results"]) for chunk in ads(query, "searchStream").json()] == [3, 3, 3, 1]


def test_the_query_language_knows_its_operators():
    query = gaql.parse(
        "SELECT campaign.id FROM campaign WHERE campaign.name NOT IN (\"a\", 'b\\'c') AND campaign.status IS NOT NULL "
        "AND campaign.id != 5 ORDER BY campaign.id DESC, campaign.name LIMIT 7 PARAMETERS include_drafts = true;"
    )
    assert query.conditions[0] == gaql.Condition("campaign.name", "NOT IN", ("a", "b'c"))
    assert query.conditions[1] == gaql.Condition("campaign.status", "IS NOT NULL", ())
    assert query.order == (("campaign.id", True), ("campaign.name", False))
    assert query.limit == 7
