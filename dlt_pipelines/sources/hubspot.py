"""HubSpot: contacts, deals, deal stages and marketing e-mail events.

A first run lists everything; later ones search for what changed. Search stops at 10,000 results, so it starts again
from the last value it gave; it knows nothing of archived records, which are listed each time.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines import contract
from dlt_pipelines.config import ExtractionWindow, HubspotConfig
from dlt_pipelines.dialects import hubspot
from dlt_pipelines.http import HeaderAuth, VendorError, VendorSession, walk
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import from_epoch_ms, moment
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "hubspot"
TOKEN: Final = SecretSpec(
    "HUBSPOT_ACCESS_TOKEN", "private app token with CRM read and, for e-mail events, content scope"
)
SEARCH_PAGE: Final = 200
SEARCH_LIMIT: Final = 10_000
EVENT_PAGE: Final = 1000
ASSOCIATION_BATCH: Final = 100


@dataclass(frozen=True)
class ObjectKind:
    """A kind of CRM record: its path, change cursor and what it is associated with."""

    path: str
    cursor: str
    properties: tuple[str, ...]
    associations: str = ""


def contacts_kind(config: HubspotConfig) -> ObjectKind:
    wanted = (
        "email",
        "createdate",
        "lastmodifieddate",
        "lifecyclestage",
        "hs_analytics_source",
        "hs_google_click_id",
        config.customer_source_property,
        config.user_id_property,
        config.organisation_id_property,
        config.first_url_property,
    )
    return ObjectKind("contacts", "lastmodifieddate", tuple(dict.fromkeys(filter(None, wanted))))


def deals_kind(config: HubspotConfig) -> ObjectKind:
    wanted = (
        "dealname",
        "pipeline",
        "dealstage",
        "amount",
        "deal_currency_code",
        "createdate",
        "closedate",
        "hs_lastmodifieddate",
        config.product_property,
    )
    return ObjectKind("deals", "hs_lastmodifieddate", tuple(dict.fromkeys(filter(None, wanted))), "contacts")


def open_session(config: HubspotConfig) -> VendorSession:
    token = TOKEN.read()
    return VendorSession(NAME, config, hubspot, HeaderAuth("Authorization", f"Bearer {token}", token))


def build(config: HubspotConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the token's portal."""
    from dlt_pipelines.extraction import cursor_resource, make_source, snapshot_resource

    def contacts(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for record in _records(session, config, contacts_kind(config), since):
                yield _contact_row(config, record)

    def deals(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for record in _records(session, config, deals_kind(config), since):
                yield _deal_row(config, record)

    def stages() -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for pipeline in session.get(f"/crm/{config.api_version}/pipelines/deals").get("results", []):
                for stage in pipeline.get("stages", []):
                    yield _stage_row(str(pipeline["id"]), stage)

    def email_events(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            first = since or datetime.combine(window.start, time(), UTC)
            yield from _email_events(session, first)

    lag = timedelta(days=config.settling_days)
    return make_source(
        NAME,
        [
            cursor_resource(NAME, contract.HUBSPOT_CONTACTS, window, hasher, lag=lag, pull=contacts),
            cursor_resource(NAME, contract.HUBSPOT_DEALS, window, hasher, lag=lag, pull=deals),
            snapshot_resource(NAME, contract.HUBSPOT_STAGES, hasher, stages),
            cursor_resource(NAME, contract.HUBSPOT_EMAIL_EVENTS, window, hasher, lag=lag, pull=email_events),
        ],
    )


def _records(
    session: VendorSession, config: HubspotConfig, kind: ObjectKind, since: datetime | None
) -> Iterator[Mapping[str, Any]]:
    """Records changed since then, or all; archived ones always."""
    if since is None:
        yield from _list(session, config, kind, archived=False)
    else:
        yield from _changed(session, config, kind, since)
    yield from _list(session, config, kind, archived=True)


def _list(
    session: VendorSession, config: HubspotConfig, kind: ObjectKind, archived: bool
) -> Iterator[Mapping[str, Any]]:
    params = {
        "limit": str(config.page_size),
        "properties": ",".join(kind.properties),
        "archived": str(archived).lower(),
    }
    if kind.associations and not archived:
        params["associations"] = kind.associations

    def fetch(after: str | None) -> tuple[Any, str | None]:
        reply = session.get(
            f"/crm/{config.api_version}/objects/{kind.path}", params | ({"after": after} if after else {})
        )
        return reply.get("results", []), _next_after(reply)

    for page in walk(f"{NAME} {kind.path}", fetch):
        yield from page


def _next_after(reply: Mapping[str, Any]) -> str | None:
    after = ((reply.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)


def _changed(
    session: VendorSession, config: HubspotConfig, kind: ObjectKind, since: datetime
) -> Iterator[Mapping[str, Any]]:
    """Changed records; search does not tell what they are associated with, so that is asked for in batches."""
    batch: list[Mapping[str, Any]] = []
    for record in _search(session, config, kind, since):
        if not kind.associations:
            yield record
            continue
        batch.append(record)
        if len(batch) == ASSOCIATION_BATCH:
            yield from _with_associations(session, kind, batch)
            batch = []
    if batch:
        yield from _with_associations(session, kind, batch)


def _with_associations(
    session: VendorSession, kind: ObjectKind, records: list[Mapping[str, Any]]
) -> Iterator[Mapping[str, Any]]:
    reply = session.post(
        f"/crm/v4/associations/{kind.path}/{kind.associations}/batch/read",
        {"inputs": [{"id": str(record["id"])} for record in records]},
    )
    linked = {
        str(result["from"]["id"]): [{"id": str(other["toObjectId"])} for other in result.get("to", [])]
        for result in reply.get("results", [])
    }
    for record in records:
        yield {**record, "associations": {kind.associations: {"results": linked.get(str(record["id"]), [])}}}


def _search(
    session: VendorSession, config: HubspotConfig, kind: ObjectKind, since: datetime
) -> Iterator[Mapping[str, Any]]:
    """Changed records, oldest change first, started anew from the last change at each 10,000."""
    start: int | None = int(since.timestamp() * 1000)
    while start is not None:
        begun, last, at_limit = start, start, False
        for page, is_final in _search_pages(session, config, kind, begun):
            yield from page
            at_limit = is_final
            last = max([last, *(_changed_ms(record, kind) for record in page)])
        if at_limit and last == begun:
            raise VendorError(
                f"{NAME}: more than {SEARCH_LIMIT} {kind.path} changed in the same millisecond, which search cannot list. "
                "Refresh this source to list everything."
            )
        start = last if at_limit else None


def _search_pages(
    session: VendorSession, config: HubspotConfig, kind: ObjectKind, start_ms: int
) -> Iterator[tuple[list[Mapping[str, Any]], bool]]:
    """Pages of one search, each with whether it is the last one that search may show although there are more."""
    question = {
        "filterGroups": [{"filters": [{"propertyName": kind.cursor, "operator": "GTE", "value": str(start_ms)}]}],
        "sorts": [{"propertyName": kind.cursor, "direction": "ASCENDING"}],
        "properties": list(kind.properties),
        "limit": SEARCH_PAGE,
    }

    def fetch(after: str | None) -> tuple[Any, str | None]:
        reply = session.post(
            f"/crm/{config.api_version}/objects/{kind.path}/search", question | ({"after": after} if after else {})
        )
        following = _next_after(reply)
        # Asking past the limit is an error of the whole call.
        at_limit = following is not None and following.isdigit() and int(following) + SEARCH_PAGE > SEARCH_LIMIT
        return (reply.get("results", []), at_limit), None if at_limit else following

    yield from walk(f"{NAME} {kind.path} search", fetch)


def _changed_ms(record: Mapping[str, Any], kind: ObjectKind) -> int:
    value = record.get("properties", {}).get(kind.cursor) or record.get("updatedAt")
    return int(moment(value).replace(tzinfo=UTC).timestamp() * 1000)


def _email_events(session: VendorSession, since: datetime) -> Iterator[Mapping[str, Any]]:
    names: dict[str, str | None] = {}
    params = {"startTimestamp": str(int(since.timestamp() * 1000)), "limit": str(EVENT_PAGE)}

    def fetch(offset: str | None) -> tuple[Any, str | None]:
        reply = session.get("/email/public/v1/events", params | ({"offset": offset} if offset else {}))
        return reply.get("events", []), str(reply["offset"]) if reply.get("hasMore") else None

    for page in walk(f"{NAME} e-mail events", fetch):
        for event in page:
            campaign = str(event["emailCampaignId"]) if event.get("emailCampaignId") is not None else None
            if campaign and campaign not in names:
                names[campaign] = _campaign_name(session, campaign)
            yield {
                "id": event.get("id"),
                "type": event.get("type"),
                "created": from_epoch_ms(event.get("created")),
                "campaign_id": campaign,
                "email_campaign_name": names.get(campaign or ""),
                "email_hash": event.get("recipient"),
                "url": event.get("url"),
                "filtered_event": event.get("filteredEvent", False),
            }


def _campaign_name(session: VendorSession, campaign: str) -> str | None:
    """The e-mail campaign's name; None where HubSpot does not tell it, which must not stop the events."""
    try:
        found = session.get(f"/email/public/v1/campaigns/{campaign}")
    except VendorError as error:
        LOG.info("%s: no name for e-mail campaign %s (%s)", NAME, campaign, error)
        return None
    return found.get("name") or found.get("subject")


def _contact_row(config: HubspotConfig, record: Mapping[str, Any]) -> dict[str, Any]:
    properties = record.get("properties") or {}
    return {
        "id": record.get("id"),
        "email_hash": properties.get("email"),
        "created_at": record.get("createdAt") or properties.get("createdate"),
        "updated_at": record.get("updatedAt") or properties.get("lastmodifieddate"),
        "archived": record.get("archived", False),
        "lifecyclestage": properties.get("lifecyclestage"),
        "customer_source": properties.get(config.customer_source_property),
        "user_id": properties.get(config.user_id_property),
        "organisation_id": properties.get(config.organisation_id_property),
        "hs_analytics_source": properties.get("hs_analytics_source"),
        "hs_google_click_id": properties.get("hs_google_click_id"),
        "first_url": properties.get(config.first_url_property),
    }


def _deal_row(config: HubspotConfig, record: Mapping[str, Any]) -> dict[str, Any]:
    properties = record.get("properties") or {}
    associated = ((record.get("associations") or {}).get("contacts") or {}).get("results", [])
    contacts = sorted({str(item["id"]) for item in associated})
    return {
        "id": record.get("id"),
        "dealname_hash": properties.get("dealname"),
        "pipeline": properties.get("pipeline"),
        "dealstage": properties.get("dealstage"),
        "amount": properties.get("amount"),
        "deal_currency_code": properties.get("deal_currency_code"),
        "create_date": properties.get("createdate") or record.get("createdAt"),
        "close_date": properties.get("closedate"),
        "updated_at": record.get("updatedAt") or properties.get("hs_lastmodifieddate"),
        "archived": record.get("archived", False),
        "contact_ids": json.dumps(contacts),
        "product": properties.get(config.product_property),
    }


def _stage_row(pipeline_id: str, stage: Mapping[str, Any]) -> dict[str, Any]:
    metadata = stage.get("metadata") or {}
    probability = metadata.get("probability")
    closed = str(metadata.get("isClosed", "false")).lower() == "true"
    return {
        "pipeline_id": pipeline_id,
        "stage_id": stage.get("id"),
        "label": stage.get("label"),
        "display_order": stage.get("displayOrder"),
        "probability": probability,
        "is_closed": closed,
        # HubSpot has no flag for it: a closed stage with full probability is the won one.
        "is_won": closed and str(probability) in ("1", "1.0", "1.00"),
    }


def probe(config: HubspotConfig) -> Iterator[Finding]:
    """Whether the token reads contacts."""
    with open_session(config) as session:
        session.get(f"/crm/{config.api_version}/objects/contacts", {"limit": "1"})
        yield Finding("ok", NAME, "the token is accepted")


SPEC: Final = SourceSpec(
    name=NAME,
    title="HubSpot",
    config_model=HubspotConfig,
    resources=contract.HUBSPOT,
    secrets=(TOKEN,),
    build=build,
    probe=probe,
)
