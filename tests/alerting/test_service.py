"""From observations to what receivers read: one firing, its reminders, one all-clear, whatever dies in between."""

import contextlib
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from attribution_platform.alerting import service
from attribution_platform.alerting.routes import RouteError
from attribution_platform.alerting.service import Alerting
from attribution_platform.alerting.store import AlertStore
from attribution_platform.monitoring.alerts import Acknowledgement, Health, Observation, Severity, Silence
from attribution_platform.operations import engine_of
from attribution_platform.settings import load_settings
from tests.alerting.receivers import http_receiver

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)
CAPTURE = "click_id_capture"
HEAD = """
[project]
data_dir = "data"
[sources.ga4]
enabled = true
property_id = "1"
[sources.google_ads]
enabled = true
customer_ids = ["1234567890"]
"""
ROUTES = """
[[alerts.routes]]
name = "everything"
kind = "webhook"
url_env = "HOOK_ALL"
secret_env = "HOOK_KEY"
[[alerts.routes]]
name = "grave"
kind = "webhook"
url_env = "HOOK_GRAVE"
secret_env = "HOOK_KEY"
severity = "critical"
"""


class Killed(BaseException):
    """Nothing catches it, like a kill."""


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        self.now += timedelta(microseconds=1)
        return self.now


@pytest.fixture
def hooks(monkeypatch):
    with http_receiver() as inbox:
        monkeypatch.setenv("HOOK_ALL", f"http://127.0.0.1:{inbox.port}/all")
        monkeypatch.setenv("HOOK_GRAVE", f"http://127.0.0.1:{inbox.port}/grave")
        monkeypatch.setenv("HOOK_KEY", "k")
        yield inbox


def platform(folder, engine, routes=ROUTES, more=""):
    folder.mkdir(exist_ok=True)
    path = folder / "attribution.toml"
    path.write_text(f"{HEAD}\n[alerts]\n{more}\n{routes}")
    return Alerting(load_settings(path), AlertStore(engine), Clock())


@pytest.fixture
def alerting(tmp_path, engine):
    return platform(tmp_path / "project", engine)


def bad(metric=CAPTURE, segment="platform=google_ads", severity=Severity.CRITICAL, **details):
    return Observation(metric, segment, Health.BAD, severity, "down", date(2026, 2, 27), details)


def good(metric=CAPTURE, segment="platform=google_ads"):
    return Observation(metric, segment, Health.GOOD)


def told(inbox, path="/all"):
    return [json.loads(each.body) for each in inbox.requests if each.path == path]


def on_day(alerting, number, observations, send=True):
    alerting.clock.now = START + number * DAY
    outcome = alerting.evaluate(f"run:{number}", observations, f"id-{number}")
    if send:
        alerting.send()
    return outcome


@pytest.mark.parametrize(("severity", "reminders"), [(Severity.CRITICAL, 29), (Severity.WARNING, 4)])
def test_thirty_evaluations_of_one_fault(alerting, hooks, severity, reminders):
    for day in range(30):
        on_day(alerting, day, [bad(severity=severity, expected=0.8, observed=0.65)])
    for day in (30, 31, 32, 33):
        on_day(alerting, day, [good()])
    kinds = [message["kind"] for message in told(hooks)]
    assert kinds == ["firing", *["reminder"] * reminders, "resolved"]
    assert len(told(hooks, "/grave")) == (len(kinds) if severity is Severity.CRITICAL else 0)
    last = told(hooks)[-1]
    assert last["title"] == "Resolved after 30 days: Click-id capture · platform=google_ads fell from 80.0 % to 65.0 %"
    assert len({message["key"] for message in told(hooks)}) == len(kinds)


def test_one_message_a_run_and_route_the_gravest_first(alerting, hooks):
    on_day(alerting, 0, [bad("utm_taxonomy", "all", Severity.WARNING), bad(), good("bot_share", "all")])
    [message] = told(hooks)
    assert message["title"] == "2 alerts: 2 new"
    assert [item["metric"] for item in message["items"]] == [CAPTURE, "utm_taxonomy"]
    assert ["Run id-0", "http://127.0.0.1:3000/runs/id-0"] in message["links"]
    [grave] = told(hooks, "/grave")
    assert [item["metric"] for item in grave["items"]] == [CAPTURE]


