"""Mixpanel: events by raw export, profiles by the query API.

The export is one long text of JSON lines, read while it arrives. It may break off politely, with a last line that says
so, and may hold an event twice: Mixpanel tells events apart by name, person, time and `$insert_id` only when it counts.
Projects made before 2023 tell days and times in their own zone, the time as if it were UTC.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from dlt_pipelines.config import ExtractionWindow, MixpanelConfig
from dlt_pipelines.dialects import mixpanel
from dlt_pipelines.http import LISTING_TRIES, BasicAuth, VendorError, VendorSession
from dlt_pipelines.json_text import decode
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import ContractViolation, from_epoch_ms
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec
from dlt_pipelines.web_events import events_table, first_number, first_text

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "mixpanel"
USERNAME: Final = SecretSpec("MIXPANEL_USERNAME", "service account's user name (….mp-service-account)")
SECRET: Final = SecretSpec("MIXPANEL_SECRET", "service account's secret")
DEVICE_PREFIX: Final = "$device:"
VALUES: Final = ("value", "revenue", "$amount")
# What is not asked for does not arrive: no names, no places.
PROFILE_PROPERTIES: Final = ("$email", "$phone", "$created", "$last_seen")
# A line of an event that was torn apart is waited for only so long.
LONGEST_RECORD: Final = 16 << 20
TERMINATED: Final = b"terminated early"

EVENTS: Final = events_table("Events of the web, apps and servers, whole days of the project replaced.")
PROFILES: Final = ResourceSpec(
    "profiles",
    ("distinct_id",),
    "People Mixpanel keeps a profile of.",
    (
        C("distinct_id", "text", "User id, or a device's where nobody logged in.", "identifier"),
        C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
        C("phone_hash", "text", "Keyed hash of the phone number.", "phone"),
        C("created_at", "timestamp", "Creation as the product told it, UTC."),
        C("last_seen_at", "timestamp", "Last change of the profile, UTC."),
    ),
)


def open_session(config: MixpanelConfig) -> VendorSession:
    """A session for both of Mixpanel's hosts.

    Raises:
        MissingSecret: no credentials.
    """
    return VendorSession(NAME, config, mixpanel, BasicAuth(USERNAME.read(), SECRET.read()))


def build(config: MixpanelConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of one project."""
    from dlt_pipelines.extraction import day_resource, make_source, snapshot_resource

    if not config.project_id:
        raise ValueError("sources.mixpanel.project_id is empty; set the project's numeric id.")
    today = window.now.astimezone(ZoneInfo(config.time_zone)).date()
    resources = [
        day_resource(
            NAME,
            EVENTS,
            window,
            hasher,
            day_column="event_date",
            account_column=None,
            accounts=(config.project_id,),
            settling_days=config.settling_days,
            pull=lambda days: _events(config, days, today, hasher),
        )
    ]
    if config.profiles:
        resources.append(snapshot_resource(NAME, PROFILES, hasher, lambda: _profiles(config)))
    return make_source(NAME, resources)


def _events(config: MixpanelConfig, days: "DayRange", today: date, hasher: Hasher) -> Iterator[Mapping[str, Any]]:
    with open_session(config) as session:
        for part in days.chunks(config.days_per_request):
            # A day that has not begun in the project's zone is refused.
            last = min(part.end - timedelta(days=1), today)
            if last < part.start:
                return
            params = {
                "project_id": config.project_id,
                "from_date": str(part.start),
                "to_date": str(last),
                "time_in_ms": "true",
            }
            if config.events:
                params["event"] = json.dumps(config.events)
            for record in session.stream("GET", "/api/2.0/export", records, params=params):
                yield event_row(record, config, hasher)


