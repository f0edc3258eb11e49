"""The table of web and app events that product analytics vendors deliver, the same columns whoever the vendor is."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import ResourceSpec

COLUMNS: Final = (
    C("event_id", "text", "What the vendor tells its events apart by."),
    C("event_date", "date", "Day that the event is pulled and replaced with."),
    C("occurred_at", "timestamp", "When it happened, UTC."),
    C("received_at", "timestamp", "When the vendor got it, UTC."),
    C("event_name", "text", "The vendor's name of the event.", "free_text"),
    C("device_id", "text", "Browser or app installation, null for events of a server.", "identifier"),
    C("user_id", "text", "User the event itself names as logged in.", "identifier"),
    C("distinct_id", "text", "Whom the vendor counts the event for when it was read.", "identifier"),
    C("person_id", "text", "The vendor's own key of that person."),
    C("merged_id", "text", "Id that this event says is the same person's as `distinct_id`.", "identifier"),
    C("email_hash", "text", "Keyed hash of an address given with the event.", "email"),
    C("page_url", "text", "Full address, personal values redacted.", "url"),
    C("referrer", "text", "Referring address, personal values redacted.", "url"),
    C("user_agent", "text", "User agent text, where the vendor keeps it."),
    C("ip_hash", "text", "Keyed hash of the client's address, where the vendor tells it.", "ip"),
    C("device_category", "text", "desktop, mobile, tablet, in the vendor's spelling."),
    C("browser", "text", "Browser as the vendor parsed it."),
    C("operating_system", "text", "Operating system as the vendor parsed it."),
    C("country", "text", "Country as the vendor located it."),
    C("event_value", "double", "Value of the event."),
    C("properties", "text", "All properties as JSON text, personal values redacted.", "params"),
)


def events_table(description: str, *more: C) -> ResourceSpec:
    """The raw table `events`; a vendor's own columns come last."""
    return ResourceSpec("events", ("event_id",), description, (*COLUMNS, *more))


def first_text(properties: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """The first of these properties that holds a text; people send anything under any name."""
    for name in names:
        value = properties.get(name)
        if isinstance(value, str) and value:
            return value
    return None


def first_number(properties: Mapping[str, Any], names: Iterable[str]) -> float | None:
    """The first of these properties that holds a number, as number or text; anything else is nobody's value."""
    for name in names:
        value = properties.get(name)
        if value is None or isinstance(value, bool):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if number == number and abs(number) != float("inf"):
            return number
    return None
