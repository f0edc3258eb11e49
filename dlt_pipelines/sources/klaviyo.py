"""Klaviyo: who got, opened and clicked which message, the people behind, and what was sent.

JSON:API under a dated revision. An event knows its profile by id only; the address comes beside it, under `included`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from dlt_pipelines.config import ExtractionWindow, KlaviyoConfig
from dlt_pipelines.dialects import klaviyo
from dlt_pipelines.http import HeaderAuth, VendorSession, walk
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

NAME: Final = "klaviyo"
API_KEY: Final = SecretSpec(
    "KLAVIYO_API_KEY", "private API key (pk_…) that may read events, metrics, profiles and campaigns"
)
# The most these listings give at once; the metrics' page has one size and takes no parameter for it.
PROFILES_A_PAGE: Final = 100
CAMPAIGNS_A_PAGE: Final = 100

METRICS: Final = ResourceSpec(
    "metrics",
    ("id",),
    "What Klaviyo counts: kinds of events, its own and those of integrations.",
    (
        C("id", "text", "Metric."),
        C("name", "text", "Name, such as Clicked Email."),
        C("integration_name", "text", "Who sends it; Klaviyo for its own."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
    ),
)
EVENTS: Final = ResourceSpec(
    "events",
    ("id",),
    "Events of the configured metrics per recipient.",
    (
        C("id", "text", "Event."),
        C("metric_id", "text", "Metric."),
        C("metric_name", "text", "Name of the metric when the event was read."),
        C("profile_id", "text", "Profile."),
        C("email_hash", "text", "Keyed hash of the profile's address.", "email"),
        C("user_id", "text", "The profile's external id: the user id in the product.", "identifier"),
        C("occurred_at", "timestamp", "When, UTC."),
        C("message_id", "text", "Message of a campaign or flow."),
        C("campaign_name", "text", "Name of the campaign or flow.", "free_text"),
        C("subject", "text", "Subject.", "free_text"),
        C("flow_id", "text", "Flow, null for campaigns."),
        C("url", "text", "Clicked address, personal values redacted.", "url"),
        C("is_machine", "bool", "Klaviyo takes the click for a bot's or the open for a mail proxy's."),
        C("value", "double", "Value of the event."),
        C("properties", "text", "All properties as JSON text, personal values redacted.", "params"),
    ),
)
PROFILES: Final = ResourceSpec(
    "profiles",
    ("id",),
    "People Klaviyo knows.",
    (
        C("id", "text", "Profile."),
        C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
        C("phone_hash", "text", "Keyed hash of the phone number.", "phone"),
        C("user_id", "text", "External id: the user id in the product.", "identifier"),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("last_event_at", "timestamp", "Last event, UTC."),
    ),
)
CAMPAIGNS: Final = ResourceSpec(
    "campaigns",
    ("id", "message_id"),
    "E-mail campaigns, one row per message (an A/B test has several).",
    (
        C("id", "text", "Campaign."),
        C("message_id", "text", "Message, as events name it; the campaign's id where it has none."),
        C("name", "text", "Name.", "free_text"),
        C("subject", "text", "Subject.", "free_text"),
        C("status", "text", "Draft, Scheduled, Sent, …"),
        C("archived", "bool", "Archived."),
        C("sent_at", "timestamp", "When it was sent, UTC."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
    ),
)


class Reader:
    """Reads Klaviyo's listings with the revision and the key every request needs."""

    def __init__(self, config: KlaviyoConfig) -> None:
        key = API_KEY.read()
        self._headers = {"revision": config.revision, "Accept": "application/vnd.api+json"}
        self.session = VendorSession(NAME, config, klaviyo, HeaderAuth("Authorization", f"Klaviyo-API-Key {key}", key))

    def pages(self, path: str, params: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Documents of a listing, page by page.

        Of the address of the next page only the cursor is taken: our key goes to the configured host and nowhere else.
        """

        def fetch(cursor: str | None) -> tuple[Mapping[str, Any], str | None]:
            asked = {**params, **({"page[cursor]": cursor} if cursor else {})}
            page = self.session.call("GET", path, params=asked, headers=self._headers)
            following = (page.get("links") or {}).get("next")
            return page, parse_qs(urlsplit(following).query)["page[cursor]"][0] if following else None

        return walk(f"{NAME} {path}", fetch)

    def metrics(self) -> list[Mapping[str, Any]]:
        return [row for page in self.pages("/api/metrics", {}) for row in page["data"]]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _related(row: Mapping[str, Any], name: str) -> str | None:
    data = ((row.get("relationships") or {}).get(name) or {}).get("data") or {}
    return data.get("id")


def _included(page: Mapping[str, Any], kind: str) -> dict[str, Mapping[str, Any]]:
    return {row["id"]: row.get("attributes") or {} for row in page.get("included") or [] if row.get("type") == kind}


def build(config: KlaviyoConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the key's account."""
    from dlt_pipelines.extraction import cursor_resource, make_source, snapshot_resource

    begin = datetime.combine(window.start, time(), UTC)

    def metrics() -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        with reader.session:
            yield from map(_metric_row, reader.metrics())

    def events(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        with reader.session:
            for metric in _wanted(reader.metrics(), config.metrics):
                asked = {
                    "filter": f'greater-or-equal(datetime,{_moment(since or begin)}),equals(metric_id,"{metric["id"]}")',
                    "include": "profile",
                    # Names and phone numbers are not asked for: what does not arrive cannot leak.
                    "fields[profile]": "email,external_id",
                    "sort": "datetime",
                    "page[size]": str(config.page_size),
                }
                for page in reader.pages("/api/events", asked):
                    people = _included(page, "profile")
                    for row in page["data"]:
                        yield _event_row(row, metric, people)

    def profiles(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        asked = {
            "fields[profile]": "email,phone_number,external_id,created,updated,last_event_date",
            "sort": "updated",
            "page[size]": str(PROFILES_A_PAGE),
        }
        if since:
            asked["filter"] = f"greater-than(updated,{_moment(since)})"
        with reader.session:
            for page in reader.pages("/api/profiles", asked):
                yield from map(_profile_row, page["data"])

    def campaigns() -> Iterator[Mapping[str, Any]]:
        reader = Reader(config)
        asked = {
            "filter": "equals(messages.channel,'email')",
            "include": "campaign-messages",
            "sort": "id",
            "page[size]": str(CAMPAIGNS_A_PAGE),
        }
        with reader.session:
            for page in reader.pages("/api/campaigns", asked):
                messages = _included(page, "campaign-message")
                for row in page["data"]:
                    yield from _campaign_rows(row, messages)

    lag = timedelta(days=config.settling_days)
    return make_source(
        NAME,
        [
            snapshot_resource(NAME, METRICS, hasher, metrics),
            cursor_resource(NAME, EVENTS, window, hasher, lag=lag, pull=events),
            cursor_resource(NAME, PROFILES, window, hasher, lag=lag, pull=profiles),
            snapshot_resource(NAME, CAMPAIGNS, hasher, campaigns),
        ],
    )


def _wanted(metrics: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Mapping[str, Any]]:
    """The metrics of these names, in the settings' order; integrations may add one of the same name."""
    return [row for name in names for row in metrics if (row.get("attributes") or {}).get("name") == name]


def _metric_row(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = row["attributes"]
    return {
        "id": row["id"],
        "name": attributes.get("name"),
        "integration_name": (attributes.get("integration") or {}).get("name"),
        "created_at": attributes.get("created"),
        "updated_at": attributes.get("updated"),
    }


def _event_row(
    row: Mapping[str, Any], metric: Mapping[str, Any], people: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    attributes = row["attributes"]
    properties = attributes.get("event_properties") or {}
    profile_id = _related(row, "profile")
    person = people.get(profile_id or "", {})
    machine = properties.get("Bot Click", properties.get("machine_open"))
    return {
        "id": row["id"],
        "metric_id": metric["id"],
        "metric_name": metric["attributes"].get("name"),
        "profile_id": profile_id,
        "email_hash": person.get("email"),
        "user_id": person.get("external_id"),
        "occurred_at": attributes["datetime"],
        "message_id": properties.get("$message"),
        "campaign_name": properties.get("Campaign Name"),
        "subject": properties.get("Subject"),
        "flow_id": properties.get("$flow"),
        "url": properties.get("URL"),
        "is_machine": machine,
        "value": properties.get("$value"),
        "properties": properties,
    }


def _profile_row(row: Mapping[str, Any]) -> dict[str, Any]:
    attributes = row["attributes"]
    return {
        "id": row["id"],
        "email_hash": attributes.get("email"),
        "phone_hash": attributes.get("phone_number"),
        "user_id": attributes.get("external_id"),
        "created_at": attributes.get("created"),
        "updated_at": attributes.get("updated"),
        "last_event_at": attributes.get("last_event_date"),
    }


def _campaign_rows(row: Mapping[str, Any], messages: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    attributes = row["attributes"]
    listed = ((row.get("relationships") or {}).get("campaign-messages") or {}).get("data") or []
    for message_id in [item["id"] for item in listed] or [row["id"]]:
        definition = messages.get(message_id, {}).get("definition") or {}
        yield {
            "id": row["id"],
            "message_id": message_id,
            "name": attributes.get("name"),
            "subject": (definition.get("content") or {}).get("subject"),
            "status": attributes.get("status"),
            "archived": attributes.get("archived"),
            "sent_at": attributes.get("send_time"),
            "created_at": attributes.get("created_at"),
            "updated_at": attributes.get("updated_at"),
        }


def probe(config: KlaviyoConfig) -> Iterator[Finding]:
    """Whether the key opens its account, and whether the configured metrics exist there."""
    reader = Reader(config)
    with reader.session:
        metrics = reader.metrics()
    known = {(row.get("attributes") or {}).get("name") for row in metrics}
    absent = [name for name in config.metrics if name not in known]
    if absent:
        yield Finding(
            "warning",
            f"{NAME}: metrics",
            f"the account has no metric {', '.join(absent)}",
            "Set sources.klaviyo.metrics to names that the account has.",
        )
    else:
        yield Finding("ok", NAME, f"the key is accepted, {len(metrics)} metrics")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Klaviyo",
    config_model=KlaviyoConfig,
    resources=(METRICS, EVENTS, PROFILES, CAMPAIGNS),
    secrets=(API_KEY,),
    build=build,
    probe=probe,
)
