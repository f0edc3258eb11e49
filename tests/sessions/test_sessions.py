"""Where visits begin and end, what they carry, and which ids a late visit changes."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tests.sessions.project import SessionsProject, make_sessions_project

START = pd.Timestamp("2026-03-01")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SessionsProject:
    return make_sessions_project(tmp_path_factory.mktemp("sessions") / "project")


def frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    events = pd.DataFrame(rows)
    events["occurred_at"] = START + pd.to_timedelta(events.pop("minute"), unit="min")
    events["event_id"] = [f"e{n:02d}" for n in range(len(events))]
    events["event_name"] = "page_view"
    return events


def page(device: str | None, minute: float, source: str = "ga4", **more: object) -> dict[str, object]:
    return {"device_id": device, "minute": minute, "source": source, "surface": "web", "is_bot": False, **more}


CASES = frame(
    [
        # five pages from one e-mail click
        *(page("mail", n, utm_medium="email", utm_campaign="spring" if n == 0 else "other") for n in range(5)),
        # exactly half an hour is one visit, a second more is two
        page("edge", 0),
        page("edge", 30),
        page("edge", 60 + 1 / 60),
        # the entry's click id arrives two seconds later on the same page
        page("late_tag", 0, page_path="/a"),
        page("late_tag", 2 / 60, page_path="/a", gclid="g1", referrer="https://google.com/"),
        page("bot", 0, is_bot=True),
        # a backend alone, with a pause of forty minutes
        page("server", 0, source="backend", surface="backend"),
        page("server", 40, source="backend", surface="backend"),
        # a backend beside analytics opens nothing
        page("both", 0),
        page("both", 500, source="backend", surface="backend"),
        page(None, 0, source="files", user_id="u1"),
    ]
)


def test_visits_begin_end_and_carry_the_entry(project):
    project.fill(CASES)
    found = project.build()
    by_device = found.groupby("device_id")
    mail = by_device.get_group("mail")
    assert (len(mail), mail["event_count"].iloc[0], mail["utm_campaign"].iloc[0]) == (1, 5, "spring")
    edge = by_device.get_group("edge")
    assert edge["event_count"].tolist() == [2, 1]
    tagged = by_device.get_group("late_tag")
    assert tagged["gclid"].tolist() == ["g1"]
    assert "bot" not in by_device.groups
    assert len(by_device.get_group("server")) == 2
    assert len(by_device.get_group("both")) == 1
    assert found.loc[found["device_id"].isna(), "user_id"].tolist() == ["u1"]
    assert found["session_id"].is_unique


def test_a_placeholder_is_nobodys_device_and_nobodys_user(project):
    strangers = [page("null", n, user_id=f"u{n}", utm_source=f"s{n}") for n in range(3)]
    server = page("Null", 3, source="backend", surface="backend", user_id="u9")
    nobody = [page("00000000-0000", 4), page("null", 5, user_id="NULL"), page("own", 6, user_id="null")]
    project.fill(frame([*strangers, server, *nobody]))
    found = project.build()
    assert found["user_id"].fillna(found["device_id"]).tolist() == ["u0", "u1", "u2", "u9", "own"]
    assert found["utm_source"].dropna().tolist() == ["s0", "s1", "s2"]
    assert found["user_id"].isna().tolist() == [False, False, False, False, True]
    assert found["canonical_user_id"].is_unique


def test_a_surface_may_want_another_pause(project):
    project.fill(CASES)
    by_device = project.build(session_timeout_minutes_by_surface={"backend": 60, "web": 20}).groupby("device_id")
    assert by_device.get_group("server")["event_count"].tolist() == [2]
    assert by_device.get_group("edge")["event_count"].tolist() == [1, 1, 1]


def test_late_visits_change_no_other_session(project):
    rng = np.random.default_rng(3)
    visits = 40_000
    device = rng.integers(0, 8_000, visits)
    begins = rng.random(visits) * 120 * 1440
    pages = rng.integers(1, 6, visits)
    visit = np.repeat(np.arange(visits), pages)
    minute = begins[visit] + rng.random(len(visit)) * 20
    events = pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(len(visit))],
            "source": "ga4",
            "event_name": "page_view",
            "device_id": np.char.add("d", device[visit].astype(str)),
            "occurred_at": (START + pd.to_timedelta(minute, unit="min")).floor("s"),
        }
    )
    late = rng.random(visits) < 0.05
    project.fill(events[~late[visit]])
    before = project.build()
    project.fill(events)
    after = project.build()
    # Untouched: no late event within the pause of the session.
    key = events[late[visit]][["device_id", "occurred_at"]]
    near = before[["session_id", "device_id", "started_at", "ended_at"]].merge(key, on="device_id")
    pause = pd.Timedelta(minutes=30)
    touched = near[
        (near["occurred_at"] >= near["started_at"] - pause) & (near["occurred_at"] <= near["ended_at"] + pause)
    ]
    untouched = before[~before["session_id"].isin(touched["session_id"])]
    same = untouched.merge(after, on=["session_id", "started_at", "ended_at", "event_count"])
    assert len(untouched) > 30_000
    assert len(same) / len(untouched) >= 0.9999
    assert after["event_count"].sum() == len(events)


def history(devices: int = 60) -> pd.DataFrame:
    """A month of visits of a few devices, each with a browser and a campaign now and then."""
    rng = np.random.default_rng(11)
    visits = devices * 6
    device = rng.integers(0, devices, visits)
    pages = rng.integers(1, 6, visits)
    visit = np.repeat(np.arange(visits), pages)
    minute = np.repeat(rng.random(visits) * 30 * 1440, pages) + rng.random(len(visit)) * 25
    return pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(len(visit))],
            "source": "ga4",
            "surface": "web",
            "event_name": "page_view",
            "device_id": np.char.add("d", device[visit].astype(str)),
            "user_id": None,
            "utm_source": np.where(visit % 3 == 0, "newsletter", None),
            "is_bot": False,
            "occurred_at": (START + pd.to_timedelta(minute, unit="min")).floor("s"),
        }
    )


def arrive_late(events: pd.DataFrame) -> pd.DataFrame:
    late = events[events["device_id"].isin(["d1", "d2"])].iloc[::3]
    late = late.assign(event_id="late" + late["event_id"], occurred_at=late["occurred_at"] - pd.Timedelta(minutes=29))
    new = events.head(3).assign(device_id="new", event_id=["n1", "n2", "n3"])
    return pd.concat([events, late, new])


def lose_devices(events: pd.DataFrame) -> pd.DataFrame:
    return events[(events["device_id"] != "d3") & ~events["event_id"].isin(["e0", "e7"])]


def turn_out_to_be_a_bot(events: pd.DataFrame) -> pd.DataFrame:
    return events.assign(is_bot=events["device_id"].isin(["d4", "d5"]))


def restate(events: pd.DataFrame) -> pd.DataFrame:
    """A tag and a login delivered afterwards: no event more, no time changed."""
    events = events.copy()
    events.loc[events["device_id"] == "d6", "utm_source"] = "google"
    events.loc[events["device_id"] == "d7", "user_id"] = "u7"
    return events


def come_from_the_backend(events: pd.DataFrame) -> pd.DataFrame:
    """d8 was known to the backend alone."""
    return events.assign(
        source=events["source"].where(events["device_id"] != "d8", "backend"),
        surface=events["surface"].where(events["device_id"] != "d8", "backend"),
    )


def seen_by_analytics_afterwards(events: pd.DataFrame) -> pd.DataFrame:
    """One page view in analytics, and all of d8's requests open no session any more."""
    return pd.concat(
        [come_from_the_backend(events), events[events["device_id"] == "d8"].head(1).assign(event_id="seen")]
    )


