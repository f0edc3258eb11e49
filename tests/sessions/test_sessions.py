"""Where visits begin and end, what they carry, and which ids a late visit changes."""

import numpy as np
import pandas as pd
import pytest

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
    return {"device_id": device, "minute": minute, "source": source, "is_bot": False, **more}


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
        page("server", 0, source="backend"),
        page("server", 40, source="backend"),
        # a backend beside analytics opens nothing
        page("both", 0),
        page("both", 500, source="backend"),
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


def test_a_source_may_want_another_pause(project):
    project.fill(CASES)
    by_device = project.build(session_timeout_minutes_by_source={"backend": 60, "ga4": 20}).groupby("device_id")
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