def test_a_dead_source_is_one_alert_and_its_children_come_when_it_is_back(alerting, hooks):
    children = [
        bad(),
        bad("event_volume", "source=ga4"),
        bad("bot_share", "all"),
        bad("check/raw_ga4/events/fresh", "all"),
    ]
    on_day(alerting, 0, [bad("source_load", "source=ga4", error="401"), *children])
    assert [[item["metric"] for item in message["items"]] for message in told(hooks)] == [["source_load"]]
    assert {row["muted"] for row in alerting.store.open_alerts()} == {None, "inhibited by source_load, source=ga4"}
    for day in (1, 2):
        on_day(
            alerting,
            day,
            [good("source_load", "source=ga4"), *[good(each.metric, each.segment) for each in children[1:]], bad()],
        )
    later = [sorted((item["metric"], item["kind"]) for item in message["items"]) for message in told(hooks)[1:]]
    assert later == [[(CAPTURE, "firing"), ("source_load", "resolved")]]


def test_fewer_visits_from_one_platform_mute_that_platform_only(alerting, hooks):
    thin = bad("event_volume", "platform=google_ads", Severity.CRITICAL)
    on_day(alerting, 0, [thin, bad(), bad("utm_completeness", "all", Severity.WARNING)])
    assert [item["metric"] for item in told(hooks)[0]["items"]] == ["event_volume", "utm_completeness"]


def test_the_total_speaks_for_its_parts(alerting, hooks):
    on_day(alerting, 0, [bad(segment="all"), bad(segment="browser=Safari"), bad(segment="landing_page=/a"), bad()])
    assert [item["segment"] for item in told(hooks)[0]["items"]] == ["all", "platform=google_ads"]


def test_too_little_volume_clears_nothing(alerting, hooks):
    on_day(alerting, 0, [bad()])
    unknown = Observation(CAPTURE, "platform=google_ads", Health.UNKNOWN)
    for day in range(1, 6):
        on_day(alerting, day, [unknown], send=False)
    assert [row["status"] for row in alerting.store.open_alerts()] == ["firing"]


def test_silences_and_acknowledgements_hold_over_a_restart(alerting, hooks, engine, tmp_path):
    alerting.store.add_silence(Silence(START, START + 2 * DAY, metric="click*"))
    on_day(alerting, 0, [bad()])
    assert told(hooks) == []
    again = platform(tmp_path / "project", engine)
    on_day(again, 2, [bad()])
    again.store.acknowledge(Acknowledgement(CAPTURE, "platform=google_ads", START + 2.5 * DAY, START + 6 * DAY, "ana"))
    for day in (3, 4, 5, 6):
        on_day(again, day, [bad()])
    assert [(message["kind"], message["at"][:10]) for message in told(hooks)] == [
        ("firing", "2026-03-04"),
        ("reminder", "2026-03-08"),
    ]


