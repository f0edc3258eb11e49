"""Every source against the sandbox's vendors over loopback: value for value what the world holds, whatever goes wrong."""

import json
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from dlt_pipelines.config import (
    BackendConfig,
    FilesConfig,
    Ga4Config,
    GoogleAdsConfig,
    HubspotConfig,
    MailchimpConfig,
    MetaAdsConfig,
)
from dlt_pipelines.dialects import plain
from dlt_pipelines.http import VendorSession
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from tests.extraction.expectations import late_rows_arrive, refusals, the_doctor_objects
from tests.extraction.harness import Loader

VENDORS = ("ga4", "google_ads", "meta_ads", "mailchimp", "hubspot")
KEY_EVENTS = ("sign_up", "generate_lead", "purchase")


@pytest.fixture(scope="module")
def exported(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_export(world, folder, dialect="extract")
    return folder


@pytest.fixture
def configs(world, server, exported, tmp_path, monkeypatch):
    server.faults.clear()
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)
    database = f"sqlite:///{tmp_path}/backend.sqlite"
    monkeypatch.setenv("BACKEND_DATABASE_URL", database)
    token = f"{server.url}/google_oauth/token"
    common: Any = {"enabled": True, "timeout_seconds": 0.5}
    urls = server.base_urls
    yield {
        "ga4": Ga4Config(base_url=urls["ga4"], token_url=token, property_id="4711", page_size=40, **common),
        "google_ads": GoogleAdsConfig(
            base_url=urls["google_ads"],
            token_url=token,
            customer_ids=("123-456-7890",),
            login_customer_id="9876543210",
            click_days_back=4,
            **common,
        ),
        "meta_ads": MetaAdsConfig(base_url=urls["meta_ads"], account_ids=("1001",), page_size=60, **common),
        "mailchimp": MailchimpConfig(base_url=urls["mailchimp"], page_size=20, **common),
        "hubspot": HubspotConfig(base_url=urls["hubspot"], page_size=4, **common),
        "backend": BackendConfig(enabled=True),
        "files": FilesConfig(enabled=True, path=tmp_path / "inbox"),
    }
    server.faults.clear()


def money(value):
    return Decimal(int(value)) / 1_000_000


def frame_rows(frame, *columns):
    return sorted(tuple(row) for row in frame[list(columns)].itertuples(index=False, name=None))


def test_google_ads_days_and_clicks_are_the_worlds(loader, configs, world, window):
    config = configs["google_ads"].model_copy(update={"click_days_back": 60})
    loader.load(SOURCES["google_ads"], config, window)
    days = world.ad_days[world.ad_days["platform"] == "google_ads"]
    days = days[days["impressions"] > 0].assign(day=pd.to_datetime(days["date"]).dt.strftime("%Y-%m-%d"))
    sums = (
        days.groupby(["day", "campaign_id"])[["cost_micros", "clicks", "impressions", "conversions"]]
        .sum()
        .reset_index()
    )
    stored = loader.query(
        "google_ads",
        "select date::varchar, campaign_id, cost_micros, clicks, impressions, conversions "
        "from raw_google_ads.campaign_daily order by 1, 2",
    )
    assert [row[:5] for row in stored] == [
        (row.day, str(row.campaign_id), row.cost_micros, row.clicks, row.impressions) for row in sums.itertuples()
    ]
    assert [row[5] for row in stored] == pytest.approx(list(sums["conversions"]))
    clicks = world.ad_clicks[
        (world.ad_clicks["platform"] == "google_ads") & (world.ad_clicks["click_id_type"] == "gclid")
    ]
    assert {gclid for (gclid,) in loader.query("google_ads", "select gclid from raw_google_ads.click_view")} == set(
        clicks["click_id"]
    )
    assert loader.query("google_ads", "select count(*) from raw_google_ads.click_view where ad_id is null") == [(0,)]
    assert loader.query(
        "google_ads", "select distinct customer_id, currency_code, time_zone from raw_google_ads.campaign_daily"
    ) == [("1234567890", "EUR", "Europe/Berlin")]


@pytest.mark.parametrize("sync_days", [0, 90])
def test_meta_days_are_the_worlds_by_call_and_by_job(loader, configs, world, window, pauses, sync_days):
    config = configs["meta_ads"].model_copy(update={"sync_days": sync_days})
    loader.load(SOURCES["meta_ads"], config, window)
    days = world.ad_days[(world.ad_days["platform"] == "meta_ads") & (world.ad_days["impressions"] > 0)]
    stored = loader.query(
        "meta_ads",
        "select date_start::varchar, ad_id, spend, clicks, impressions, account_currency from raw_meta_ads.ad_daily",
    )
    assert sorted(stored) == sorted(
        (str(row.date)[:10], str(row.ad_id), money(row.cost_micros), row.clicks, row.impressions, "USD")
        for row in days.itertuples()
    )
    assert loader.query("meta_ads", "select round(sum(purchases), 6) from raw_meta_ads.ad_daily")[0][
        0
    ] == pytest.approx(days["conversions"].sum())
    assert (len(pauses) > 0) == (sync_days == 0), "only a report job is waited for"


