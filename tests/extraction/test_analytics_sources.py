"""PostHog, Mixpanel, Amplitude and Klaviyo against the sandbox over loopback: value for value, whatever goes wrong."""

from typing import Any

import pandas as pd
import pytest

from dlt_pipelines.config import AmplitudeConfig, KlaviyoConfig, MixpanelConfig, PosthogConfig
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.vendors import mixpanel
from dlt_pipelines.sandbox.vendors.klaviyo import METRICS
from dlt_pipelines.sandbox.vendors.posthog import PROJECT
from tests.extraction.expectations import late_rows_arrive, refusals, the_doctor_objects
from tests.extraction.harness import Loader

VENDORS = ("klaviyo", "posthog", "mixpanel", "amplitude")


@pytest.fixture
def configs(server, monkeypatch):
    server.faults.clear()
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)
    common: Any = {"enabled": True, "timeout_seconds": 2.0}
    urls = server.base_urls
    yield {
        "klaviyo": KlaviyoConfig(base_url=urls["klaviyo"], page_size=40, **common),
        "posthog": PosthogConfig(base_url=urls["posthog"], project_id=PROJECT, page_size=500, **common),
        "mixpanel": MixpanelConfig(
            base_url=urls["mixpanel"], query_url=urls["mixpanel"], project_id=mixpanel.PROJECT, **common
        ),
        "amplitude": AmplitudeConfig(base_url=urls["amplitude"], **common),
    }
    server.faults.clear()


def test_klaviyo_is_the_worlds(loader, configs, world, window):
    loader.load(SOURCES["klaviyo"], configs["klaviyo"], window)
    mine = world.email_activity[world.email_activity["vendor"] == "mailchimp"]
    mine = mine[mine["occurred_at"] >= pd.Timestamp(window.start)]
    stored = loader.query("klaviyo", "select metric_name, email_hash, occurred_at, url from raw_klaviyo.events")
    assert sorted(stored, key=repr) == sorted(
        (
            (
                METRICS[row.action],
                loader.hasher.email(row.email),
                row.occurred_at.floor("s").to_pydatetime(),
                row.url if row.action == "click" else None,
            )
            for row in mine.itertuples()
        ),
        key=repr,
    )
    campaigns = world.email_campaigns[world.email_campaigns["vendor"] == "mailchimp"]
    assert loader.query("klaviyo", "select id, name from raw_klaviyo.campaigns order by 1") == sorted(
        zip(campaigns["campaign_id"].astype(str), campaigns["title"], strict=True)
    )
    people = world.people.set_index("email")
    profiles = loader.query("klaviyo", "select email_hash, phone_hash, user_id from raw_klaviyo.profiles")
    everyone = world.email_activity[world.email_activity["vendor"] == "mailchimp"]["email"].unique()
    assert sorted(profiles, key=repr) == sorted(
        (
            (
                loader.hasher.email(address),
                None if pd.isna(people.loc[address, "phone"]) else loader.hasher.phone(people.loc[address, "phone"]),
                None if pd.isna(people.loc[address, "user_id"]) else people.loc[address, "user_id"],
            )
            for address in everyone
        ),
        key=repr,
    )


# What a vendor recovers from within one run.
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


@pytest.mark.parametrize("vendor", VENDORS)
def test_everything_that_passes_is_survived_with_the_same_tables(
    loader, tmp_path, configs, server, window, pauses, vendor
):
    spec, config = SOURCES[vendor], configs[vendor]
    loader.load(spec, config, window)
    clean = loader.stored(vendor, load_ids=False)
    for skip, kind in enumerate(RECOVERABLE):
        server.faults.switch(vendor, kind, times=1, skip=0 if kind.endswith(("page", "cursor")) else skip)
    faulty = Loader(tmp_path / "faulty")
    patient = config.model_copy(update={"attempts": 8, "max_wait_seconds": 600, "timeout_seconds": 0.5})
    faulty.load(spec, patient, window)
    assert faulty.stored(vendor, load_ids=False) == clean
    assert pauses


REFUSED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "klaviyo": [
        ("revoked_token", {}),
        ("expired_token", {}),
        # A day's quota that was seen told as 73,473 seconds.
        ("throttle", {"seconds": 73473}),
        ("type_flip", {"field": "datetime"}),
        ("withdrawn_field", {"field": "datetime"}),
    ],
    "posthog": [
        ("revoked_token", {}),
        ("expired_token", {}),
        ("throttle", {"seconds": 3600}),
        ("type_flip", {"field": "results"}),
        ("withdrawn_field", {"field": "columns"}),
    ],
    "mixpanel": [
        ("revoked_token", {}),
        ("expired_token", {}),
        ("throttle", {"seconds": 3600}),
        ("type_flip", {"field": "time"}),
        ("withdrawn_field", {"field": "distinct_id"}),
    ],
    "amplitude": [
        ("revoked_token", {}),
        ("expired_token", {}),
        ("throttle", {"seconds": 3600}),
        ("type_flip", {"field": "event_time"}),
        ("withdrawn_field", {"field": "event_type"}),
    ],
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_everything_else_stops_the_source_and_changes_nothing(loader, configs, server, window, pauses, vendor):
    told = refusals(loader, configs[vendor], server, window, vendor, REFUSED[vendor])
    assert "credentials refused" in told["revoked_token"]
    assert "Run again after" in told["throttle"]
    assert "the vendor sent" in told["type_flip"]
    assert "format changed" in told["withdrawn_field"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_late_rows_arrive_with_the_settling_window(loader, tmp_path, configs, server, window, vendor):
    late_rows_arrive(loader, configs[vendor], server, window, vendor, tmp_path / "fresh")


def test_the_doctor_tells_good_credentials_from_bad_ones(configs, server, monkeypatch, pauses):
    for vendor in VENDORS:
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"ok"}, vendor
    the_doctor_objects(configs, VENDORS, server, monkeypatch)
