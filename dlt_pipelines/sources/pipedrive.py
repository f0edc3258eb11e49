"""Pipedrive: persons, deals, stages and the way deals took through them.

Listings are those of API v2, read by cursor from the last run's moment; what became of a deal's stage is told per deal by
its changelog, so only changed deals are asked. A won or lost deal stays in the stage it was in: its status says the rest.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, PipedriveConfig
from dlt_pipelines.dialects import pipedrive
from dlt_pipelines.http import HeaderAuth, VendorSession, walk
from dlt_pipelines.oauth import RefreshTokenAuth
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "pipedrive"
API_TOKEN: Final = SecretSpec(
    "PIPEDRIVE_API_TOKEN", "personal API token; or PIPEDRIVE_REFRESH_TOKEN with a client", required=False
)
REFRESH_TOKEN: Final = SecretSpec("PIPEDRIVE_REFRESH_TOKEN", "refresh token of an OAuth app", required=False)
CLIENT_ID: Final = SecretSpec("PIPEDRIVE_CLIENT_ID", "client id of the OAuth app", required=False)
CLIENT_SECRET: Final = SecretSpec("PIPEDRIVE_CLIENT_SECRET", "client secret of the OAuth app", required=False)
STATUSES: Final = "open,won,lost,deleted"

PERSONS: Final = ResourceSpec(
    "persons",
    ("id",),
    "Contact persons.",
    (
        C("id", "text", "Person."),
        C("email_hash", "text", "Keyed hash of the primary e-mail address.", "email"),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("is_deleted", "bool", "Deleted."),
        C("customer_source", "text", "Self-reported source.", "free_text"),
        C("user_id", "text", "User id in the product.", "identifier"),
        C("organisation_id", "text", "Organisation in the product."),
        C("gclid", "text", "Google click id a form captured."),
        C("first_url", "text", "First address seen, personal values redacted.", "url"),
    ),
)
DEALS: Final = ResourceSpec(
    "deals",
    ("id",),
    "Deals, archived ones included, deleted ones while Pipedrive tells of them (30 days).",
    (
        C("id", "text", "Deal."),
        C("title_hash", "text", "Keyed hash of the title, which often holds a person's name.", "name"),
        C("pipeline_id", "text", "Pipeline."),
        C("stage_id", "text", "Stage; the last one before it was won or lost."),
        C("status", "text", "open, won, lost or deleted."),
        C("value", "decimal", "Value in `currency`."),
        C("currency", "text", "Currency."),
        C("person_id", "text", "Contact person."),
        C("expected_close_date", "date", "Forecast of the close."),
        C("won_at", "timestamp", "Won, UTC."),
        C("lost_at", "timestamp", "Lost, UTC."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change, UTC."),
        C("is_deleted", "bool", "Deleted."),
        C("is_archived", "bool", "Put aside; it still counts."),
        C("product", "text", "Product."),
    ),
)
STAGES: Final = ResourceSpec(
    "stages",
    ("id",),
    "Stages of every pipeline.",
    (
        C("id", "text", "Stage."),
        C("pipeline_id", "text", "Pipeline."),
        C("name", "text", "Name shown."),
        C("order_nr", "bigint", "Order in the pipeline."),
        C("deal_probability", "double", "Win probability in percent."),
        C("is_deleted", "bool", "Deleted."),
    ),
)
CHANGES: Final = ResourceSpec(
    "stage_changes",
    ("deal_id", "changed_at", "stage_id"),
    "Every move of a deal from one stage to another.",
    (
        C("deal_id", "text", "Deal."),
        C("changed_at", "timestamp", "When, UTC."),
        C("stage_id", "text", "Stage it went to."),
        C("old_stage_id", "text", "Stage it came from."),
    ),
)


@dataclass(frozen=True)
class CustomField:
    """A field the account made itself: the key records carry it under, and what its options are called."""

    key: str
    options: Mapping[str, str]

    def of(self, record: Mapping[str, Any]) -> Any:
        """The record's value; an option by its label."""
        value = (record.get("custom_fields") or {}).get(self.key)
        if isinstance(value, Mapping):
            value = value.get("value", value.get("id"))
        return self.options.get(str(value), value)


