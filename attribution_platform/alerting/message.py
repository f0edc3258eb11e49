"""A message: what it says, as plain values that the outbox keeps. How it looks is each route's own affair (`render`)."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from attribution_platform.alerting.wording import (
    CHECK_PREFIX,
    RUN_PREFIX,
    SCHEDULE_PREFIX,
    SOURCE_FRESHNESS,
    SOURCE_LOAD,
    words_of,
)
from attribution_platform.monitoring.alerts import Kind, Notification, Severity
from attribution_platform.monitoring.silence import FRESHNESS


@dataclass(frozen=True)
class Item:
    """One alert in a message. `facts` and `links` are pairs of name and text or address."""

    kind: str
    severity: str
    metric: str
    segment: str
    title: str
    first_bad_on: str | None
    started_at: str
    duration: str
    facts: tuple[tuple[str, str], ...]
    advice: str
    links: tuple[tuple[str, str], ...]
    dedup_key: str
    idempotency_key: str


@dataclass(frozen=True)
class Message:
    """What one route is told at once. `at` is ISO 8601, UTC; `links` are for the whole message."""

    title: str
    kind: str
    severity: str
    at: str
    items: tuple[Item, ...]
    links: tuple[tuple[str, str], ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Values that JSON holds."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Message":
        """The reverse of `to_record`, after JSON has made lists of its tuples."""

        def pairs(value: Iterable[Any]) -> tuple[tuple[str, str], ...]:
            return tuple((str(name), str(text)) for name, text in value)

        items = tuple(
            Item(**{**each, "facts": pairs(each["facts"]), "links": pairs(each["links"])}) for each in record["items"]
        )
        return cls(**{**record, "items": items, "links": pairs(record["links"])})


@dataclass(frozen=True)
class Links:
    """Where to read more. `run_id` of what was evaluated, if it was a run."""

    dagster_url: str
    data_docs_url: str | None = None
    run_id: str | None = None

    def of_message(self) -> tuple[tuple[str, str], ...]:
        """Links for all items together."""
        found = []
        if self.run_id:
            found.append((f"Run {self.run_id[:8]}", f"{self.dagster_url}/runs/{self.run_id}"))
        if self.data_docs_url:
            found.append(("Data Docs", self.data_docs_url))
        return tuple(found)

    def of_item(self, metric: str) -> tuple[tuple[str, str], ...]:
        """Links for one alert: its asset, check, job or schedule in Dagster."""
        if metric.startswith(CHECK_PREFIX):
            *asset, check = metric.removeprefix(CHECK_PREFIX).split("/")
            address = f"{self.dagster_url}/assets/{'/'.join(asset)}?view=checks&checkDetail={check}"
            return (("Open check", address),)
        if metric.startswith((RUN_PREFIX, SCHEDULE_PREFIX)) or metric in (SOURCE_LOAD, SOURCE_FRESHNESS):
            return (("Open runs", f"{self.dagster_url}/runs"),)
        return (("Open signals", f"{self.dagster_url}/assets/monitoring/drift_signals"),)


def build_message(notifications: Iterable[Notification], at: datetime, links: Links) -> Message:
    """One message of all notifications, in their order: the gravest first."""
    items = tuple(build_item(each, links) for each in notifications)
    kinds = [item.kind for item in items]
    kind = next(each for each in (Kind.FIRING, Kind.REMINDER, Kind.RESOLVED) if each in kinds)
    is_grave = any(item.severity == Severity.CRITICAL and item.kind != Kind.RESOLVED for item in items)
    return Message(
        title=items[0].title if len(items) == 1 else _summary(kinds, items),
        kind=str(kind),
        severity=str(Severity.CRITICAL if is_grave else Severity.WARNING),
        at=at.isoformat(),
        items=items,
        links=links.of_message(),
    )


def _summary(kinds: list[str], items: tuple[Item, ...]) -> str:
    named = {Kind.FIRING: "new", Kind.REMINDER: "still open", Kind.RESOLVED: "resolved"}
    counts = [f"{kinds.count(kind)} {name}" for kind, name in named.items() if kind in kinds]
    return f"{len(items)} alerts: {', '.join(counts)}"


def build_item(notification: Notification, links: Links) -> Item:
    """One alert in words."""
    words = words_of(notification.metric)
    headline = headline_of(notification.metric, notification.segment, notification.direction, notification.details)
    lasted = duration_text(notification.duration)
    title = {
        Kind.FIRING: headline,
        Kind.REMINDER: f"Still open: {headline}",
        Kind.RESOLVED: f"Resolved after {lasted}: {headline}",
    }[notification.kind]
    return Item(
        kind=str(notification.kind),
        severity=str(notification.severity),
        metric=notification.metric,
        segment=notification.segment,
        title=title,
        first_bad_on=None if notification.first_bad_on is None else notification.first_bad_on.isoformat(),
        started_at=notification.started_at.isoformat(),
        duration=lasted,
        facts=tuple(_facts(notification, words.is_count)),
        advice="" if notification.kind is Kind.RESOLVED else str(notification.details.get("advice") or words.advice),
        links=links.of_item(notification.metric),
        dedup_key=notification.dedup_key,
        idempotency_key=notification.idempotency_key,
    )


def headline_of(metric: str, segment: str, direction: str, details: Mapping[str, Any]) -> str:
    """What is wrong, in one line without a full stop."""
    words = words_of(metric)
    where = "" if segment in ("all", "") else f" · {segment}"
    if metric.startswith(CHECK_PREFIX):
        return f"{words.name} failed{where}"
    if metric.startswith(RUN_PREFIX):
        return f"{words.name} failed{where}"
    if metric.startswith(SCHEDULE_PREFIX):
        return f"{words.name} did not run{where}"
    if metric in (SOURCE_LOAD, SOURCE_FRESHNESS, FRESHNESS):
        return f"{words.name}: {segment.removeprefix('source=')}"
    expected, observed, size = (details.get(name) for name in ("expected", "observed", "size"))
    verb = {"down": "fell", "up": "rose"}.get(direction, "changed")
    if words.is_count and size is not None:
        return f"{words.name}{where} {verb} by {100 * abs(float(size)):.0f} %"
    if expected is not None and observed is not None:
        return f"{words.name}{where} {verb} from {_figure(expected, words.is_count)} to {_figure(observed, words.is_count)}"
    return f"{words.name}{where} {verb}"


def duration_text(duration: timedelta) -> str:
    """Two units at most: `3 days`, `5 h 20 min`."""
    minutes = round(duration.total_seconds() / 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days >= 3:
        return f"{round(minutes / 1440)} days"
    if days:
        return f"{days} day{'s' * (days > 1)}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {rest} min" if rest else "")
    return f"{rest} min"


def _facts(notification: Notification, is_count: bool) -> Iterable[tuple[str, str]]:
    details = notification.details
    if notification.first_bad_on is not None:
        yield "First bad day", day_text(notification.first_bad_on)
    if notification.kind is Kind.RESOLVED:
        yield "Lasted", duration_text(notification.duration)
    elif notification.kind is Kind.REMINDER:
        yield "Open for", duration_text(notification.duration)
    expected, observed = details.get("expected"), details.get("observed")
    if expected is not None and observed is not None:
        per_day = " a day" if is_count else ""
        yield "Expected", _figure(expected, is_count) + per_day
        yield "Observed", _figure(observed, is_count) + per_day
    size, low, high = (details.get(name) for name in ("size", "size_low", "size_high"))
    if notification.metric == FRESHNESS:
        yield "Silent days", f"{float(details['n']):.0f}"
        return
    if size is not None:
        unit = "" if is_count else " points"
        scale = 100
        text = f"{float(size) * scale:+.1f}{' %' if is_count else unit}"
        if low is not None and high is not None:
            text += f" (95 % interval {float(low) * scale:+.1f} to {float(high) * scale:+.1f})"
        yield "Change", text.replace("-", "−")
    if details.get("n") is not None:
        yield ("Days judged" if is_count else "Units judged"), f"{float(details['n']):,.0f}"
    for name, label in (("where", "Where"), ("upstream", "Changed upstream"), ("error", "Error"), ("what", "Finding")):
        value = details.get(name)
        if value:
            yield label, ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)
    for label, value in (details.get("facts") or {}).items():
        yield str(label), str(value)


def day_text(day: date) -> str:
    """`Fri 27 Feb 2026`, the same in every locale."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{days[day.weekday()]} {day.day} {months[day.month - 1]} {day.year}"


def _figure(value: Any, is_count: bool) -> str:
    number = float(value)
    return f"{number:,.0f}" if is_count or abs(number) > 3 else f"{number:.1%}".replace("%", " %")


@dataclass(frozen=True)
class Look:
    """Colours of a severity and kind, the same wherever a route can show colour."""

    colour: str
    label: str
    sign: str = field(default="")


def look_of(kind: str, severity: str) -> Look:
    """How grave, at a glance: never by colour alone."""
    if kind == Kind.RESOLVED:
        return Look("#1a7f37", "Resolved", "✅")
    if severity == Severity.CRITICAL:
        return Look("#b42318", "Critical", "🔴")
    return Look("#b54708", "Warning", "🟠")
