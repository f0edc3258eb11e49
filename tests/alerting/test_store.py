"""What is kept: decisions and messages together, each once, whatever dies in between."""

import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from attribution_platform.alerting.store import AlertStore, Claimed, Outgoing, plain
from attribution_platform.monitoring.alerts import (
    Acknowledgement,
    AlertOptions,
    Health,
    Observation,
    Severity,
    Silence,
)
from attribution_platform.operations import engine_of
from attribution_platform.settings import SettingsError

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = ("click_id_capture", "platform=google_ads")


class Killed(BaseException):
    """Nothing catches it, like a kill."""


def seen(health, severity=Severity.WARNING):
    details = {"observed": np.float64(0.65), "n": np.int64(90)}
    return Observation("click_id_capture", "platform=google_ads", health, severity, "down", date(2026, 2, 27), details)


def compose(result):
    if not result.notifications:
        return []
    message = {"kinds": [str(each.kind) for each in result.notifications]}
    keys = tuple(each.idempotency_key for each in result.notifications)
    return [Outgoing(route, message, keys) for route in ("team", "phone")]


def look(store, number, health=Health.BAD, now=None, **kwargs):
    observations = kwargs.pop("observations", [seen(health)])
    return store.evaluate(
        f"run-{number}",
        observations,
        now or START + number * DAY,
        AlertOptions(),
        (),
        kwargs.pop("compose", compose),
        lambda step, state, details: f"{step.before} to {step.after}, {details.get('observed')}",
        **kwargs,
    )


def deliver_all(store, now, receiver, routes=("team", "phone")):
    """The sender in its simplest form."""
    while (claimed := store.claim(now, routes)) is not None:
        receiver(claimed)
        store.mark_sent(claimed, now)


def test_a_fault_is_kept_told_and_cleared_once(store):
    received: list[Claimed] = []
    for day in range(30):
        look(store, day)
        deliver_all(store, START + day * DAY, received.append, ["team"])
    for day in (30, 31, 32):
        look(store, day, Health.GOOD)
    deliver_all(store, START + 32 * DAY, received.append, ["team"])
    kinds = [kind for claimed in received for kind in claimed.message["kinds"]]
    assert kinds == ["firing", "reminder", "reminder", "reminder", "reminder", "resolved"]
    assert [(row["state_before"], row["state"]) for row in reversed(store.events())] == [
        ("ok", "pending"),
        ("pending", "firing"),
        ("firing", "resolved"),
        ("resolved", "ok"),
    ]
    assert store.events()[-1]["since"] == START
    assert store.events()[-1]["message"] == "ok to pending, 0.65"
    assert store.first_evaluated_at() == START
    assert store.open_alerts() == []


def test_the_same_run_is_evaluated_once_even_later(store):
    assert len(look(store, 0).outgoing) == 2
    again = look(store, 0, Health.GOOD, now=START + 5 * DAY)
    assert again.is_repeat
    assert len(store.outbox()) == 2
    assert [state.status for state in store.states()] == ["firing"]


def test_a_dry_run_decides_and_keeps_nothing(store):
    outcome = look(store, 0, dry_run=True)
    assert len(outcome.outgoing) == 2
    assert (store.states(), store.events(), store.outbox()) == ([], [], [])
    assert store.evaluated(["run-0"]) == set()


