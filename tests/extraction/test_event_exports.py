"""Mixpanel's and Amplitude's exports: value for value, each event once, late ones too, and what only they do."""

from datetime import timedelta

import pandas as pd
import pytest

from dlt_pipelines.config import AmplitudeConfig, MixpanelConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.privacy import scrub_url
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.vendors import amplitude, mixpanel
from dlt_pipelines.sandbox.vendors.web_facts import identify, web_events
from dlt_pipelines.sources.mixpanel import records
from tests.extraction.harness import make_window

PAGE_VIEWS = {"mixpanel": "$mp_web_page_view", "amplitude": "[Amplitude] Page Viewed"}
NO_BOOKKEEPING = "event_name not in ('$identify')"


@pytest.fixture(scope="module")
def windows(world):
    """Amplitude is read long enough after the world's end for what was recorded offline to have arrived."""
    first, last = world.events["occurred_at"].min().date(), world.events["occurred_at"].max().date()
    return {
        "mixpanel": make_window(first, last + timedelta(days=1)),
        "amplitude": make_window(first, last + timedelta(days=3)),
    }


@pytest.fixture
def configs(server, monkeypatch):
    for name, value in server.credentials().items():
        monkeypatch.setenv(name, value)
    urls = server.base_urls
    yield {
        "mixpanel": MixpanelConfig(
            enabled=True, base_url=urls["mixpanel"], query_url=urls["mixpanel"], project_id=mixpanel.PROJECT
        ),
        "amplitude": AmplitudeConfig(enabled=True, base_url=urls["amplitude"]),
    }
    server.faults.clear()


def cell(value):
    return None if pd.isna(value) else value


def of_the_world(world, vendor):
    def moment(at):
        # Mixpanel tells milliseconds.
        return at.floor("ms").to_pydatetime() if vendor == "mixpanel" else at.to_pydatetime()

    return sorted(
        (
            (
                PAGE_VIEWS[vendor] if row.event_name == "page_view" else row.event_name,
                row.device_id,
                cell(row.user_id),
                moment(row.occurred_at),
                cell(row.page_url) and scrub_url(row.page_url),
                cell(row.referrer),
                cell(row.browser),
                cell(row.value),
            )
            for row in web_events(world).itertuples()
        ),
        key=repr,
    )


def stored_events(loader, vendor):
    columns = "event_name, device_id, user_id, occurred_at, page_url, referrer, browser, event_value"
    return sorted(loader.query(vendor, f"select {columns} from raw_{vendor}.events where {NO_BOOKKEEPING}"), key=repr)


@pytest.mark.parametrize("vendor", PAGE_VIEWS)
def test_events_are_the_worlds_and_stand_once(loader, configs, world, windows, vendor):
    loader.load(SOURCES[vendor], configs[vendor], windows[vendor])
    assert stored_events(loader, vendor) == of_the_world(world, vendor)
    before = loader.stored(vendor)
    loader.load(SOURCES[vendor], configs[vendor], windows[vendor])
    assert loader.stored(vendor) == before, "a second run changes no row"


def test_a_project_in_its_own_zone_tells_the_same_moments(loader, configs, world, windows):
    old = configs["mixpanel"].model_copy(update={"project_id": mixpanel.OLD_PROJECT, "time_zone": "Europe/Berlin"})
    loader.load(SOURCES["mixpanel"], old, windows["mixpanel"])
    assert stored_events(loader, "mixpanel") == of_the_world(world, "mixpanel")
    zone = "timezone('Europe/Berlin', timezone('UTC', occurred_at))"
    assert loader.query("mixpanel", f"select count(*) from raw_mixpanel.events where event_date <> {zone}::date") == [
        (0,)
    ]