TOUCHED = {"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "new"}


def test_an_incremental_run_equals_a_full_refresh_however_events_changed(project):
    events = history()
    project.fill(come_from_the_backend(events))
    project.build()
    changed = restate(turn_out_to_be_a_bot(lose_devices(arrive_late(events))))
    for state in (come_from_the_backend(changed), seen_by_analytics_afterwards(changed)):
        project.fill(state)
        incremental = project.build(full_refresh=False)
    assert_frame_equal(incremental, project.build())
    assert not {"d3", "d4", "d5"} & set(incremental["device_id"])
    assert incremental.loc[incremental["device_id"] == "d8", "event_count"].tolist() == [1]


def test_an_incremental_run_reads_again_only_devices_whose_events_changed(project):
    events = come_from_the_backend(history())
    project.fill(events)
    project.build()
    with project.connect() as connection:
        # A mark that only a session read again loses.
        connection.execute("update intermediate.int_sessions__spans set event_count = -1")
    project.fill(seen_by_analytics_afterwards(restate(turn_out_to_be_a_bot(lose_devices(arrive_late(events))))))
    found = project.build(full_refresh=False)
    marked = found["event_count"] == -1
    losing = set(events.loc[events["event_id"].isin(["e0", "e7"]), "device_id"])
    assert set(found.loc[~marked, "device_id"]) == (TOUCHED | losing) - {"d3", "d4", "d5"}
    assert set(found.loc[marked, "device_id"]) == set(events["device_id"]) - TOUCHED - losing


def test_another_pause_needs_no_full_refresh_by_hand(project):
    project.fill(history())
    usual = project.build()
    shorter = project.build(full_refresh=False, session_timeout_minutes=5)
    assert len(shorter) > len(usual)
    assert_frame_equal(shorter, project.build(session_timeout_minutes=5))
