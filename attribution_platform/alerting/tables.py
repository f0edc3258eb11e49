"""Tables of alerting in the platform's own database. One definition for SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

METADATA = sa.MetaData()


class UtcTime(sa.TypeDecorator[datetime]):
    """A time with a zone outside, UTC without one inside: SQLite keeps no zones."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# One row that every change of the others takes first, so that two processes never decide at once. An update locks a row on
# PostgreSQL and the file on SQLite; nothing here has to know which.
LOCK = sa.Table(
    "alert_lock",
    METADATA,
    sa.Column("lock_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("taken", sa.BigInteger, nullable=False),
)

STATE = sa.Table(
    "alert_state",
    METADATA,
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("segment", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False, index=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("bad_in_row", sa.Integer, nullable=False),
    sa.Column("good_in_row", sa.Integer, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("fired_at", UtcTime),
    sa.Column("recovering_since", UtcTime),
    sa.Column("resolved_at", UtcTime),
    sa.Column("evaluated_at", UtcTime),
    sa.Column("last_sent_at", UtcTime),
    sa.Column("announced_as", sa.Text),
    sa.Column("reminders", sa.Integer, nullable=False),
    sa.Column("first_bad_on", sa.Date),
    # What was seen when it was last bad: the all-clear has to say what it clears.
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("muted", sa.Text),
)

EVENTS = sa.Table(
    "alert_events",
    METADATA,
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("state_before", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("since", UtcTime),
    sa.Column("first_bad_on", sa.Date),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("muted", sa.Text),
    sa.Column("evaluation_id", sa.Text, nullable=False),
    sa.Column("occurred_at", UtcTime, nullable=False, index=True),
)

EVALUATIONS = sa.Table(
    "alert_evaluations",
    METADATA,
    sa.Column("evaluation_id", sa.Text, primary_key=True),
    sa.Column("evaluated_at", UtcTime, nullable=False, index=True),
    sa.Column("observations", sa.Integer, nullable=False),
    sa.Column("bad", sa.Integer, nullable=False),
    sa.Column("transitions", sa.Integer, nullable=False),
    sa.Column("messages", sa.Integer, nullable=False),
)

OUTBOX = sa.Table(
    "alert_outbox",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("message_key", sa.Text, nullable=False, unique=True),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("message", sa.JSON, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    # waiting, sent or given_up
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("refusals", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", UtcTime, nullable=False),
    # Set while a process sends; one that dies leaves it behind, and then nobody knows whether the message arrived.
    sa.Column("claimed_until", UtcTime),
    sa.Column("may_have_arrived", sa.Boolean, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Column("sent_at", UtcTime),
)

SILENCES = sa.Table(
    "alert_silences",
    METADATA,
    sa.Column("silence_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("starts_at", UtcTime, nullable=False),
    sa.Column("ends_at", UtcTime, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

ACKNOWLEDGEMENTS = sa.Table(
    "alert_acknowledgements",
    METADATA,
    sa.Column("acknowledgement_id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("metric", sa.Text, nullable=False),
    sa.Column("segment", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