def test_profiles_and_merges_are_the_worlds(loader, configs, world, windows):
    loader.load(SOURCES["mixpanel"], configs["mixpanel"], windows["mixpanel"])
    people = world.people.dropna(subset=["user_id"]).set_index("user_id")
    users = web_events(world)["user_id"].dropna().unique()
    found = loader.query("mixpanel", "select distinct_id, email_hash, phone_hash from raw_mixpanel.profiles")
    expected = [
        (
            user,
            loader.hasher.email(people.loc[user, "email"]),
            None if pd.isna(people.loc[user, "phone"]) else loader.hasher.phone(people.loc[user, "phone"]),
        )
        for user in users
    ]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    told = loader.query(
        "mixpanel", "select merged_id, distinct_id from raw_mixpanel.events where merged_id is not null"
    )
    assert sorted(told) == sorted((merge.device_id, merge.user_id) for merge in identify(web_events(world)).merges)


def test_what_was_recorded_offline_comes_with_its_upload(loader, configs, world):
    first, last = world.events["occurred_at"].min(), world.events["occurred_at"].max()
    spec, config = SOURCES["amplitude"], configs["amplitude"]
    for days in (1, 2, 3):
        loader.load(spec, config, make_window(first.date(), last.date() + timedelta(days=days)))
    assert stored_events(loader, "amplitude") == of_the_world(world, "amplitude")
    late = "select count(*) from raw_amplitude.events where received_at > occurred_at + interval 1 day"
    assert loader.query("amplitude", late)[0][0] > 10


def test_a_next_run_asks_for_the_hours_since(loader, configs, server, world):
    first, last = world.events["occurred_at"].min().date(), world.events["occurred_at"].max().date()
    spec, config = SOURCES["amplitude"], configs["amplitude"]
    loader.load(spec, config, make_window(first, last))
    asked = len(server.requests)
    assert 0 < loader.load(spec, config, make_window(first, last + timedelta(days=1))).rows["events"] < 400
    assert len(server.requests) - asked == 2, "24 new hours and as many old ones"


def test_an_archive_that_is_refused_or_too_long_is_asked_for_in_halves(loader, configs, world, windows, monkeypatch):
    monkeypatch.setattr(amplitude, "MOST_EVENTS", 60)
    patient = configs["amplitude"].model_copy(update={"hours_per_request": 240})
    loader.load(SOURCES["amplitude"], patient, windows["amplitude"])
    assert stored_events(loader, "amplitude") == of_the_world(world, "amplitude")
    monkeypatch.setattr(amplitude, "MOST_EVENTS", 1)
    with pytest.raises(ExtractionFailed, match="alone was refused"):
        loader.load(SOURCES["amplitude"], patient, windows["amplitude"].model_copy(update={"refresh": True}))
    assert stored_events(loader, "amplitude") == of_the_world(world, "amplitude")


def test_sticky_properties_of_a_person_are_no_referrers(loader, configs, windows):
    loader.load(SOURCES["amplitude"], configs["amplitude"], windows["amplitude"])
    sql = "select count(*) from raw_amplitude.events where referrer like '%sticky%' or properties like '%sticky%'"
    assert loader.query("amplitude", sql) == [(0,)]


def test_lines_of_an_export():
    whole = b'{"event": "a", "properties": {"text": "line\xe2\x80\xa8separator"}}\n{"event":\n"b"}\n\n'
    for size in (1, 7, 1000):
        blocks = (whole[start : start + size] for start in range(0, len(whole), size))
        assert [record["event"] for record in records(blocks)] == ["a", "b"]
    for broken in (b'{"event": "a"}\nterminated early\n', b'{"event": "a"}\n{"ev', b"<html>busy</html>", b"17\n"):
        with pytest.raises(ValueError, match=r"no event|terminated"):
            list(records(iter([broken])))


def test_a_day_that_has_not_begun_there_is_not_asked_for(loader, configs, world):
    """The window ends after today in the project's zone; Mixpanel would refuse."""
    first, last = world.events["occurred_at"].min().date(), world.events["occurred_at"].max().date()
    now = pd.Timestamp(last, tz="UTC").to_pydatetime()
    loader.load(SOURCES["mixpanel"], configs["mixpanel"], make_window(first, last + timedelta(days=10), now=now))
    assert loader.query("mixpanel", f"select count(*) from raw_mixpanel.events where event_date > '{last}'") == [(0,)]
