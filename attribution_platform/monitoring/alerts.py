"""When to speak: one state machine per (metric, segment), so that a lasting fault is one message, its reminders and one all-clear.

    ok ──bad──► pending ──bad × fire_after──► firing ──good × resolve_after──► resolved ──good──► ok
                   └──good──► ok                                                   └──bad──► pending (a new episode)

Pure: states, observations and the time go in; new states, transitions and the messages to send come out. Storing them and
sending is somebody else's work; every message carries a key that is the same however often a crash repeats the evaluation.
An observation that says nothing (too little volume, a stalled source) changes nothing: silence is neither bad nor good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from attribution_platform.monitoring.alert_model import (
    Acknowledgement,
    AlertOptions,
    AlertState,
    Health,
    InhibitRule,
    Key,
    Kind,
    Notification,
    Observation,
    Severity,
    Silence,
    Status,
    Transition,
    fingerprint_of,
)

__all__ = [
    "Acknowledgement",
    "AlertOptions",
    "AlertState",
    "Evaluation",
    "Health",
    "InhibitRule",
    "Kind",
    "Notification",
    "Observation",
    "Severity",
    "Silence",
    "Status",
    "Transition",
    "evaluate",
    "fingerprint_of",
    "observations_from_signals",
]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation leads to.

    Attributes:
        states: All states, those not observed included.
        transitions: In order of (metric, segment).
        notifications: To be sent, the gravest first.
        muted: (metric, segment) of firing alerts to the reason nothing was said.
    """

    states: dict[Key, AlertState]
    transitions: list[Transition]
    notifications: list[Notification]
    muted: dict[Key, str]


def evaluate(
    states: Mapping[Key, AlertState],
    observations: Iterable[Observation],
    now: datetime,
    options: AlertOptions | None = None,
    *,
    silences: Sequence[Silence] = (),
    acknowledgements: Sequence[Acknowledgement] = (),
    inhibitions: Sequence[InhibitRule] = (),
) -> Evaluation:
    """Move every state machine by one evaluation.

    An all-clear is sent for whatever was announced, silenced or not, because a receiver would keep it open for ever; of an
    alert that was muted from first to last nothing is ever said. A mute that ends while the alert still fires lets the firing
    message out. An alert that grows from warning to critical fires once more. Repeating an evaluation at the same or an
    earlier time changes nothing.

    Args:
        states: From the evaluation before, by (metric, segment).
        observations: At most one per (metric, segment); what is missing counts as unknown.
        now: Time of this evaluation, with a zone.
        inhibitions: In order; an alert that is muted by an earlier rule mutes nobody.

    Raises:
        ValueError: `now` has no zone, or an alert is observed twice.
    """
    if now.tzinfo is None:
        raise ValueError("the time of an evaluation needs a time zone")
    options = options or AlertOptions()
    now = now.astimezone(UTC)
    seen: dict[Key, Observation] = {}
    for observation in observations:
        if observation.key in seen:
            raise ValueError(f"{observation.metric}, {observation.segment}: observed twice in one evaluation")
        seen[observation.key] = observation

    after: dict[Key, AlertState] = {}
    transitions: list[Transition] = []
    fresh: list[Key] = []
    for key in sorted({*states, *seen}):
        state = states.get(key, AlertState(*key))
        if state.evaluated_at is not None and state.evaluated_at >= now:
            after[key] = state
            continue
        fresh.append(key)
        after[key] = _move(state, seen.get(key), now, options, transitions)

    muted = _muted(after, now, silences, inhibitions)
    notifications: list[Notification] = []
    for key in fresh:
        state, observed = after[key], seen.get(key)
        is_quiet = key in muted
        is_known = any(each.covers(state, now) for each in acknowledgements)
        kind = _what_to_say(state, now, options, is_quiet, is_known)
        if kind is None:
            continue
        notifications.append(_notification(kind, state, observed, now))
        after[key] = replace(
            state,
            announced_as=None if kind is Kind.RESOLVED else _gravest(state),
            last_sent_at=now,
            reminders=state.reminders + (kind is Kind.REMINDER),
        )
    order = {Kind.FIRING: 0, Kind.REMINDER: 1, Kind.RESOLVED: 2}
    notifications.sort(key=lambda n: (n.severity is not Severity.CRITICAL, order[n.kind], n.metric, n.segment))
    return Evaluation(after, transitions, notifications, muted)


