"""What alerting remembers. A decision and the messages it leads to are one transaction: after a crash either both are there or
neither is, and an evaluation that is repeated finds itself done."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from attribution_platform.alerting.tables import (
    ACKNOWLEDGEMENTS,
    EVALUATIONS,
    EVENTS,
    LOCK,
    METADATA,
    OUTBOX,
    SILENCES,
    STATE,
)
from attribution_platform.monitoring.alert_model import Key
from attribution_platform.monitoring.alerts import (
    Acknowledgement,
    AlertOptions,
    AlertState,
    Evaluation,
    InhibitRule,
    Observation,
    Silence,
    Transition,
    evaluate,
)

# A message of a route waits for those before it, so the first failing one must not hold up the rest for ever.
FIRST_RETRY = timedelta(minutes=1)
SLOWEST_RETRY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=7)
REFUSALS_ALLOWED = 3
# Longer than any receiver is waited for; what is still claimed after that was claimed by a process that died.
CLAIM = timedelta(minutes=5)
# Of what was evaluated and sent; states and events are kept for good.
KEEP = timedelta(days=90)


@dataclass(frozen=True)
class Outgoing:
    """One message to one route. `key` is made from the keys of the notifications in it, so a repeat has the same."""

    route: str
    message: Mapping[str, Any]
    idempotency_keys: tuple[str, ...]

    @property
    def key(self) -> str:
        """Equal for the same notifications to the same route."""
        return hashlib.sha256("\x1f".join([self.route, *sorted(self.idempotency_keys)]).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Claimed:
    """A message this process alone may send now. `may_have_arrived`: an earlier attempt ended without anyone knowing how."""

    sequence: int
    key: str
    route: str
    message: Mapping[str, Any]
    attempts: int
    may_have_arrived: bool


@dataclass(frozen=True)
class Outcome:
    """What an evaluation led to; `is_repeat` when it had been done before and nothing was done now."""

    evaluation: Evaluation
    outgoing: tuple[Outgoing, ...]
    is_repeat: bool = False


Compose = Callable[[Evaluation], Sequence[Outgoing]]
Describe = Callable[[Transition, AlertState, Mapping[str, Any]], str]


class AlertStore:
    """Alerts in the platform's database. Every method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        """Tables are made if they are not there."""
        self._engine = engine
        try:
            METADATA.create_all(engine)
        except (sa.exc.IntegrityError, sa.exc.OperationalError, sa.exc.ProgrammingError):
            # Another process made them between our look and our attempt.
            METADATA.create_all(engine)

    @contextmanager
    def _alone(self) -> Iterator[sa.Connection]:
        with self._engine.begin() as connection:
            taken = sa.update(LOCK).values(taken=LOCK.c.taken + 1)
            if connection.execute(taken).rowcount == 0:
                try:
                    with connection.begin_nested():
                        connection.execute(sa.insert(LOCK).values(lock_id=1, taken=0))
                except sa.exc.IntegrityError:
                    connection.execute(taken)
            yield connection

    # ---- deciding ----------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        evaluation_id: str,
        observations: Iterable[Observation],
        now: datetime,
        options: AlertOptions,
        inhibitions: Sequence[InhibitRule],
        compose: Compose,
        describe: Describe,
        *,
        dry_run: bool = False,
    ) -> Outcome:
        """Move the state machines, note what happened and put the messages into the outbox, together or not at all.

        Args:
            evaluation_id: Of what was looked at, such as a run; the second time nothing happens.
            now: Time with a zone.
            compose: Makes the messages of an evaluation, route by route. Runs inside the transaction: no network.
            describe: One line on a transition for the history.
            dry_run: Decide, but keep nothing.
        """
        observations = [replace(each, details=plain(each.details)) for each in observations]
        with self._alone() as connection:
            known = sa.select(EVALUATIONS.c.evaluation_id).where(EVALUATIONS.c.evaluation_id == evaluation_id)
            if connection.execute(known).first() is not None:
                return Outcome(Evaluation({}, [], [], {}), (), is_repeat=True)
            before, details = self._load(connection)
            result = evaluate(
                before,
                observations,
                now,
                options,
                silences=self._active_silences(connection, now),
                acknowledgements=self._active_acknowledgements(connection, now),
                inhibitions=inhibitions,
            )
            details |= {each.key: each.details for each in observations if each.details}
            result = replace(
                result,
                notifications=[
                    replace(each, details=details.get((each.metric, each.segment), {})) for each in result.notifications
                ],
            )
            outgoing = tuple(compose(result))
            if dry_run:
                connection.rollback()
                return Outcome(result, outgoing)
            self._keep(connection, before, details, result)
            for step in result.transitions:
                state = result.states[(step.metric, step.segment)]
                text = describe(step, state, details.get(state.key, {}))
                connection.execute(sa.insert(EVENTS).values(_event(step, state, text, result, evaluation_id)))
            for each in outgoing:
                connection.execute(sa.insert(OUTBOX).values(_waiting(each, now)))
            connection.execute(
                sa.insert(EVALUATIONS).values(
                    evaluation_id=evaluation_id,
                    evaluated_at=now,
                    observations=len(observations),
                    bad=sum(each.health == "bad" for each in observations),
                    transitions=len(result.transitions),
                    messages=len(outgoing),
                )
            )
            connection.execute(sa.delete(EVALUATIONS).where(EVALUATIONS.c.evaluated_at < now - KEEP))
            connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.status == "sent", OUTBOX.c.sent_at < now - KEEP))
        return Outcome(result, outgoing)

    @staticmethod
    def _load(connection: sa.Connection) -> tuple[dict[Key, AlertState], dict[Key, Mapping[str, Any]]]:
        states: dict[Key, AlertState] = {}
        details: dict[Key, Mapping[str, Any]] = {}
        for row in connection.execute(sa.select(STATE)).mappings():
            state = _state(dict(row))
            states[state.key], details[state.key] = state, row["details"]
        return states, details

    @staticmethod
    def _keep(
        connection: sa.Connection,
        before: Mapping[Key, AlertState],
        details: Mapping[Key, Mapping[str, Any]],
        result: Evaluation,
    ) -> None:
        for key, state in result.states.items():
            values = {
                **asdict(state),
                "fingerprint": state.fingerprint,
                "details": details.get(key, {}),
                "muted": result.muted.get(key),
            }
            if key in before:
                own = (STATE.c.metric == state.metric) & (STATE.c.segment == state.segment)
                connection.execute(sa.update(STATE).where(own).values(values))
            else:
                connection.execute(sa.insert(STATE).values(values))

    # ---- sending -----------------------------------------------------------------------------------------------------

    def claim(self, now: datetime, routes: Iterable[str]) -> Claimed | None:
        """The next message that is due, for this process alone; the oldest of its route, so that no all-clear overtakes what
        it clears.

        Args:
            routes: Only messages to these.
        """
        with self._alone() as connection:
            head = (
                sa.select(sa.func.min(OUTBOX.c.sequence)).where(OUTBOX.c.status == "waiting").group_by(OUTBOX.c.route)
            )
            due = (
                sa.select(OUTBOX)
                .where(
                    OUTBOX.c.sequence.in_(head),
                    OUTBOX.c.route.in_(list(routes)),
                    OUTBOX.c.next_attempt_at <= now,
                    OUTBOX.c.claimed_until.is_(None) | (OUTBOX.c.claimed_until <= now),
                )
                .order_by(OUTBOX.c.sequence)
                .limit(1)
            )
            row = connection.execute(due).mappings().first()
            if row is None:
                return None
            doubtful = row["may_have_arrived"] or row["claimed_until"] is not None
            self._set(
                connection,
                row["sequence"],
                claimed_until=now + CLAIM,
                attempts=row["attempts"] + 1,
                may_have_arrived=doubtful,
            )
        return Claimed(
            row["sequence"], row["message_key"], row["route"], row["message"], row["attempts"] + 1, bool(doubtful)
        )

    def mark_sent(self, claimed: Claimed, now: datetime) -> None:
        """The receiver has it."""
        with self._alone() as connection:
            self._set(connection, claimed.sequence, status="sent", sent_at=now, claimed_until=None, last_error=None)

    def mark_failed(
        self, claimed: Claimed, now: datetime, error: str, *, refused: bool = False, may_have_arrived: bool = False
    ) -> bool:
        """Try again later: after one minute, then two, four, at most an hour apart, for a week.

        Args:
            error: Without any address or secret.
            refused: The receiver looked at the message and did not want it; the third time is the last.
            may_have_arrived: The receiver fell silent after the message had been sent.

        Returns:
            Whether it was given up.
        """
        with self._alone() as connection:
            own = sa.select(OUTBOX.c.created_at, OUTBOX.c.refusals).where(OUTBOX.c.sequence == claimed.sequence)
            row = connection.execute(own).mappings().one()
            refusals = row["refusals"] + refused
            gives_up = refusals >= REFUSALS_ALLOWED or now - row["created_at"] >= GIVE_UP_AFTER
            wait = min(FIRST_RETRY * 2 ** min(claimed.attempts - 1, 10), SLOWEST_RETRY)
            self._set(
                connection,
                claimed.sequence,
                status="given_up" if gives_up else "waiting",
                next_attempt_at=now + wait,
                claimed_until=None,
                refusals=refusals,
                may_have_arrived=claimed.may_have_arrived or may_have_arrived,
                last_error=error,
            )
        return gives_up

    def retry_now(self, now: datetime) -> int:
        """Make every message that was given up, or waits for its next attempt, due now; how many."""
        with self._alone() as connection:
            changed = sa.update(OUTBOX).where(
                (OUTBOX.c.status == "given_up")
                | ((OUTBOX.c.status == "waiting") & (OUTBOX.c.next_attempt_at > now) & OUTBOX.c.claimed_until.is_(None))
            )
            return connection.execute(
                changed.values(status="waiting", next_attempt_at=now, refusals=0, created_at=now)
            ).rowcount

    @staticmethod
    def _set(connection: sa.Connection, sequence: int, **values: Any) -> None:
        connection.execute(sa.update(OUTBOX).where(OUTBOX.c.sequence == sequence).values(values))

    # ---- people ------------------------------------------------------------------------------------------------------

    def add_silence(self, silence: Silence) -> int:
        """Returns its id, by which it is lifted."""
        return self._add(SILENCES, asdict(silence))

    def lift_silence(self, silence_id: int, now: datetime) -> bool:
        """End a silence now; false if there is none of that id that still holds."""
        held = (SILENCES.c.silence_id == silence_id) & (SILENCES.c.ends_at > now)
        with self._alone() as connection:
            return connection.execute(sa.update(SILENCES).where(held).values(ends_at=now)).rowcount == 1

    def acknowledge(self, acknowledgement: Acknowledgement, reason: str = "") -> int:
        """Returns its id."""
        return self._add(ACKNOWLEDGEMENTS, {**asdict(acknowledgement), "reason": reason})

    def _add(self, table: sa.Table, values: Mapping[str, Any]) -> int:
        with self._alone() as connection:
            key = connection.execute(sa.insert(table).values(values)).inserted_primary_key
            assert key is not None
            return int(key[0])

    @staticmethod
    def _active_silences(connection: sa.Connection, now: datetime) -> list[Silence]:
        rows = connection.execute(sa.select(SILENCES).where(SILENCES.c.ends_at > now)).mappings()
        return [Silence(**{name: row[name] for name in Silence.__dataclass_fields__}) for row in rows]

    @staticmethod
    def _active_acknowledgements(connection: sa.Connection, now: datetime) -> list[Acknowledgement]:
        rows = connection.execute(sa.select(ACKNOWLEDGEMENTS).where(ACKNOWLEDGEMENTS.c.expires_at > now)).mappings()
        return [Acknowledgement(**{name: row[name] for name in Acknowledgement.__dataclass_fields__}) for row in rows]

    # ---- reading -----------------------------------------------------------------------------------------------------

    def states(self) -> list[AlertState]:
        """Every alert there ever was, by metric and segment."""
        return [_state(row) for row in self.rows(STATE, STATE.c.metric, STATE.c.segment)]

    def open_alerts(self) -> list[dict[str, Any]]:
        """Rows of `alert_state` that are pending or firing."""
        return [
            row for row in self.rows(STATE, STATE.c.metric, STATE.c.segment) if row["status"] in ("pending", "firing")
        ]

    def find(self, fingerprint: str) -> AlertState | None:
        """The alert of a fingerprint."""
        return next((state for state in self.states() if state.fingerprint == fingerprint), None)

    def events(self, limit: int | None = 100) -> list[dict[str, Any]]:
        """The newest rows of `alert_events`, newest first; all of them without a limit."""
        return self.rows(EVENTS, EVENTS.c.occurred_at.desc(), EVENTS.c.event_id, limit=limit)

    def outbox(self, status: str | None = None) -> list[dict[str, Any]]:
        """Rows of the outbox in the order they were written."""
        found = self.rows(OUTBOX, OUTBOX.c.sequence)
        return [row for row in found if status in (None, row["status"])]

    def silences(self, now: datetime) -> list[dict[str, Any]]:
        """Silences that hold or will."""
        return [row for row in self.rows(SILENCES, SILENCES.c.silence_id) if row["ends_at"] > now]

    def acknowledgements(self, now: datetime) -> list[dict[str, Any]]:
        """Acknowledgements that have not expired."""
        found = self.rows(ACKNOWLEDGEMENTS, ACKNOWLEDGEMENTS.c.acknowledgement_id)
        return [row for row in found if row["expires_at"] > now]

    def evaluated(self, evaluation_ids: Sequence[str]) -> set[str]:
        """Those of the given evaluations that were done."""
        own = sa.select(EVALUATIONS.c.evaluation_id).where(EVALUATIONS.c.evaluation_id.in_(evaluation_ids))
        with self._engine.connect() as connection:
            return set(connection.execute(own).scalars())

    def first_evaluated_at(self) -> datetime | None:
        """When alerting began to watch, as far as it remembers."""
        with self._engine.connect() as connection:
            found: datetime | None = connection.execute(sa.select(sa.func.min(EVALUATIONS.c.evaluated_at))).scalar()
            return found

    def rows(self, table: sa.Table, *order: Any, limit: int | None = None) -> list[dict[str, Any]]:
        """Rows of a table as dicts."""
        with self._engine.connect() as connection:
            query = sa.select(table).order_by(*order).limit(limit)
            return [dict(row) for row in connection.execute(query).mappings()]


