"""PostHog, Mixpanel, Amplitude and Klaviyo against the sandbox over loopback: value for value, whatever goes wrong."""

from datetime import timedelta
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from dlt.common.exceptions import TerminalValueError
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

from dlt_pipelines.config import AmplitudeConfig, KlaviyoConfig, MixpanelConfig, PosthogConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors import mixpanel
from dlt_pipelines.sandbox.vendors.klaviyo import METRICS
from dlt_pipelines.sandbox.vendors.posthog import PROJECT
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from tests.extraction.harness import Loader, make_window

VENDORS = ("klaviyo", "posthog", "mixpanel", "amplitude")


@pytest.fixture(scope="module")
def world():
    return build_world(WorldConfig(people=250, days=30))


@pytest.fixture(scope="module")
def server(world):
    with SandboxServer(world) as running:
        yield running


@pytest.fixture(scope="module")
def window(world):
    return make_window(
        world.events["occurred_at"].min().date(), world.events["occurred_at"].max().date() + timedelta(days=1)
    )


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
    spec, config = SOURCES[vendor], configs[vendor]
    loader.load(spec, config, window)
    before = loader.stored(vendor)
    told = {}
    for kind, options in REFUSED[vendor]:
        server.faults.switch(vendor, kind, **{"times": None, **options})
        with pytest.raises(ExtractionFailed) as caught:
            loader.load(spec, config, window)
        told[kind] = str(caught.value)
        server.faults.clear()
        assert loader.stored(vendor) == before, kind
        for secret in server.credentials().values():
            assert secret not in told[kind]
    assert "credentials refused" in told["revoked_token"]
    assert "Run again after" in told["throttle"]
    assert "the vendor sent" in told["type_flip"]
    assert "format changed" in told["withdrawn_field"]
    loader.load(spec, config, window)
    assert loader.stored(vendor) == before, "once the fault is gone, a run changes no row"


@pytest.mark.parametrize("vendor", VENDORS)
def test_late_rows_arrive_with_the_settling_window(loader, tmp_path, configs, server, window, vendor):
    spec, config = SOURCES[vendor], configs[vendor]
    server.faults.switch(vendor, "late_rows", days=1)
    loader.load(spec, config, window)
    server.faults.clear()
    loader.load(spec, config, window)
    fresh = Loader(tmp_path / "fresh")
    fresh.load(spec, config, window)
    assert loader.stored(vendor, load_ids=False) == fresh.stored(vendor, load_ids=False)


def test_nothing_personal_is_left_in_any_file_even_of_a_broken_load(loader, configs, world, window, monkeypatch):
    people = world.people
    values = {str(value) for column in ("email", "phone") for value in people[column].dropna()}
    values |= {str(value) for value in pd.concat([world.events["ip"], world.email_activity["ip"]]).dropna()}
    values |= {f"{first} {last}" for first, last in zip(people["first_name"], people["last_name"], strict=True)}
    whole = DuckDbCopyJob.run

    def fails(job):
        raise TerminalValueError("the disk is full")

    left = []
    for run in (fails, whole):
        monkeypatch.setattr(DuckDbCopyJob, "run", run)
        for name, config in configs.items():
            if run is fails:
                with pytest.raises(ExtractionFailed):
                    loader.load(SOURCES[name], config, window)
            else:
                loader.load(SOURCES[name], config, window)
                left.append(repr(loader.stored(name)).encode())
            left += [_plain_bytes(path, content) for path, content in loader.left_behind()]
    joined = b"\n".join(set(left))
    assert [value for value in values if value.encode() in joined] == []


def _plain_bytes(path, content):
    """A file's content; Parquet decoded, since compression would hide what it holds."""
    return repr(pq.read_table(path).to_pydict()).encode() if path.suffix == ".parquet" else content.replace(b"\0", b"")


def test_the_doctor_tells_good_credentials_from_bad_ones(configs, server, monkeypatch, pauses):
    for vendor in VENDORS:
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"ok"}, vendor
    for name in server.credentials():
        monkeypatch.setenv(name, "wrong-credential-us21")
    for vendor in VENDORS:
        (finding,) = SOURCES[vendor].check(configs[vendor])
        assert finding.level == "error"
        assert "wrong-credential" not in finding.message
        assert finding.remedy
    for name in server.credentials():
        monkeypatch.delenv(name)
    for vendor in VENDORS:
        assert {finding.level for finding in SOURCES[vendor].check(configs[vendor])} == {"error"}