def test_mailchimp_is_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["mailchimp"], configs["mailchimp"], window)
    mine = world.email_activity[
        (world.email_activity["vendor"] == "mailchimp") & (world.email_activity["action"] != "sent")
    ]
    stored = loader.query(
        "mailchimp", "select campaign_id, email_hash, action, timestamp from raw_mailchimp.email_activity"
    )
    assert sorted(stored) == sorted(
        {
            (
                str(row.campaign_id),
                loader.hasher.email(row.email),
                row.action,
                row.occurred_at.floor("s").to_pydatetime(),
            )
            for row in mine.itertuples()
        }
    )
    campaigns = world.email_campaigns[world.email_campaigns["vendor"] == "mailchimp"]
    assert loader.query("mailchimp", "select sum(emails_sent), count(*) from raw_mailchimp.campaigns") == [
        (campaigns["emails_sent"].sum(), len(campaigns))
    ]


def test_hubspot_is_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["hubspot"], configs["hubspot"], window)
    stored = loader.query(
        "hubspot", "select id, email_hash, lifecyclestage, user_id, archived from raw_hubspot.contacts"
    )
    assert sorted(stored) == sorted(
        (
            str(row.contact_id),
            loader.hasher.email(row.email),
            row.lifecyclestage,
            None if pd.isna(row.user_id) else row.user_id,
            bool(row.archived),
        )
        for row in world.contacts.itertuples()
    )
    deals = loader.query(
        "hubspot", "select id, amount, dealstage, contact_ids from raw_hubspot.deals where not archived"
    )
    assert sorted((key, amount, stage, json.loads(ids)) for key, amount, stage, ids in deals) == sorted(
        (str(row.deal_id), Decimal(str(row.amount)), row.dealstage, sorted(map(str, row.contact_ids)))
        for row in world.deals[~world.deals["archived"].astype(bool)].itertuples()
    )
    stages = loader.query("hubspot", "select stage_id, is_closed, is_won from raw_hubspot.deal_stages")
    assert sorted(stages) == sorted(
        (row.stage_id, bool(row.is_closed), bool(row.is_won)) for row in world.deal_stages.itertuples()
    )
    mine = world.email_activity[world.email_activity["vendor"] == "hubspot"]
    mine = mine[mine["occurred_at"] >= pd.Timestamp(window.start)]
    events = loader.query("hubspot", "select email_hash, created, email_campaign_name from raw_hubspot.email_events")
    assert sorted((address, moment) for address, moment, _ in events) == sorted(
        (loader.hasher.email(row.email), row.occurred_at.floor("ms").to_pydatetime()) for row in mine.itertuples()
    )
    assert {name for _, _, name in events} <= set(world.email_campaigns["title"])


def test_ga4_reports_and_events_are_the_worlds(loader, configs, world, window, exported):
    loader.load(SOURCES["ga4"], configs["ga4"].model_copy(update={"export_path": exported}), window)
    ((events, devices, keys),) = loader.query(
        "ga4",
        "select count(*), count(distinct user_pseudo_id), "
        "count(*) filter (event_name in ('sign_up', 'generate_lead', 'purchase')) from raw_ga4.events",
    )
    assert events == len(world.events.drop_duplicates("event_id"))
    assert devices == world.events["device_id"].nunique()
    assert keys == world.events["event_name"].isin(KEY_EVENTS).sum()
    assert loader.query("ga4", "select sum(key_events) from raw_ga4.traffic_daily") == [(keys,)]


def test_backend_and_files_are_the_worlds(loader, configs, world, window, tmp_path):
    world.to_backend(f"sqlite:///{tmp_path}/backend.sqlite")
    world.to_files(tmp_path / "inbox")
    rows = loader.load(SOURCES["backend"], configs["backend"], window).rows
    assert rows == {name: len(getattr(world, name)) for name in rows}
    assert loader.query("backend", "select sum(amount) from raw_backend.subscriptions")[0][0] == sum(
        Decimal(str(amount)) for amount in world.subscriptions["amount"]
    )
    loaded = loader.load(SOURCES["files"], configs["files"], window).rows
    assert loaded["events"] == len(world.events.drop_duplicates("event_id"))
    assert loaded["contacts"] == (~world.contacts["archived"].astype(bool)).sum()
    assert loader.query("files", "select sum(cost) from raw_files.spend") == [
        (money(world.ad_days["cost_micros"].sum()),)
    ]


RECOVERABLE = (
    "throttle",
    "server_error",
    "timeout",
    "cut_body",
    "malformed_body",
    "truncated_body",
    "empty_page",
    "duplicate_page",
)
# Google's tokens can be renewed; a static token that is refused is the user's to replace.
RENEWABLE = ("ga4", "google_ads")


