"""The alert state machine: one firing, its reminders, one all-clear, whatever the order of events."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attribution_platform.monitoring.alerts import (
    Acknowledgement,
    AlertOptions,
    AlertState,
    Evaluation,
    Health,
    InhibitRule,
    Kind,
    Notification,
    Observation,
    Severity,
    Silence,
    Status,
    evaluate,
    observations_from_signals,
)

START = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = ("click_id_capture", "all")


def seen(health: Health, severity: Severity = Severity.CRITICAL, key: tuple[str, str] = KEY) -> Observation:
    return Observation(*key, health, severity, direction="down", first_bad_on=date(2026, 2, 27))


def play(healths: list[Health], step: timedelta = DAY, **more) -> tuple[list[Notification], Evaluation]:
    """Evaluate once a step; returns every message and the last evaluation."""
    severity = more.pop("severity", Severity.CRITICAL)
    sent: list[Notification] = []
    last = Evaluation({}, [], [], {})
    for i, health in enumerate(healths):
        last = evaluate(last.states, [seen(health, severity)], START + i * step, **more)
        sent += last.notifications
    return sent, last


def kinds(sent: list[Notification]) -> list[str]:
    return [str(each.kind) for each in sent]


@pytest.mark.parametrize(("severity", "reminders"), [(Severity.CRITICAL, 29), (Severity.WARNING, 4)])
def test_thirty_evaluations_of_a_lasting_fault_are_one_firing_its_reminders_and_one_resolved(severity, reminders):
    sent, last = play([Health.BAD] * 30 + [Health.GOOD] * 5, severity=severity)
    assert kinds(sent) == ["firing"] + ["reminder"] * reminders + ["resolved"]
    assert len({each.idempotency_key for each in sent}) == len(sent)
    assert {each.dedup_key for each in sent} == {sent[0].dedup_key}
    assert sent[-1].duration == 30 * DAY
    assert sent[-1].at == START + 31 * DAY
    assert last.states[KEY].status is Status.OK


def test_hourly_evaluations_remind_no_more_often_than_daily_ones():
    sent, _ = play([Health.BAD] * 30, step=timedelta(hours=1))
    assert kinds(sent) == ["firing", "reminder"]


def test_transitions_are_listed_in_order():
    last = evaluate({}, [seen(Health.BAD)], START)
    assert [(t.before, t.after) for t in last.transitions] == [
        (Status.OK, Status.PENDING),
        (Status.PENDING, Status.FIRING),
    ]


def test_pending_that_recovers_says_nothing():
    options = AlertOptions(fire_after=2)
    sent, last = play([Health.BAD, Health.GOOD, Health.BAD, Health.BAD], options=options)
    assert kinds(sent) == ["firing"]
    assert last.states[KEY].episode == 2


def test_one_good_evaluation_is_no_recovery_and_no_reminder():
    sent, last = play([Health.BAD, Health.GOOD, Health.BAD, Health.GOOD, Health.GOOD])
    assert kinds(sent) == ["firing", "reminder", "resolved"]
    assert sent[-1].duration == 3 * DAY
    assert last.states[KEY].status is Status.RESOLVED


def test_a_new_fault_after_the_all_clear_is_a_new_episode():
    sent, _ = play([Health.BAD, Health.GOOD, Health.GOOD, Health.BAD])
    assert kinds(sent) == ["firing", "resolved", "firing"]
    assert sent[0].dedup_key != sent[2].dedup_key
    assert sent[0].dedup_key.split("-")[0] == sent[2].dedup_key.split("-")[0]


def test_what_cannot_be_judged_is_neither_good_nor_bad():
    sent, last = play([Health.BAD, Health.GOOD, Health.UNKNOWN, Health.GOOD])
    assert kinds(sent) == ["firing", "resolved"]
    sent, last = play([Health.UNKNOWN] * 5)
    assert not sent
    assert last.states[KEY].status is Status.OK


def test_repeating_an_evaluation_changes_nothing():
    first = evaluate({}, [seen(Health.BAD)], START)
    again = evaluate(first.states, [seen(Health.BAD)], START)
    assert again.states == first.states
    assert not again.notifications
    assert not again.transitions


def test_a_crash_before_the_states_were_kept_repeats_the_same_keys():
    before = evaluate({}, [seen(Health.BAD)], START).states
    one = evaluate(before, [seen(Health.BAD)], START + DAY)
    other = evaluate(before, [seen(Health.BAD)], START + DAY + timedelta(minutes=5))
    assert [n.idempotency_key for n in one.notifications] == [n.idempotency_key for n in other.notifications]


def test_a_silence_holds_the_firing_back_until_it_ends():
    silence = Silence(START - DAY, START + 3 * DAY, metric=KEY[0], by="ana", reason="deploy")
    sent, last = play([Health.BAD] * 4, silences=[silence])
    assert [n.at for n in sent] == [START + 3 * DAY]
    assert kinds(sent) == ["firing"]
    assert not last.muted


def test_an_alert_silenced_from_first_to_last_is_never_mentioned():
    silence = Silence(START, START + 30 * DAY)
    sent, last = play([Health.BAD] * 3 + [Health.GOOD] * 2, silences=[silence])
    assert not sent
    assert last.states[KEY].status is Status.RESOLVED


def test_what_was_announced_is_cleared_even_under_a_silence():
    silence = Silence(START + DAY, START + 30 * DAY)
    sent, _ = play([Health.BAD] * 3 + [Health.GOOD] * 2, silences=[silence])
    assert kinds(sent) == ["firing", "resolved"]


def test_an_acknowledgement_stops_reminders_until_it_expires_and_for_this_episode_only():
    known = Acknowledgement(*KEY, at=START + timedelta(hours=1), expires_at=START + 3 * DAY, by="ana")
    sent, _ = play([Health.BAD] * 5, acknowledgements=[known])
    assert [(n.kind, (n.at - START).days) for n in sent] == [
        (Kind.FIRING, 0),
        (Kind.REMINDER, 3),
        (Kind.REMINDER, 4),
    ]
    sent, _ = play([Health.BAD, Health.GOOD, Health.GOOD, Health.BAD, Health.BAD], acknowledgements=[known])
    assert kinds(sent) == ["firing", "resolved", "firing", "reminder"]


def test_a_dead_source_mutes_its_children_until_it_is_back():
    rule = InhibitRule("event_volume", direction="down", target_metrics=frozenset({KEY[0]}))
    source = ("event_volume", "ga4")
    both = [seen(Health.BAD, key=source), seen(Health.BAD), seen(Health.BAD, key=("bot_share", "all"))]
    first = evaluate({}, both, START, inhibitions=[rule])
    assert [n.metric for n in first.notifications] == ["bot_share", "event_volume"]
    assert first.muted == {KEY: "inhibited by event_volume, ga4"}
    states, at = first.states, START
    for _ in range(2):
        at += timedelta(hours=1)
        last = evaluate(states, [seen(Health.GOOD, key=source), seen(Health.BAD)], at, inhibitions=[rule])
        states = last.states
    assert [(n.kind, n.metric) for n in last.notifications] == [
        (Kind.FIRING, KEY[0]),
        (Kind.RESOLVED, "event_volume"),
    ]


def test_two_rules_that_name_each_other_leave_one_to_speak():
    rules = [InhibitRule("a"), InhibitRule("b")]
    found = evaluate(
        {}, [seen(Health.BAD, key=("a", "all")), seen(Health.BAD, key=("b", "all"))], START, inhibitions=rules
    )
    assert [n.metric for n in found.notifications] == ["a"]


def test_same_segment_rules_leave_other_segments_alone():
    rule = InhibitRule("event_volume", same_segment=True)
    keys = [("event_volume", "ios"), ("capture", "ios"), ("capture", "web")]
    found = evaluate({}, [seen(Health.BAD, key=key) for key in keys], START, inhibitions=[rule])
    assert set(found.muted) == {("capture", "ios")}


def test_states_survive_a_table():
    state = evaluate({}, [seen(Health.BAD)], START).states[KEY]
    assert AlertState.from_record(state.to_record() | {"other": 1}) == state
    assert AlertState.from_record(AlertState("m", "s").to_record()) == AlertState("m", "s")


def test_bad_calls_are_refused():
    with pytest.raises(ValueError, match="time zone"):
        evaluate({}, [], datetime(2026, 3, 1))
    with pytest.raises(ValueError, match="twice"):
        evaluate({}, [seen(Health.BAD), seen(Health.GOOD)], START)
    with pytest.raises(ValueError, match="at least 1"):
        AlertOptions(fire_after=0)


@settings(max_examples=100, deadline=None)
@given(
    healths=st.lists(st.sampled_from(list(Health)), min_size=1, max_size=60),
    fire_after=st.integers(1, 3),
    resolve_after=st.integers(1, 3),
    severity=st.sampled_from(list(Severity)),
    silence=st.none() | st.tuples(st.integers(0, 30), st.integers(1, 30)),
)
def test_messages_always_tell_one_story(healths, fire_after, resolve_after, severity, silence):
    """Per episode: at most one firing, reminders only while it lasts, at most one all-clear, nothing after it."""
    silences = [] if silence is None else [Silence(START + silence[0] * DAY, START + sum(silence) * DAY)]
    options = AlertOptions(fire_after=fire_after, resolve_after=resolve_after)
    sent, last = play(healths, severity=severity, options=options, silences=silences)
    assert len({each.idempotency_key for each in sent}) == len(sent)
    for episode in {each.dedup_key for each in sent}:
        own = kinds([each for each in sent if each.dedup_key == episode])
        assert own[0] == "firing"
        assert own.count("firing") == 1
        assert own.count("resolved") <= 1
        assert "resolved" not in own[:-1]
        spoken = [each.at for each in sent if each.dedup_key == episode and each.kind is not Kind.RESOLVED]
        assert all(later - earlier >= options.remind_after[severity] for earlier, later in pairwise(spoken))
    state = last.states[KEY]
    if state.announced:
        assert state.status is Status.FIRING


def test_signals_become_observations():
    def row(metric, status, recovered=None):
        day = pd.Timestamp("2026-03-01")
        return {
            "metric": metric,
            "segment": "all",
            "date": day,
            "scheme": "cusum",
            "direction": "down",
            "z": -3.0,
            "first_bad_on": day,
            "status": status,
            "recovered_on": recovered or pd.NaT,
            **dict.fromkeys(("expected", "observed", "size", "size_low", "size_high", "n"), 1.0),
        }

    back = pd.Timestamp("2026-03-05")
    signals = pd.DataFrame(
        [
            row("broken", "alarm", back),
            row("broken", "alarm"),
            row("fine", "ok"),
            row("healed", "alarm", back),
            row("late", "alarm", back),
            row("late", "stale"),
            row("thin", "insufficient volume"),
        ]
    )
    found = {each.metric: each for each in observations_from_signals(signals, {"broken": Severity.CRITICAL})}
    assert {name: each.health for name, each in found.items()} == {
        "broken": Health.BAD,
        "fine": Health.GOOD,
        "healed": Health.GOOD,
        "late": Health.UNKNOWN,
        "thin": Health.UNKNOWN,
    }
    assert found["broken"].severity is Severity.CRITICAL
    assert found["broken"].first_bad_on == date(2026, 3, 1)


def test_a_warning_that_grows_critical_fires_once_more_and_is_cleared_for_whoever_was_told():
    def grown(severity):
        return [Observation(*KEY, Health.BAD, severity)]

    states: dict = {}
    sent: list = []
    for day, severity in enumerate([Severity.WARNING, Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING]):
        result = evaluate(states, grown(severity), START + day * DAY / 2)
        states = result.states
        sent += result.notifications
    assert [(n.kind, n.severity) for n in sent] == [(Kind.FIRING, "warning"), (Kind.FIRING, "critical")]
    for day in (5, 6):
        result = evaluate(states, [Observation(*KEY, Health.GOOD)], START + day * DAY)
        states = result.states
        sent += result.notifications
    assert (sent[-1].kind, sent[-1].severity) == (Kind.RESOLVED, "critical")
    assert len({n.idempotency_key for n in sent}) == len(sent)


def test_only_the_asterisk_is_special_in_a_pattern():
    now = START + DAY
    silence = Silence(START, START + 2 * DAY, metric="check/*", segment="landing_page=/[id]?*")
    assert silence.covers(("check/marts/x", "landing_page=/[id]?a=1"), now)
    assert not silence.covers(("check/marts/x", "landing_page=/i?a=1"), now)
    assert not silence.covers(("run/daily", "landing_page=/[id]?"), now)