class Account:
    """Reads listings of one company's account."""

    def __init__(self, config: PipedriveConfig) -> None:
        if not config.base_url:
            raise ValueError(
                "sources.pipedrive.base_url is empty; set your company's address, such as https://company.pipedrive.com"
            )
        self._config = config
        self.session = VendorSession(NAME, config, pipedrive, _auth(config))

    def pages(self, path: str, params: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Rows of a listing."""

        def fetch(cursor: str | None) -> tuple[Any, str | None]:
            asked = {**params, "limit": str(self._config.page_size), **({"cursor": cursor} if cursor else {})}
            reply = self.session.get(path, asked)
            following = (reply.get("additional_data") or {}).get("next_cursor")
            return reply["data"] or [], str(following) if following else None

        for page in walk(f"{NAME} {path}", fetch):
            yield from page

    def changed(self, path: str, since: datetime | None, **params: str) -> Iterator[Mapping[str, Any]]:
        """Rows changed since then, or all."""
        asked = {"sort_by": "update_time", "sort_direction": "asc", **params}
        if since:
            asked["updated_since"] = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.pages(path, asked)

    def deals(self, since: datetime | None) -> Iterator[Mapping[str, Any]]:
        """Deals, archived ones behind the others."""
        yield from self.changed("/api/v2/deals", since, status=STATUSES)
        for deal in self.changed("/api/v2/deals/archived", since):
            yield {**deal, "is_archived": True}

    def custom_fields(self, kind: str, names: Mapping[str, str]) -> dict[str, CustomField]:
        """The account's own fields by our column, found by the name people see or by key; absent ones are left out."""
        wanted = {column: name for column, name in names.items() if name}
        if not wanted:
            return {}
        found: dict[str, CustomField] = {}
        listed = list(self.pages(f"/api/v2/{kind}Fields", {}))
        for column, name in wanted.items():
            for field in listed:
                if name.casefold() in (str(field["field_name"]).casefold(), str(field["field_code"])):
                    options = {str(option["id"]): str(option["label"]) for option in field.get("options") or []}
                    found[column] = CustomField(str(field["field_code"]), options)
        return found


def _auth(config: PipedriveConfig) -> HeaderAuth | RefreshTokenAuth:
    token = API_TOKEN.read()
    if token:
        return HeaderAuth("x-api-token", token, token)
    if not REFRESH_TOKEN.read():
        SecretSpec(API_TOKEN.env, API_TOKEN.purpose).read()
    return RefreshTokenAuth(
        NAME,
        config,
        token_url=config.token_url,
        client_id=SecretSpec(CLIENT_ID.env, CLIENT_ID.purpose).read(),
        client_secret=SecretSpec(CLIENT_SECRET.env, CLIENT_SECRET.purpose).read(),
        refresh_token=REFRESH_TOKEN.read(),
        basic=True,
    )


def _person_fields(config: PipedriveConfig) -> dict[str, str]:
    return {
        "customer_source": config.customer_source_field,
        "user_id": config.user_id_field,
        "organisation_id": config.organisation_id_field,
        "gclid": config.gclid_field,
        "first_url": config.first_url_field,
    }


def build(config: PipedriveConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of one company's account."""
    from dlt_pipelines.extraction import cursor_resource, make_source, snapshot_resource

    def persons(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        account = Account(config)
        with account.session:
            own = account.custom_fields("person", _person_fields(config))
            for person in account.changed("/api/v2/persons", since):
                yield _person_row(person, own)

    def deals(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        account = Account(config)
        with account.session:
            own = account.custom_fields("deal", {"product": config.product_field})
            for deal in account.deals(since):
                yield _deal_row(deal, own)

    def stages() -> Iterator[Mapping[str, Any]]:
        account = Account(config)
        with account.session:
            for stage in account.pages("/api/v2/stages", {}):
                yield {
                    "id": stage["id"],
                    "pipeline_id": stage["pipeline_id"],
                    "name": stage["name"],
                    "order_nr": stage["order_nr"],
                    "deal_probability": stage.get("deal_probability"),
                    "is_deleted": stage.get("is_deleted", False),
                }

    def changes(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        account = Account(config)
        with account.session:
            for deal in account.deals(since):
                for change in account.pages(f"/v1/deals/{deal['id']}/changelog", {}):
                    if change["field_key"] == "stage_id" and change["new_value"] is not None:
                        yield {
                            "deal_id": deal["id"],
                            "changed_at": change["time"],
                            "stage_id": change["new_value"],
                            "old_stage_id": change["old_value"],
                        }

    lag = timedelta(days=config.settling_days)
    resources = [
        cursor_resource(NAME, PERSONS, window, hasher, lag=lag, pull=persons),
        cursor_resource(NAME, DEALS, window, hasher, lag=lag, pull=deals),
        snapshot_resource(NAME, STAGES, hasher, stages),
    ]
    if config.stage_history:
        resources.append(cursor_resource(NAME, CHANGES, window, hasher, lag=lag, pull=changes))
    return make_source(NAME, resources)


def _person_row(person: Mapping[str, Any], own: Mapping[str, CustomField]) -> dict[str, Any]:
    emails = person["emails"] or []
    primary = next((item for item in emails if item.get("primary")), emails[0] if emails else {})
    return {
        "id": person["id"],
        "email_hash": primary.get("value"),
        "created_at": person["add_time"],
        "updated_at": person["update_time"],
        "is_deleted": person.get("is_deleted", False),
        **{column: field.of(person) for column, field in own.items()},
    }


def _deal_row(deal: Mapping[str, Any], own: Mapping[str, CustomField]) -> dict[str, Any]:
    return {
        "id": deal["id"],
        "title_hash": deal["title"],
        "pipeline_id": deal["pipeline_id"],
        "stage_id": deal["stage_id"],
        "status": deal["status"],
        "value": deal["value"],
        "currency": deal["currency"],
        "person_id": deal["person_id"],
        "expected_close_date": deal.get("expected_close_date"),
        "won_at": deal.get("won_time"),
        "lost_at": deal.get("lost_time"),
        "created_at": deal["add_time"],
        "updated_at": deal["update_time"],
        "is_deleted": deal.get("is_deleted", False),
        "is_archived": deal.get("is_archived", False),
        **{column: field.of(deal) for column, field in own.items()},
    }


def probe(config: PipedriveConfig) -> Iterator[Finding]:
    """Whether the credentials open the account, and whether the fields that the settings name are there."""
    account = Account(config)
    with account.session:
        for kind, names in (("person", _person_fields(config)), ("deal", {"product": config.product_field})):
            known = account.custom_fields(kind, names)
            absent = sorted(name for column, name in names.items() if name and column not in known)
            if absent:
                yield Finding(
                    "warning",
                    f"{NAME}: {kind}s",
                    f"have no field {', '.join(absent)}",
                    "Name the account's own fields under [sources.pipedrive], or set them to an empty text.",
                )
    yield Finding("ok", NAME, "the credentials are accepted")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Pipedrive",
    config_model=PipedriveConfig,
    resources=(PERSONS, DEALS, STAGES, CHANGES),
    secrets=(API_TOKEN, REFRESH_TOKEN, CLIENT_ID, CLIENT_SECRET),
    build=build,
    probe=probe,
)