def records(blocks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Events of an export. One may be torn over several lines; values hold other separators than the line feed.

    Raises:
        ValueError: the text breaks off.
    """
    rest = torn = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            record, torn = _joined(torn, line)
            if record is not None:
                yield record
    record, torn = _joined(torn, rest)
    if record is not None:
        yield record
    if torn:
        raise ValueError(f"its last {len(torn)} bytes are no event")


def _joined(torn: bytes, line: bytes) -> tuple[dict[str, Any] | None, bytes]:
    """The event that a line ends, if it ends one, and what is left of one it does not."""
    if line.strip() == TERMINATED:
        raise ValueError("Mixpanel terminated the export early")
    text = torn + line
    if not text.strip():
        return None, b""
    try:
        record = decode(text)
    except ValueError:
        if len(text) > LONGEST_RECORD:
            raise ValueError("a line is no event") from None
        return None, text
    if not isinstance(record, dict):
        raise ValueError("a line is no event")
    return record, b""


def event_row(record: Mapping[str, Any], config: MixpanelConfig, hasher: Hasher) -> dict[str, Any]:
    """One event in the contract's columns; values still plain where a column is treated."""
    name, properties = record["event"], record["properties"]
    told = properties["time"]
    if isinstance(told, bool) or not isinstance(told, (int, float)):
        raise ContractViolation(
            f"mixpanel.events: time is a number, but the vendor sent {type(told).__name__}. Nothing of this source was "
            "written; its format changed."
        )
    # Milliseconds were asked for; a project that does not know the parameter answers in seconds.
    wall_clock = datetime.fromtimestamp(told / 1000 if told > 1e11 else told, UTC).replace(tzinfo=None)
    occurred_at = wall_clock
    if config.time_zone != "UTC":
        occurred_at = wall_clock.replace(tzinfo=ZoneInfo(config.time_zone)).astimezone(UTC).replace(tzinfo=None)
    device_id, user_id = properties.get("$device_id"), properties.get("$user_id")
    person = str(properties["distinct_id"])
    if device_id is None and person.startswith(DEVICE_PREFIX):
        device_id = bare(person)
    referrer = properties.get("$referrer")
    insert_id = properties.get("$insert_id")
    before = properties.get("$distinct_id_before_identity") or device_id or user_id or person
    natural = (name, told, before, insert_id or hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest())
    return {
        # Keyed, because ids of people may be their addresses.
        "event_id": hasher.digest("\x1f".join(map(str, natural)))[:32],
        "event_date": wall_clock.date(),
        "occurred_at": occurred_at,
        "received_at": from_epoch_ms(properties.get("mp_processing_time_ms")),
        "event_name": name,
        "device_id": device_id,
        "user_id": user_id,
        "distinct_id": bare(person),
        "person_id": None,
        "merged_id": merged_id(name, properties, person),
        "email_hash": first_text(properties, config.email_properties),
        "page_url": properties.get("$current_url"),
        "referrer": None if referrer == "$direct" else referrer,
        "user_agent": properties.get("$user_agent"),
        "ip_hash": properties.get("$ip", properties.get("ip")),
        "device_category": None,
        "browser": properties.get("$browser"),
        "operating_system": properties.get("$os"),
        "country": properties.get("mp_country_code"),
        "event_value": first_number(properties, VALUES),
        "properties": {key: value for key, value in properties.items() if key not in ("$city", "$region")},
    }


def bare(person: str) -> str:
    """A distinct id without the mark of a device's, so that it equals the `$device_id` it was made of."""
    return person.removeprefix(DEVICE_PREFIX)


def merged_id(name: str, properties: Mapping[str, Any], person: str) -> str | None:
    """The other id of an event that joins two."""
    if name == "$identify":
        other = properties.get("$anon_id") or properties.get("$anon_distinct_id")
    elif name == "$create_alias":
        other = properties.get("alias")
    elif name == "$merge":
        ids = properties.get("$distinct_ids")
        other = next((item for item in ids if str(item) != person), None) if isinstance(ids, list) else None
    else:
        return None
    return None if other is None else bare(str(other))


def _profiles(config: MixpanelConfig) -> Iterator[Mapping[str, Any]]:
    """Every profile once. The pages of a session stand still; they count as read when as many came as were announced."""
    zone, seen = ZoneInfo(config.time_zone), set[str]()
    with open_session(config) as session:
        for _ in range(LISTING_TRIES):
            total = 0
            for reply in _profile_pages(session, config):
                total = int(reply["total"])
                for profile in reply["results"]:
                    row = _profile_row(profile, zone)
                    if row["distinct_id"] not in seen:
                        seen.add(row["distinct_id"])
                        yield row
            if len(seen) >= total:
                return
    raise VendorError(f"{NAME}: announced {total} profiles but sent {len(seen)}. Nothing was written; run again later.")


def _profile_pages(session: VendorSession, config: MixpanelConfig) -> Iterator[Mapping[str, Any]]:
    url = f"{config.query_url}/api/query/engage"
    params = {"project_id": config.project_id}
    form = {"output_properties": json.dumps(PROFILE_PROPERTIES)}
    page, more = 0, True
    while more:
        for _ in range(LISTING_TRIES):
            reply = session.call("POST", url, params=params, data=form)
            if reply["results"]:
                break
        yield reply
        page += 1
        more = page * int(reply["page_size"]) < int(reply["total"])
        form |= {"session_id": str(reply["session_id"]), "page": str(page)}


def _profile_row(profile: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    properties = profile["$properties"]

    def moment(name: str) -> datetime | None:
        text = first_text(properties, (name,))
        try:
            told = datetime.fromisoformat(text) if text else None
        except ValueError:
            # `$created` is whatever the product set.
            return None
        return told and (told if told.tzinfo else told.replace(tzinfo=zone)).astimezone(UTC).replace(tzinfo=None)

    return {
        "distinct_id": bare(str(profile["$distinct_id"])),
        "email_hash": first_text(properties, ("$email",)),
        "phone_hash": first_text(properties, ("$phone",)),
        "created_at": moment("$created"),
        "last_seen_at": moment("$last_seen"),
    }


def probe(config: MixpanelConfig) -> Iterator[Finding]:
    """Whether the service account may read the project; asks for one profile, since exports are few an hour."""
    if not config.project_id:
        yield Finding("error", NAME, "project_id is not set", "Set sources.mixpanel.project_id.")
        return
    with open_session(config) as session:
        params = {"project_id": config.project_id}
        form = {"output_properties": json.dumps(["$last_seen"])}
        reply = session.call("POST", f"{config.query_url}/api/query/engage", params=params, data=form)
    yield Finding("ok", f"{NAME}: project {config.project_id}", f"the account is accepted, {reply['total']} profiles")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Mixpanel",
    config_model=MixpanelConfig,
    resources=(EVENTS, PROFILES),
    secrets=(USERNAME, SECRET),
    build=build,
    probe=probe,
)