def _move(
    state: AlertState,
    observed: Observation | None,
    now: datetime,
    options: AlertOptions,
    transitions: list[Transition],
) -> AlertState:
    def go(state: AlertState, status: Status) -> AlertState:
        transitions.append(Transition(state.metric, state.segment, state.episode, state.status, status, now))
        return replace(state, status=status)

    state = replace(state, evaluated_at=now)
    if observed is None or observed.health is Health.UNKNOWN:
        return state
    if observed.health is Health.BAD:
        if state.status in (Status.OK, Status.RESOLVED):
            state = AlertState(
                state.metric,
                state.segment,
                status=state.status,
                episode=state.episode + 1,
                started_at=now,
                evaluated_at=now,
            )
            state = go(state, Status.PENDING)
        state = replace(
            state,
            severity=observed.severity,
            direction=observed.direction,
            first_bad_on=observed.first_bad_on or state.first_bad_on,
            bad_in_row=state.bad_in_row + 1,
            good_in_row=0,
            recovering_since=None,
        )
        if state.status is Status.PENDING and state.bad_in_row >= options.fire_after:
            state = replace(go(state, Status.FIRING), fired_at=now)
        return state

    state = replace(
        state, good_in_row=state.good_in_row + 1, bad_in_row=0, recovering_since=state.recovering_since or now
    )
    if state.status is Status.FIRING and state.good_in_row >= options.resolve_after:
        return replace(go(state, Status.RESOLVED), resolved_at=now)
    if state.status in (Status.PENDING, Status.RESOLVED):
        return go(state, Status.OK)
    return state


def _muted(
    states: Mapping[Key, AlertState],
    now: datetime,
    silences: Sequence[Silence],
    inhibitions: Sequence[InhibitRule],
) -> dict[Key, str]:
    firing = [key for key, state in states.items() if state.status is Status.FIRING]
    inhibited: dict[Key, str] = {}
    for rule in inhibitions:
        for cause in [states[key] for key in firing if key not in inhibited and rule.is_cause(states[key])]:
            for key in firing:
                if key not in inhibited and rule.mutes(cause, key):
                    inhibited[key] = f"inhibited by {cause.metric}, {cause.segment}"
    silenced = {key: "silenced" for key in firing for each in silences if each.covers(key, now)}
    return silenced | inhibited


def _what_to_say(
    state: AlertState, now: datetime, options: AlertOptions, is_muted: bool, is_acknowledged: bool
) -> Kind | None:
    if state.status is Status.RESOLVED and state.announced:
        return Kind.RESOLVED
    if state.status is not Status.FIRING or is_muted:
        return None
    if not state.announced or _gravest(state) is not state.announced_as:
        return Kind.FIRING
    assert state.last_sent_at is not None
    is_due = now - state.last_sent_at >= options.remind_after[state.severity]
    # Between a first good evaluation and the all-clear nobody needs to be told that it is still bad.
    return Kind.REMINDER if is_due and not is_acknowledged and state.good_in_row == 0 else None


def _gravest(state: AlertState) -> Severity:
    return Severity.CRITICAL if Severity.CRITICAL in (state.severity, state.announced_as) else Severity.WARNING


def _notification(kind: Kind, state: AlertState, observed: Observation | None, now: datetime) -> Notification:
    assert state.started_at is not None
    ended = state.recovering_since if kind is Kind.RESOLVED and state.recovering_since else now
    number = f"-{state.reminders + 1}" if kind is Kind.REMINDER else ""
    if kind is Kind.FIRING and state.announced:
        number = f"-{state.severity}"
    return Notification(
        kind=kind,
        metric=state.metric,
        segment=state.segment,
        # Whoever was told of it must hear that it is over, though it grew milder meanwhile.
        severity=_gravest(state) if kind is Kind.RESOLVED else state.severity,
        direction=state.direction,
        dedup_key=state.dedup_key,
        idempotency_key=f"{state.dedup_key}-{kind}{number}",
        at=now,
        started_at=state.started_at,
        duration=ended - state.started_at,
        first_bad_on=state.first_bad_on,
        details={} if observed is None else observed.details,
    )


def observations_from_signals(
    signals: pd.DataFrame, severities: Mapping[str, Severity] | None = None
) -> list[Observation]:
    """Read `detect`'s table: an open alarm is bad, `ok` or recovered is good, what cannot be judged is unknown.

    Args:
        signals: All rows of one detection.
        severities: Metric to severity; others are warnings.
    """
    found = []
    for (metric, segment), rows in signals.groupby(["metric", "segment"], sort=True):
        alarms = rows[rows["status"] == "alarm"]
        is_open = alarms["recovered_on"].isna()
        severity = (severities or {}).get(str(metric), Severity.WARNING)
        if is_open.any():
            row = alarms[is_open].iloc[-1]
            found.append(
                Observation(
                    str(metric),
                    str(segment),
                    Health.BAD,
                    severity,
                    direction=str(row["direction"]),
                    first_bad_on=pd.Timestamp(row["first_bad_on"]).date(),
                    details={
                        name: row[name]
                        for name in (
                            "expected",
                            "observed",
                            "size",
                            "size_low",
                            "size_high",
                            "n",
                            "z",
                            "scheme",
                        )
                    },
                )
            )
            continue
        judged = rows[rows["status"] != "signal"]
        is_good = bool(len(judged)) and bool(judged["status"].isin(["ok", "alarm"]).all())
        found.append(Observation(str(metric), str(segment), Health.GOOD if is_good else Health.UNKNOWN, severity))
    return found