STEPS = ["before claim", "after claim", "before delivery", "after delivery", "before mark", "after mark"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("message", [1, 2, 3])
def test_a_kill_at_any_step_of_sending_loses_nothing(alerting, hooks, monkeypatch, step, message):
    """Two routes, three messages: kill the sender at one step of one message, start another, and compare what arrived."""
    count = {"before": 0, "after": 0}

    def deadly(what, target):
        def call(*args, **kwargs):
            if step == f"before {what}" and count_to(message):
                raise Killed
            result = target(*args, **kwargs)
            if step == f"after {what}" and count_to(message):
                raise Killed
            return result

        return call

    def count_to(limit):
        count["before"] += 1
        return count["before"] == limit

    on_day(alerting, 0, [bad()], send=False)
    on_day(alerting, 1, [bad()], send=False)
    with monkeypatch.context() as patch:
        patch.setattr(alerting.store, "claim", deadly("claim", alerting.store.claim))
        patch.setattr(alerting.store, "mark_sent", deadly("mark", alerting.store.mark_sent))
        patch.setattr(service, "deliver", deadly("delivery", service.deliver))
        with pytest.raises(Killed):
            alerting.send()
    alerting.clock.now += timedelta(minutes=6)
    alerting.send()
    for path in ("/all", "/grave"):
        arrived = told(hooks, path)
        keys = [each["key"] for each in arrived]
        folded = list(dict.fromkeys(keys))
        kinds = {each["key"]: each["kind"] for each in arrived}
        assert [kinds[key] for key in folded] == ["firing", "reminder"], "nothing lost, in order"
        assert len(keys) - len(folded) <= 1
        repeats = [each for position, each in enumerate(arrived) if each["key"] in keys[:position]]
        assert all(each["may_repeat"] for each in repeats), "a repeat says that it may be one"
    assert alerting.store.outbox("waiting") == []


@hypothesis_settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    faults=st.lists(st.sampled_from(["", "kill", "503", "arrive and die"]), min_size=1, max_size=25),
    healths=st.lists(st.booleans(), min_size=3, max_size=10),
)
def test_whatever_fails_every_message_arrives_once_when_folded(tmp_path_factory, monkeypatch, faults, healths):
    folder = tmp_path_factory.mktemp("fuzz")
    engine = engine_of("sqlite://")
    alerting = platform(folder / "project", engine)
    arrived, plan = [], list(faults)

    def deliver(route, message, key, now, may_repeat):
        fault = plan.pop(0) if plan else ""
        if fault == "503":
            raise service.DeliveryError("answered 503")
        if fault == "kill":
            raise Killed
        arrived.append((route.name, key))
        if fault == "arrive and die":
            raise Killed

    monkeypatch.setattr(service, "deliver", deliver)
    expected = []
    for day, is_bad in enumerate(healths):
        alerting.clock.now = START + day * DAY
        outcome = alerting.evaluate(f"run:{day}", [bad() if is_bad else good()])
        expected += [(each.route, each.key) for each in outcome.outgoing]
        with contextlib.suppress(Killed):
            alerting.send()
    while alerting.store.outbox("waiting"):
        alerting.clock.now += timedelta(hours=2)
        with contextlib.suppress(Killed):
            alerting.send()
    for route in ("everything", "grave"):
        assert list(dict.fromkeys(key for name, key in arrived if name == route)) == [
            key for name, key in expected if name == route
        ]
    engine.dispose()


def test_a_dead_receiver_holds_up_nobody_else(alerting, hooks, monkeypatch):
    monkeypatch.setenv("HOOK_GRAVE", "http://127.0.0.1:9/grave")
    on_day(alerting, 0, [bad()])
    assert len(told(hooks)) == 1
    [waiting] = alerting.store.outbox("waiting")
    assert "could not be reached" in waiting["last_error"]
    monkeypatch.setenv("HOOK_GRAVE", f"http://127.0.0.1:{hooks.port}/grave")
    alerting.clock.now += timedelta(minutes=2)
    assert len(alerting.send().delivered) == 1
    assert len(told(hooks, "/grave")) == 1


def test_without_the_address_messages_wait_for_it(alerting, hooks, monkeypatch):
    monkeypatch.delenv("HOOK_ALL")
    on_day(alerting, 0, [bad()])
    assert "$HOOK_ALL is not set" in alerting.store.outbox("waiting")[0]["last_error"]


@pytest.mark.parametrize(("routes", "more", "reason"), [("", "", "no route"), (ROUTES, "dry_run = true", "dry run")])
def test_where_nothing_is_sent_the_log_says_what_would_be(tmp_path, engine, caplog, hooks, routes, more, reason):
    alerting = platform(tmp_path / "quiet", engine, routes, more)
    on_day(alerting, 0, [bad(expected=0.8, observed=0.65)])
    assert reason in caplog.text
    assert "fell from 80.0 % to 65.0 %" in caplog.text
    assert hooks.requests == []
    assert alerting.store.outbox() == []
    assert len(alerting.store.events()) == 2


def test_a_route_nobody_named_is_an_error_that_names_the_others(alerting):
    with pytest.raises(RouteError, match="Known: everything, grave"):
        alerting.route("evrything")
