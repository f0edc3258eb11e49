"""Salesforce and Pipedrive against the sandbox over loopback: value for value what the world holds, whatever goes wrong."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest

from dlt_pipelines.config import PipedriveConfig, SalesforceConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.faults import Faults
from dlt_pipelines.sandbox.vendors.crm_facts import contacts_with_deals, stage_entries
from dlt_pipelines.sandbox.vendors.pipedrive import Company, client
from dlt_pipelines.sandbox.vendors.salesforce_records import record_id
from tests.extraction.expectations import late_rows_arrive, refusals, the_doctor_objects
from tests.extraction.harness import Loader

CRMS = ("salesforce", "pipedrive")


@pytest.fixture
def configs(server, monkeypatch):
    server.faults.clear()
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)
    common: Any = {"enabled": True, "timeout_seconds": 0.5}
    yield {
        "salesforce": SalesforceConfig(base_url=server.base_urls["salesforce"], page_size=3, **common),
        "pipedrive": PipedriveConfig(base_url=server.base_urls["pipedrive"], page_size=2, **common),
    }
    server.faults.clear()


@pytest.mark.parametrize("bulk_rows", [20_000, 1])
def test_salesforce_is_the_worlds_by_query_and_in_bulk(loader, configs, world, window, monkeypatch, pauses, bulk_rows):
    monkeypatch.setattr("dlt_pipelines.sources.salesforce.BULK_PAGE", 4)
    config = configs["salesforce"].model_copy(update={"bulk_rows": bulk_rows})
    loader.load(SOURCES["salesforce"], config, window)
    with_deals = contacts_with_deals(world)
    columns = "id, email_hash, user_id, customer_source, gclid, is_deleted, created_at, updated_at"
    for table, kind, listed in (("contacts", "Contact", True), ("leads", "Lead", False)):
        stored = loader.query("salesforce", f"select {columns} from raw_salesforce.{table}")
        mine = [row for row in world.contacts.itertuples() if (row.contact_id in with_deals) == listed]
        assert len(mine) > 4
        assert sorted(stored, key=repr) == sorted(
            (
                (
                    record_id(kind, row.contact_id),
                    loader.hasher.email(row.email),
                    None if pd.isna(row.user_id) else row.user_id,
                    None if pd.isna(row.customer_source) else row.customer_source,
                    None if pd.isna(row.hs_google_click_id) else row.hs_google_click_id,
                    bool(row.archived),
                    row.created_at.floor("s").to_pydatetime(),
                    row.updated_at.floor("s").to_pydatetime(),
                )
                for row in mine
            ),
            key=repr,
        )
    labels = dict(zip(world.deal_stages["stage_id"], world.deal_stages["label"], strict=True))
    stored = loader.query(
        "salesforce",
        "select id, stage_name, amount, currency_iso_code, close_date, is_deleted from raw_salesforce.opportunities",
    )
    assert sorted(stored) == sorted(
        (
            record_id("Opportunity", row.deal_id),
            labels[row.dealstage],
            Decimal(str(row.amount)),
            row.currency,
            row.close_at.date(),
            bool(row.archived),
        )
        for row in world.deals.itertuples()
    )
    roles = loader.query(
        "salesforce", "select opportunity_id, contact_id, is_primary from raw_salesforce.opportunity_contacts"
    )
    assert sorted(roles) == sorted(
        (record_id("Opportunity", row.deal_id), record_id("Contact", contact), number == 0)
        for row in world.deals.itertuples()
        for number, contact in enumerate(row.contact_ids)
    )
    history = loader.query(
        "salesforce", "select opportunity_id, stage_name, created_at from raw_salesforce.opportunity_history"
    )
    assert sorted(history) == sorted(
        (record_id("Opportunity", row.deal_id), labels[row.stage_id], row.entered_at.to_pydatetime())
        for row in stage_entries(world).itertuples()
    )
    stages = loader.query(
        "salesforce", "select label, default_probability, is_won from raw_salesforce.opportunity_stages"
    )
    assert sorted(stages) == sorted(
        (row.label, row.probability * 100, bool(row.is_won)) for row in world.deal_stages.itertuples()
    )
    assert bool(pauses) == (bulk_rows == 1), "only a bulk job is waited for"


def test_only_changes_are_read_again_and_none_of_them_changes_a_row(loader, configs, world, window, server):
    spec, config = SOURCES["salesforce"], configs["salesforce"]
    loader.load(spec, config, window)
    before = loader.stored("salesforce")
    rows = loader.load(spec, config, window).rows
    assert loader.stored("salesforce") == before
    recent = window.now.replace(tzinfo=None) - timedelta(days=1)
    assert rows["opportunities"] == (world.deals["updated_at"].dt.floor("s") >= recent).sum() < len(world.deals)


def test_pipedrive_is_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["pipedrive"], configs["pipedrive"], window)
    numbers = Company(world, Faults())
    stored = loader.query(
        "pipedrive",
        "select id::int, email_hash, user_id, customer_source, gclid, created_at, updated_at from raw_pipedrive.persons",
    )
    assert sorted(stored) == sorted(
        (
            numbers.people[row.contact_id],
            loader.hasher.email(row.email),
            None if pd.isna(row.user_id) else row.user_id,
            None if pd.isna(row.customer_source) else row.customer_source,
            None if pd.isna(row.hs_google_click_id) else row.hs_google_click_id,
            row.created_at.floor("s").to_pydatetime(),
            row.updated_at.floor("s").to_pydatetime(),
        )
        for row in world.contacts[~world.contacts["archived"].astype(bool)].itertuples()
    )
    ends = stage_entries(world).groupby("deal_id").last()
    stored = loader.query(
        "pipedrive",
        "select id::int, value, currency, person_id::int, status, coalesce(won_at, lost_at), product from raw_pipedrive.deals",
    )
    outcome = {"closedwon": "won", "closedlost": "lost"}
    assert sorted(stored, key=repr) == sorted(
        (
            (
                numbers.deals[row.deal_id],
                Decimal(str(row.amount)),
                row.currency,
                numbers.people[row.contact_ids[0]],
                "deleted" if row.archived else outcome.get(row.dealstage, "open"),
                ends.loc[row.deal_id, "entered_at"].to_pydatetime() if row.dealstage in outcome else None,
                row.product,
            )
            for row in world.deals.itertuples()
        ),
        key=repr,
    )
    stages = {key: str(number) for key, number in numbers.stages.items()}
    moves = []
    for key, entries in stage_entries(world).groupby("deal_id"):
        path = entries[entries["stage_id"].isin(stages)]
        moves += [
            (numbers.deals[key], moment.to_pydatetime(), stages[after], stages[before])
            for before, after, moment in zip(
                path["stage_id"], path["stage_id"].iloc[1:], path["entered_at"].iloc[1:], strict=False
            )
        ]
    columns = "deal_id::int, changed_at, stage_id, old_stage_id"
    assert sorted(loader.query("pipedrive", f"select {columns} from raw_pipedrive.stage_changes")) == sorted(moves)
    assert loader.query("pipedrive", "select count(*) from raw_pipedrive.stages") == [(len(stages),)]


def test_an_oauth_app_reads_pipedrive_as_well(loader, tmp_path, configs, server, window, monkeypatch, pauses):
    loader.load(SOURCES["pipedrive"], configs["pipedrive"], window)
    monkeypatch.delenv("PIPEDRIVE_API_TOKEN")
    config = configs["pipedrive"].model_copy(update={"token_url": f"{server.base_urls['pipedrive']}/oauth/token"})
    (finding,) = SOURCES["pipedrive"].check(config)
    assert (finding.level, "PIPEDRIVE_API_TOKEN is not set" in finding.message) == ("error", True)
    app = client(server.faults)
    monkeypatch.setenv("PIPEDRIVE_REFRESH_TOKEN", app.refresh_token())
    monkeypatch.setenv("PIPEDRIVE_CLIENT_ID", app.client_id)
    monkeypatch.setenv("PIPEDRIVE_CLIENT_SECRET", app.client_secret)
    server.faults.switch("pipedrive", "expired_token", skip=2)
    other = Loader(tmp_path / "other")
    other.load(SOURCES["pipedrive"], config, window)
    assert other.stored("pipedrive", load_ids=False) == loader.stored("pipedrive", load_ids=False)


def test_an_app_without_a_user_signs_in_for_itself(loader, configs, window, monkeypatch):
    monkeypatch.delenv("SALESFORCE_REFRESH_TOKEN")
    assert loader.load(SOURCES["salesforce"], configs["salesforce"], window).rows["contacts"] > 0


def test_a_failed_bulk_job_says_why_and_writes_nothing(loader, configs, server, window, pauses):
    config = configs["salesforce"].model_copy(update={"bulk_rows": 1})
    server.faults.switch("salesforce", "failed_job", times=None)
    with pytest.raises(ExtractionFailed, match=r"bulk query of \w+ ended Failed \(InvalidBatch : query timed out\)"):
        loader.load(SOURCES["salesforce"], config, window)
    assert not any(loader.stored("salesforce").values())


RECOVERABLE = (
    "throttle",
    "server_error",
    "timeout",
    "cut_body",
    "malformed_body",
    "truncated_body",
    "empty_page",
    "duplicate_page",
    "repeated_cursor",
)
RENEWABLE = ("salesforce",)
# A throttle that passes; Salesforce's usual one is the day's quota.
PASSING = {"salesforce": {"policy": "concurrent"}, "pipedrive": {}}


@pytest.mark.parametrize(("vendor", "bulk"), [("salesforce", False), ("salesforce", True), ("pipedrive", False)])
def test_everything_that_passes_is_survived_with_the_same_tables(
    loader, tmp_path, configs, server, window, pauses, monkeypatch, vendor, bulk
):
    monkeypatch.setattr("dlt_pipelines.sources.salesforce.BULK_PAGE", 3)
    spec = SOURCES[vendor]
    config = configs[vendor].model_copy(update={"bulk_rows": 1} if bulk else {})
    loader.load(spec, config, window)
    clean = loader.stored(vendor, load_ids=False)
    for skip, kind in enumerate([*RECOVERABLE, *(["expired_token"] if vendor in RENEWABLE else [])]):
        options = PASSING.get(vendor, {}) if kind == "throttle" else {}
        server.faults.switch(vendor, kind, times=1, skip=0 if kind.endswith(("page", "cursor")) else skip, **options)
    faulty = Loader(tmp_path / "faulty")
    faulty.load(spec, config.model_copy(update={"attempts": 8, "max_wait_seconds": 600}), window)
    assert faulty.stored(vendor, load_ids=False) == clean
    assert server.faults.listing() == [], "every fault struck"
    assert pauses


REFUSED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "salesforce": [("revoked_token", {}), ("throttle", {}), ("type_flip", {"field": "Amount"})],
    "pipedrive": [
        ("revoked_token", {}),
        ("throttle", {"policy": "abuse"}),
        ("type_flip", {"field": "value", "path": "/deals"}),
    ],
}


@pytest.mark.parametrize("vendor", CRMS)
def test_everything_else_stops_the_source_and_changes_nothing(loader, configs, server, window, pauses, vendor):
    told = refusals(loader, configs[vendor], server, window, vendor, REFUSED[vendor])
    assert "credentials refused" in told["revoked_token"]
    assert "Run again after" in told["throttle"]
    assert "the vendor sent" in told["type_flip"]


@pytest.mark.parametrize("vendor", CRMS)
def test_late_rows_arrive_with_the_settling_window(loader, tmp_path, configs, server, window, vendor):
    late_rows_arrive(loader, configs[vendor], server, window, vendor, tmp_path / "fresh")


def test_the_doctor_tells_good_credentials_from_bad_ones(configs, server, monkeypatch, pauses):
    for vendor in CRMS:
        assert [finding.level for finding in SOURCES[vendor].check(configs[vendor])] == ["ok"], vendor
    odd = configs["salesforce"].model_copy(update={"product_field": "Nothing__c"})
    warning, _ = SOURCES["salesforce"].check(odd)
    assert (warning.level, warning.message) == ("warning", "has no field Nothing__c")
    the_doctor_objects(configs, CRMS, server, monkeypatch)
