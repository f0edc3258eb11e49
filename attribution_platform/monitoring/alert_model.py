"""The words of alerting: what is seen, what is kept, what is said, and what keeps it from being said. Values only."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

ANY = "*"
Key = tuple[str, str]


class Status(StrEnum):
    """Where an alert stands."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Health(StrEnum):
    """What one evaluation saw."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How soon somebody should look."""

    WARNING = "warning"
    CRITICAL = "critical"


class Kind(StrEnum):
    """Of a message."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class AlertOptions:
    """Attributes:
    fire_after: Bad evaluations before firing; 1, because the detection has weighed several days already.
    resolve_after: Good evaluations in a row before the all-clear.
    remind_after: Severity to the time between reminders.
    """

    fire_after: int = 1
    resolve_after: int = 2
    remind_after: Mapping[Severity, timedelta] = field(
        default_factory=lambda: {Severity.CRITICAL: timedelta(hours=24), Severity.WARNING: timedelta(days=7)}
    )

    def __post_init__(self) -> None:
        if self.fire_after < 1 or self.resolve_after < 1:
            raise ValueError("fire_after and resolve_after must be at least 1")
        missing = set(Severity) - set(self.remind_after)
        if missing or min(self.remind_after.values()) <= timedelta(0):
            raise ValueError("remind_after needs a positive time for every severity")


@dataclass(frozen=True)
class Observation:
    """One metric and segment at one evaluation.

    Attributes:
        direction: "down", "up" or "".
        first_bad_on: Of the fault, where known.
        details: Whatever a message should show (expected, observed, n, likely segment, link).
    """

    metric: str
    segment: str
    health: Health
    severity: Severity = Severity.WARNING
    direction: str = ""
    first_bad_on: date | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """(metric, segment)."""
        return (self.metric, self.segment)


@dataclass(frozen=True)
class AlertState:
    """All that is kept between evaluations; times are UTC.

    Attributes:
        episode: Counts the times this alert left ok.
        bad_in_row, good_in_row: Evaluations; unknown ones do not count.
        started_at: First bad evaluation of the episode.
        recovering_since: First good evaluation in a row.
        announced_as: The gravest severity a firing message was handed over with; none while muted.
        last_sent_at: Of the last firing message or reminder.
        reminders: Sent in this episode.
    """

    metric: str
    segment: str
    status: Status = Status.OK
    severity: Severity = Severity.WARNING
    direction: str = ""
    episode: int = 0
    bad_in_row: int = 0
    good_in_row: int = 0
    started_at: datetime | None = None
    fired_at: datetime | None = None
    recovering_since: datetime | None = None
    resolved_at: datetime | None = None
    evaluated_at: datetime | None = None
    last_sent_at: datetime | None = None
    announced_as: Severity | None = None
    reminders: int = 0
    first_bad_on: date | None = None

    @property
    def key(self) -> Key:
        """(metric, segment)."""
        return (self.metric, self.segment)

    @property
    def announced(self) -> bool:
        """Whether anybody was told of this episode."""
        return self.announced_as is not None

    @property
    def fingerprint(self) -> str:
        """The same for every episode of this alert."""
        return fingerprint_of(self.metric, self.segment)

    @property
    def dedup_key(self) -> str:
        """The same for every message of one episode: what a receiver folds by."""
        return f"{self.fingerprint}-{self.episode}"

    def to_record(self) -> dict[str, str | int | bool | None]:
        """Flat values for one row of a table; times as ISO 8601 text."""
        return {
            name: value.isoformat() if isinstance(value, datetime | date) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "AlertState":
        """The reverse of `to_record`; times may also come as times. Unknown keys are left out."""
        values = {name: record[name] for name in cls.__dataclass_fields__ if name in record}
        for name, value in values.items():
            if not isinstance(value, str):
                continue
            if name.endswith("_on"):
                values[name] = date.fromisoformat(value)
            elif name.endswith("_at") or name == "recovering_since":
                values[name] = datetime.fromisoformat(value)
        values["status"] = Status(values.get("status", Status.OK))
        values["severity"] = Severity(values.get("severity", Severity.WARNING))
        told = values.get("announced_as")
        values["announced_as"] = None if told is None else Severity(told)
        return cls(**values)


@dataclass(frozen=True)
class Transition:
    """One step of one state machine."""

    metric: str
    segment: str
    episode: int
    before: Status
    after: Status
    at: datetime


@dataclass(frozen=True)
class Notification:
    """One message to send.

    Attributes:
        idempotency_key: Equal when the same evaluation is repeated after a crash.
        dedup_key: Equal for all messages of one episode.
        duration: Of the fault so far; at the all-clear, from the first bad to the first good evaluation.
    """

    kind: Kind
    metric: str
    segment: str
    severity: Severity
    direction: str
    dedup_key: str
    idempotency_key: str
    at: datetime
    started_at: datetime
    duration: timedelta
    first_bad_on: date | None
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Silence:
    """Nothing new is said about matching alerts between two times; `*` stands for any text, in metric and in segment."""

    starts_at: datetime
    ends_at: datetime
    metric: str = ANY
    segment: str = ANY
    by: str = ""
    reason: str = ""

    def covers(self, key: Key, now: datetime) -> bool:
        """Whether it holds for an alert now."""
        return self.starts_at <= now < self.ends_at and _matches((self.metric, self.segment), key)


@dataclass(frozen=True)
class Acknowledgement:
    """Somebody is on it: no reminders of this episode until it expires."""

    metric: str
    segment: str
    at: datetime
    expires_at: datetime
    by: str = ""

    def covers(self, state: AlertState, now: datetime) -> bool:
        """Whether it holds for an alert now; one given to an earlier episode does not."""
        own = _matches((self.metric, self.segment), state.key)
        return own and self.at <= now < self.expires_at and (state.started_at is None or state.started_at <= self.at)


@dataclass(frozen=True)
class InhibitRule:
    """While the source alert fires, its children say nothing: one dead source is one message.

    Attributes:
        source_metric, source_segment: The cause; `*` for any segment.
        direction: Only a cause that went this way ("down": a volume drop, not a surge); "" for any.
        target_metrics: Names of the children, `*` within them for any text; empty for every other metric.
        target_segment: Of the children.
        same_segment: Children only of the very segment that fires.
        same_metric: Children only of the very metric that fires: a total that fell mutes its parts.
    """

    source_metric: str
    source_segment: str = ANY
    direction: str = ""
    target_metrics: frozenset[str] = frozenset()
    target_segment: str = ANY
    same_segment: bool = False
    same_metric: bool = False

    def is_cause(self, state: AlertState) -> bool:
        """Whether this alert fires and is the rule's source."""
        return (
            state.status is Status.FIRING
            and _matches((self.source_metric, self.source_segment), state.key)
            and self.direction in ("", state.direction)
        )

    def mutes(self, cause: AlertState, child: Key) -> bool:
        """Whether a child falls silent because of a cause."""
        metric, segment = child
        if _matches((self.source_metric, self.source_segment), child) or (self.same_metric and metric != cause.metric):
            return False
        if self.target_metrics and not any(_fits(pattern, metric) for pattern in self.target_metrics):
            return False
        return _fits(self.target_segment, segment) and (not self.same_segment or cause.segment == segment)


def fingerprint_of(metric: str, segment: str) -> str:
    """Sixteen hex digits that name an alert."""
    return hashlib.sha256(f"{metric}\x1f{segment}".encode()).hexdigest()[:16]


def _fits(pattern: str, text: str) -> bool:
    # Only `*` is special: segments are page paths and may hold any other sign.
    return re.fullmatch(".*".join(map(re.escape, pattern.split(ANY))), text, re.DOTALL) is not None


def _matches(pattern: Key, key: Key) -> bool:
    return all(_fits(wanted, actual) for wanted, actual in zip(pattern, key, strict=True))