@pytest.mark.parametrize("table", ["alert_state", "alert_events", "alert_outbox", "alert_evaluations"])
def test_a_crash_while_deciding_leaves_nothing_and_is_made_good(engine, store, table):
    def die(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith(f"INSERT INTO {table}"):
            raise Killed

    sa.event.listen(engine, "before_cursor_execute", die)
    with pytest.raises(Killed):
        look(store, 0)
    sa.event.remove(engine, "before_cursor_execute", die)
    assert (store.states(), store.events(), store.outbox()) == ([], [], [])
    look(store, 0)
    received: list[Claimed] = []
    deliver_all(store, START, received.append)
    assert [claimed.route for claimed in received] == ["team", "phone"]


def test_a_crash_between_decision_and_send_loses_nothing(engine, store):
    look(store, 0)
    received: list[Claimed] = []
    # Another process, after a restart.
    deliver_all(AlertStore(engine), START + timedelta(minutes=1), received.append)
    assert [claimed.route for claimed in received] == ["team", "phone"]
    assert not any(claimed.may_have_arrived for claimed in received)


def test_a_crash_while_sending_is_repeated_under_the_same_key_and_says_so(engine, store):
    look(store, 0)
    received: list[Claimed] = []

    def arrive_and_die(claimed):
        received.append(claimed)
        raise Killed

    with pytest.raises(Killed):
        deliver_all(store, START, arrive_and_die, ["team"])
    deliver_all(store, START + timedelta(minutes=1), received.append, ["team"])
    assert len(received) == 1, "the claim of a process that may still live is respected"
    deliver_all(store, START + timedelta(minutes=6), received.append, ["team"])
    assert [claimed.may_have_arrived for claimed in received] == [False, True]
    assert len({claimed.key for claimed in received}) == 1
    deliver_all(store, START + timedelta(hours=6), received.append, ["team"])
    assert len(received) == 2


def test_failures_are_tried_again_ever_more_slowly_and_in_order(store):
    look(store, 0)
    look(store, 1, Health.GOOD)
    look(store, 2, Health.GOOD)
    now, waits = START + 2 * DAY, []
    for _ in range(9):
        claimed = store.claim(now, ["team"])
        assert claimed.message["kinds"] == ["firing"], "the all-clear does not overtake"
        assert not store.mark_failed(claimed, now, "answered 503")
        assert store.claim(now, ["team"]) is None
        due = next(row for row in store.outbox("waiting") if row["sequence"] == claimed.sequence)["next_attempt_at"]
        waits.append((due - now).total_seconds() / 60)
        now = due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    received: list[Claimed] = []
    deliver_all(store, now, received.append, ["team"])
    assert [claimed.message["kinds"] for claimed in received] == [["firing"], ["resolved"]]
    assert len(store.outbox("waiting")) == 2, "the other route still has its own"


def test_what_the_receiver_refuses_does_not_hold_up_the_rest(store):
    look(store, 0)
    look(store, 1, Health.GOOD)
    look(store, 2, Health.GOOD)
    now = START + 2 * DAY
    verdicts = []
    for _ in range(3):
        claimed = store.claim(now, ["team"])
        verdicts.append(store.mark_failed(claimed, now, "answered 400", refused=True))
        now += timedelta(hours=1)
    assert verdicts == [False, False, True]
    assert store.claim(now, ["team"]).message["kinds"] == ["resolved"]
    assert [row["last_error"] for row in store.outbox("given_up")] == ["answered 400"]
    assert store.retry_now(now) == 1
    assert store.outbox("given_up") == []


def test_a_receiver_that_is_dead_for_a_week_is_given_up(store):
    look(store, 0)
    claimed = store.claim(START + 8 * DAY, ["team"])
    assert store.mark_failed(claimed, START + 8 * DAY, "could not be reached")


def test_two_processes_never_send_the_same_message(engine, store):
    look(store, 0, compose=lambda result: [Outgoing(f"route-{i}", {}, ("x",)) for i in range(20)])
    routes = [f"route-{i}" for i in range(20)]
    received: list[Claimed] = []
    threads = [
        threading.Thread(target=deliver_all, args=(AlertStore(engine), START, received.append, routes))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed.route for claimed in received) == sorted(routes)


def test_silences_and_acknowledgements_are_kept_and_expire(store):
    silence_id = store.add_silence(Silence(START, START + 3 * DAY, metric="click*", by="ana", reason="deploy"))
    assert not look(store, 0).outgoing
    assert store.open_alerts()[0]["muted"] == "silenced"
    assert store.lift_silence(silence_id, START + DAY / 2)
    assert not store.lift_silence(silence_id, START + DAY)
    assert not store.lift_silence(999, START)
    assert [n.kind for n in look(store, 1).evaluation.notifications] == ["firing"]
    store.acknowledge(Acknowledgement(*KEY, START + 2 * DAY, START + 20 * DAY, "ben"), "on it")
    assert len(store.acknowledgements(START + 3 * DAY)) == 1
    assert not look(store, 15).outgoing
    assert [n.kind for n in look(store, 21).evaluation.notifications] == ["reminder"]


def test_the_all_clear_remembers_what_it_clears(store):
    look(store, 0)
    look(store, 1, Health.GOOD)
    good = [Observation(*KEY, Health.GOOD)]
    cleared = look(store, 2, observations=good).evaluation.notifications
    assert [n.details["observed"] for n in cleared] == [0.65]


def test_what_was_sent_is_forgotten_after_a_quarter_and_what_happened_is_not(store):
    look(store, 0)
    deliver_all(store, START, lambda claimed: None, ["team"])
    look(store, 1, now=START + 100 * DAY, compose=lambda result: [])
    assert [row["route"] for row in store.outbox()] == ["phone"], "what was not sent stays"
    assert len(store.events()) == 2
    assert store.evaluated(["run-0", "run-1"]) == {"run-1"}


def test_details_become_what_json_holds():
    details = {
        "a": np.int64(3),
        "b": np.nan,
        "c": pd.Timestamp("2026-01-02"),
        "d": pd.NaT,
        "e": [date(2026, 1, 2)],
        "f": "x",
    }
    assert plain(details) == {"a": 3, "b": None, "c": "2026-01-02T00:00:00", "d": None, "e": ["2026-01-02"], "f": "x"}


@pytest.mark.parametrize("address", ["nonsense", "mysql://root:hunter2@host/db"])
def test_an_address_of_no_use_is_refused_without_repeating_it(address):
    with pytest.raises(SettingsError) as caught:
        engine_of(address)
    assert "ATTRIBUTION_DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