def plain(details: Mapping[str, Any]) -> dict[str, Any]:
    """Details as JSON can hold them: numpy's numbers as numbers, dates as text, what is missing as nothing."""

    def convert(value: Any) -> Any:
        if isinstance(value, date):
            return None if str(value) == "NaT" else value.isoformat()
        if hasattr(value, "item"):
            return value.item()
        return str(value)

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(name): clean(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [clean(each) for each in value]
        return None if isinstance(value, float) and value != value else value

    cleaned: dict[str, Any] = clean(json.loads(json.dumps(dict(details), default=convert)))
    return cleaned


def _state(row: Mapping[str, Any]) -> AlertState:
    return AlertState.from_record({name: row[name] for name in AlertState.__dataclass_fields__})


def _event(step: Transition, state: AlertState, text: str, result: Evaluation, evaluation_id: str) -> dict[str, Any]:
    return {
        # An episode passes through a status once, so this is unique, and equal should the evaluation be repeated.
        "event_id": f"{state.fingerprint}-{step.episode}-{step.after}",
        "fingerprint": state.fingerprint,
        "metric": step.metric,
        "segment": step.segment,
        "episode": step.episode,
        "state_before": step.before,
        "state": step.after,
        "since": state.started_at,
        "first_bad_on": state.first_bad_on,
        "severity": state.severity,
        "direction": state.direction,
        "message": text,
        "muted": result.muted.get(state.key),
        "evaluation_id": evaluation_id,
        "occurred_at": step.at,
    }


def _waiting(outgoing: Outgoing, now: datetime) -> dict[str, Any]:
    return {
        "message_key": outgoing.key,
        "route": outgoing.route,
        "message": dict(outgoing.message),
        "created_at": now.astimezone(UTC),
        "status": "waiting",
        "attempts": 0,
        "refusals": 0,
        "next_attempt_at": now,
        "may_have_arrived": False,
    }