@pytest.mark.parametrize("vendor", VENDORS)
def test_everything_that_passes_is_survived_with_the_same_tables(
    loader, tmp_path, configs, server, window, pauses, vendor
):
    spec, config = SOURCES[vendor], configs[vendor]
    loader.load(spec, config, window)
    clean = loader.stored(vendor, load_ids=False)
    # GA4's throttle is an hourly quota, tested as one below.
    kinds = [kind for kind in RECOVERABLE if (vendor, kind) != ("ga4", "throttle")]
    kinds += ["repeated_cursor", *(["expired_token"] if vendor in RENEWABLE else [])]
    for skip, kind in enumerate(kinds):
        server.faults.switch(vendor, kind, times=1, skip=0 if kind.endswith(("page", "cursor")) else skip)
    faulty = Loader(tmp_path / "faulty")
    # A Mailchimp or GA4 listing is read whole again when it does not come out even, and each fault spoils one reading.
    faulty.load(spec, config.model_copy(update={"attempts": 8, "max_wait_seconds": 600}), window)
    assert faulty.stored(vendor, load_ids=False) == clean
    assert pauses


REFUSED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "ga4": [("revoked_token", {}), ("throttle", {}), ("type_flip", {"field": "sessions"})],
    "google_ads": [("revoked_token", {}), ("throttle", {"seconds": 5603}), ("type_flip", {"field": "costMicros"})],
    "meta_ads": [
        ("revoked_token", {}),
        ("expired_token", {}),
        ("throttle", {"seconds": 3600, "policy": "80000"}),
        ("type_flip", {"field": "spend"}),
        ("withdrawn_field", {"field": "inline_link_clicks"}),
        ("failed_job", {"times": None}),
    ],
    "mailchimp": [("revoked_token", {}), ("type_flip", {"field": "timestamp"})],
    "hubspot": [("revoked_token", {}), ("throttle", {"policy": "DAILY"}), ("type_flip", {"field": "displayOrder"})],
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_everything_else_stops_the_source_and_changes_nothing(loader, configs, server, window, pauses, vendor):
    told = refusals(loader, configs[vendor], server, window, vendor, REFUSED[vendor])
    assert "credentials refused" in told["revoked_token"]
    if "throttle" in told:
        assert "Run again after" in told["throttle"]
    assert "the vendor sent" in told["type_flip"] or "not the" in told["type_flip"]


@pytest.mark.parametrize(("vendor", "table"), [("google_ads", "campaign_daily"), ("meta_ads", "ad_daily")])
def test_restated_days_are_replaced_when_they_settle(loader, tmp_path, configs, server, window, pauses, vendor, table):
    spec, config = SOURCES[vendor], configs[vendor]
    server.faults.switch(vendor, "restated_days", days=3, factor=0.5)
    loader.load(spec, config, window)
    provisional = loader.stored(vendor, load_ids=False)
    server.faults.clear()
    loader.load(spec, config, window)
    settled = loader.stored(vendor, load_ids=False)
    fresh = Loader(tmp_path / "fresh")
    fresh.load(spec, config, window)
    assert settled == fresh.stored(vendor, load_ids=False) != provisional
    assert len(provisional[table]) >= len(settled[table])


@pytest.mark.parametrize("vendor", ["mailchimp", "hubspot", "ga4"])
def test_late_rows_arrive_with_the_settling_window(loader, tmp_path, configs, server, window, vendor):
    late_rows_arrive(loader, configs[vendor], server, window, vendor, tmp_path / "fresh")


def test_hubspot_changes_are_searched_past_the_limit_of_search(loader, configs, world, window, monkeypatch):
    loader.load(SOURCES["hubspot"], configs["hubspot"], window)
    before = loader.stored("hubspot")
    monkeypatch.setattr("dlt_pipelines.sources.hubspot.SEARCH_LIMIT", 4)
    monkeypatch.setattr("dlt_pipelines.sources.hubspot.SEARCH_PAGE", 2)
    config = configs["hubspot"].model_copy(update={"settling_days": 400})
    rows = loader.load(SOURCES["hubspot"], config, window).rows
    assert rows["contacts"] == len(world.contacts)
    assert rows["deals"] == len(world.deals)
    after = loader.stored("hubspot")
    assert (after["contacts"], after["deals"]) == (before["contacts"], before["deals"])


def test_a_skewed_clock_is_no_reason_to_refuse_a_service_account(loader, configs, server, window):
    server.faults.switch("google_oauth", "clock_skew", seconds=7200.0)
    assert loader.load(SOURCES["ga4"], configs["ga4"], window).rows["traffic_daily"] > 0


def test_the_doctor_tells_good_credentials_from_bad_ones(configs, server, monkeypatch, pauses):
    for vendor in VENDORS:
        assert [finding.level for finding in SOURCES[vendor].check(configs[vendor])] == ["ok"], vendor
    the_doctor_objects(configs, VENDORS, server, monkeypatch)


def test_the_transport_gives_up_on_a_vendor_that_is_gone(configs, pauses):
    config = configs["mailchimp"].model_copy(update={"base_url": "http://127.0.0.1:9", "attempts": 3})
    with VendorSession("mailchimp", config, plain) as session, pytest.raises(Exception, match="refused"):
        session.get("/3.0/ping")
    assert len(pauses) == 2
