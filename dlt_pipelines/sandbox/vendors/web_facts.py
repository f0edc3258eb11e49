"""The world's visits as a product analytics vendor sees them, and what it makes of who is who.

Shared by PostHog, Mixpanel and Amplitude, each of which the shop could have chosen instead of GA4: the same events, told
in three formats. GA4's own ``session_start`` is nobody else's event and left out.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from dlt_pipelines.sandbox.vendors.common import World, records_of

CAMPAIGN_PARAMETERS = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "gclid",
    "fbclid",
    "msclkid",
)
DEVICE_TYPES = {"desktop": "Desktop", "mobile": "Mobile", "tablet": "Tablet"}


def stable_uuid(*parts: str) -> str:
    """A UUID fixed by some texts."""
    digest = hashlib.md5("/".join(parts).encode(), usedforsecurity=False).digest()
    return str(uuid.UUID(bytes=digest, version=4))


@dataclass(frozen=True)
class Merge:
    """The moment a vendor learns that a device is a user's: the first event of the user on it."""

    at: pd.Timestamp
    device_id: str
    user_id: str
    event: dict[str, Any]


@dataclass
class People:
    """Who is who for the vendor: a device belongs to the first user who logs in on it, and to nobody after.

    Attributes:
        first_person: person a device began as.
        person_of: person of every device and user id in the end.
        user_of_device: user a device was merged into.
        merges: in time order.
    """

    first_person: dict[str, str] = field(default_factory=dict)
    person_of: dict[str, str] = field(default_factory=dict)
    user_of_device: dict[str, str] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)


def web_events(world: World) -> pd.DataFrame:
    """Events in time order with the device's kind, browser and system beside them."""
    events = world.events[world.events["event_name"] != "session_start"]
    events = events.sort_values(["occurred_at", "event_id"], kind="stable").reset_index(drop=True)
    devices = world.devices.drop_duplicates("device_id").set_index("device_id")
    return events.assign(
        kind=events["device_id"].map(devices["kind"]).map(DEVICE_TYPES),
        browser=events["device_id"].map(devices["browser"]),
        operating_system=events["device_id"].map(devices["operating_system"]),
    )


def identify(events: pd.DataFrame) -> People:
    """Go through the logins as the vendor's identify calls would have come in."""
    people = People()
    for device in events["device_id"].dropna().unique():
        people.first_person[device] = people.person_of[device] = stable_uuid("person", str(device))
    logins = events[events["user_id"].notna() & events["device_id"].notna()]
    for row in records_of(logins.drop_duplicates(["device_id", "user_id"])):
        device, user = str(row["device_id"]), str(row["user_id"])
        if device in people.user_of_device:
            people.person_of.setdefault(user, stable_uuid("person", user))
            continue
        people.user_of_device[device] = user
        people.person_of[device] = people.person_of.setdefault(user, people.person_of[device])
        people.merges.append(Merge(row["occurred_at"], device, user, row))
    return people


def campaign_of(url: Any) -> dict[str, str]:
    """Campaign parameters and click ids of an address."""
    if not isinstance(url, str) or "?" not in url:
        return {}
    query = parse_qs(urlsplit(url).query)
    return {name: query[name][-1] for name in CAMPAIGN_PARAMETERS if name in query}


def present(**values: Any) -> dict[str, Any]:
    """The values that are there; a missing cell is no property."""
    return {name: value for name, value in values.items() if value is not None and not pd.isna(value)}


def account_of(world: World) -> dict[str, dict[str, Any]]:
    """What the shop tells the vendor about each user, in plain."""
    known = world.people[world.people["user_id"].notna()]
    return {
        str(row["user_id"]): present(
            email=row["email"],
            name=f"{row['first_name']} {row['last_name']}",
            phone=row["phone"],
        )
        for row in records_of(known)
    }
