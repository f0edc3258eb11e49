"""PostHog: events and persons, from the query API (HogQL) or from the files of a batch export.

PostHog itself sends those who want many rows to batch exports; the API is there for projects of some thousand events a
day. A merge of two persons rewrites no event: who belongs to whom stands in the table of distinct ids, which is read
whole from the API and in its changes from files.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, PosthogConfig
from dlt_pipelines.dialects import posthog
from dlt_pipelines.http import LISTING_TRIES, HeaderAuth, VendorSession, walk
from dlt_pipelines.json_text import decode
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import ContractViolation, moment
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec
from dlt_pipelines.web_events import events_table, first_number, first_text

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "posthog"
# Files can be had without the API, so its key is asked for only when a project is configured.
API_KEY: Final = SecretSpec("POSTHOG_API_KEY", "personal API key (phx_…) with the scope query:read", required=False)
VALUES: Final = ("value", "revenue", "$revenue")
PHONES: Final = ("phone", "$phone", "phone_number")
# Events that join two ids, and the property that names the other one.
MERGES: Final = {"$identify": "$anon_distinct_id", "$create_alias": "alias", "$merge_dangerously": "alias"}
EVENT_COLUMNS: Final = ("uuid", "event", "timestamp", "created_at", "distinct_id", "person_id", "properties")
NO_REFERRER: Final = "$direct"

EVENTS: Final = events_table("Events of the web, apps and servers.")
PERSONS: Final = ResourceSpec(
    "persons",
    ("person_id",),
    "Persons PostHog knows.",
    (
        C("person_id", "text", "Person."),
        C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
        C("phone_hash", "text", "Keyed hash of the phone number.", "phone"),
        C("created_at", "timestamp", "First seen, UTC."),
        C("is_deleted", "bool", "Deleted in PostHog; the API does not show them."),
        C("properties", "text", "All properties as JSON text, personal values redacted.", "params"),
    ),
)
DISTINCT_IDS: Final = ResourceSpec(
    "person_distinct_ids",
    ("distinct_id",),
    "Which person an id belongs to, merges included.",
    (
        C("distinct_id", "text", "Device or user id.", "identifier"),
        C("person_id", "text", "Person."),
        C("version", "bigint", "Counts the merges of the id; null from the API."),
    ),
)


class Reader:
    """Runs HogQL queries in one project."""

    def __init__(self, config: PosthogConfig) -> None:
        key = SecretSpec(API_KEY.env, API_KEY.purpose).read()
        self._path = f"/api/projects/{config.project_id}/query/"
        self.session = VendorSession(NAME, config, posthog, HeaderAuth("Authorization", f"Bearer {key}", key))

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query by column name."""
        # Without it the reply may be one that was worked out hours ago.
        asked = {"query": {"kind": "HogQLQuery", "query": query}, "refresh": "force_blocking"}
        reply = self.session.post(self._path, asked)
        columns, results = reply["columns"], reply["results"]
        if not isinstance(columns, list) or not isinstance(results, list):
            raise ContractViolation(
                "posthog: a query's columns and results are lists, but the vendor sent something else. Nothing of this "
                "source was written; its format changed."
            )
        return [dict(zip(columns, row, strict=True)) for row in results]

    def listing(
        self, select: str, where: Sequence[str], keys: Mapping[str, Callable[[Any], str]], size: int
    ) -> Iterator[dict[str, Any]]:
        """A query's rows in the order of its keys, page by page: each page begins behind the last row of the one before.

        Pages by offset would cost PostHog the whole listing each, and rows that arrive meanwhile would shift them.

        Args:
            keys: columns that order the rows, and how HogQL writes a value of each.
        """
        order = ", ".join(keys)

        def fetch(cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
            conditions = [*where, *([f"({order}) > ({cursor})"] if cursor else [])]
            condition = f" where {' and '.join(conditions)}" if conditions else ""
            query = f"{select}{condition} order by {order} limit {size}"
            for _ in range(LISTING_TRIES - 1):
                rows = self.rows(query)
                # An empty page is the end or a mishap; nothing in the reply tells them apart, asking again does.
                if rows:
                    break
            return rows, ", ".join(as_text(rows[-1][key]) for key, as_text in keys.items()) if len(
                rows
            ) >= size else None

        for page in walk(f"{NAME} {select.rpartition(' ')[2]}", fetch):
            yield from page


def _text(value: Any) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _uuid(value: Any) -> str:
    return f"toUUID({_text(value)})"


def _time(value: Any) -> str:
    return f"toDateTime64('{moment(value):%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def build(config: PosthogConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source: from files where export folders are configured, from the API where a project is."""
    from dlt_pipelines.extraction import day_resource, make_source, snapshot_resource

    if not config.project_id and config.events_path is None:
        raise ValueError("sources.posthog names neither project_id nor events_path; set one of them.")
    if config.events_path is not None:
        from dlt_pipelines.export_folders import changed_rows, file_resource

        resources = [
            file_resource(
                NAME,
                EVENTS,
                config.events_path,
                window,
                hasher,
                row=lambda r: event_row(r, config),
                columns=EVENT_COLUMNS,
            )
        ]
        if config.persons_path is not None:
            resources += [
                changed_rows(
                    NAME, PERSONS, config.persons_path, window, hasher, row=exported_person, version="person_version"
                ),
                changed_rows(
                    NAME, DISTINCT_IDS, config.persons_path, window, hasher, row=exported_id, version="version"
                ),
            ]
        return make_source(NAME, resources)

    def persons() -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        with reader.session:
            select = "select id, created_at, properties from persons"
            yield from map(_person_row, reader.listing(select, (), {"id": _uuid}, config.page_size))

    def distinct_ids() -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        with reader.session:
            select = "select distinct_id, person_id from person_distinct_ids"
            yield from reader.listing(select, (), {"distinct_id": _text}, config.page_size)

    return make_source(
        NAME,
        [
            day_resource(
                NAME,
                EVENTS,
                window,
                hasher,
                day_column="event_date",
                account_column=None,
                accounts=(config.project_id,),
                settling_days=config.settling_days,
                pull=lambda days: _events(config, days),
            ),
            snapshot_resource(NAME, PERSONS, hasher, persons),
            snapshot_resource(NAME, DISTINCT_IDS, hasher, distinct_ids),
        ],
    )


def _events(config: PosthogConfig, days: "DayRange") -> Iterator[Mapping[str, Any]]:
    begin, end = _time(days.start), _time(days.end)
    where = [f"timestamp >= {begin}", f"timestamp < {end}"]
    if config.events:
        where.append(f"event in ({', '.join(map(_text, config.events))})")
    select = f"select {', '.join(EVENT_COLUMNS)} from events"
    reader = Reader(config)
    with reader.session:
        for row in reader.listing(select, where, {"timestamp": _time, "uuid": _uuid}, config.page_size):
            yield event_row(row, config)


def event_row(row: Mapping[str, Any], config: PosthogConfig) -> dict[str, Any]:
    """One event, of a query or of a file, in the contract's columns; values still plain where a column is treated."""
    properties = _object(row["properties"], "properties")
    occurred_at = moment(row["timestamp"])
    distinct_id = row["distinct_id"]
    device_id = properties.get("$device_id")
    if device_id is None and properties.get("$is_identified") is False:
        device_id = distinct_id
    user_id = properties.get("$user_id") or (distinct_id if device_id and distinct_id != device_id else None)
    given = properties.get("$set")
    referrer = properties.get("$referrer")
    return {
        "event_id": row["uuid"],
        "event_date": occurred_at.date(),
        "occurred_at": occurred_at,
        "received_at": row.get("created_at"),
        "event_name": row["event"],
        "device_id": device_id,
        "user_id": user_id,
        "distinct_id": distinct_id,
        "person_id": row["person_id"],
        "merged_id": properties.get(MERGES[row["event"]]) if row["event"] in MERGES else None,
        "email_hash": first_text(given if isinstance(given, dict) else {}, config.email_properties)
        or first_text(properties, config.email_properties),
        "page_url": properties.get("$current_url"),
        "referrer": None if referrer == NO_REFERRER else referrer,
        "user_agent": properties.get("$raw_user_agent"),
        "ip_hash": properties.get("$ip"),
        "device_category": properties.get("$device_type"),
        "browser": properties.get("$browser"),
        "operating_system": properties.get("$os"),
        "country": properties.get("$geoip_country_code"),
        "event_value": first_number(properties, VALUES),
        "properties": _without_places(properties),
    }


def _without_places(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where somebody was to a few streets is nobody's business here; the country stands in its own column."""
    places = _places(tuple(properties))
    return {name: value for name, value in properties.items() if name not in places} if places else properties


@lru_cache(maxsize=2_000)
def _places(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith("$geoip_"))


def _object(value: Any, name: str) -> Mapping[str, Any]:
    """A JSON object that comes as one or, from ClickHouse, as its text."""
    if isinstance(value, str):
        try:
            value = decode(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise ContractViolation(f"posthog: {name} is a JSON object, but the vendor sent something else.")
    return value


def _person_row(row: Mapping[str, Any]) -> dict[str, Any]:
    properties = _object(row["properties"], "properties")
    return {
        "person_id": row["id"],
        "email_hash": first_text(properties, ("email", "$email")),
        "phone_hash": first_text(properties, PHONES),
        "created_at": row["created_at"],
        "is_deleted": False,
        "properties": _without_places(properties),
    }


def exported_person(row: Mapping[str, Any]) -> dict[str, Any]:
    """The person of a row of the persons export, which has one row an id."""
    named = {"id": row["person_id"], "created_at": row["created_at"], "properties": row["properties"]}
    found = {"is_deleted": row.get("is_deleted", False), "person_version": int(row["person_version"])}
    return _person_row(named) | found


def exported_id(row: Mapping[str, Any]) -> dict[str, Any]:
    """The id of a row of the persons export."""
    version = int(row["person_distinct_id_version"])
    return {"distinct_id": row["distinct_id"], "person_id": row["person_id"], "version": version}


def probe(config: PosthogConfig) -> Iterator[Finding]:
    """Whether the export folders hold files and the project answers."""
    from dlt_pipelines.export_folders import export_files

    if not config.project_id and config.events_path is None:
        yield Finding("error", NAME, "neither project_id nor events_path is set", "Set one under [sources.posthog].")
    for name, folder in (("events_path", config.events_path), ("persons_path", config.persons_path)):
        if folder is not None:
            yield _folder_finding(f"{NAME}: {name}", folder, export_files)
    if config.project_id and config.events_path is None:
        reader = Reader(config)
        with reader.session:
            reader.rows("select 1 as answer")
        yield Finding("ok", f"{NAME}: project {config.project_id}", "the key is accepted")


def _folder_finding(subject: str, folder: Path, listed: Any) -> Finding:
    if not folder.is_dir():
        return Finding("error", subject, f"{folder} is not a folder", "Make it, or set another path.")
    files: Iterable[Path] = listed(folder)
    count = sum(1 for _ in files)
    if not count:
        return Finding("warning", subject, f"{folder} holds no export file", "Let the batch export write there.")
    return Finding("ok", subject, f"{count} files")


SPEC: Final = SourceSpec(
    name=NAME,
    title="PostHog",
    config_model=PosthogConfig,
    resources=(EVENTS, PERSONS, DISTINCT_IDS),
    secrets=(API_KEY,),
    build=build,
    probe=probe,
)
