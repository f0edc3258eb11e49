"""Salesforce: contacts, leads, opportunities with their contacts and stage history.

Read with SOQL through `queryAll`, which tells deleted rows too, from the `SystemModstamp` of the last run. An object with
many rows to read goes through Bulk API 2.0, which costs a handful of the day's requests instead of one for 2,000 rows.
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines import http
from dlt_pipelines.config import ExtractionWindow, SalesforceConfig
from dlt_pipelines.dialects import oauth, salesforce
from dlt_pipelines.http import VendorError, VendorSession, walk
from dlt_pipelines.oauth import FetchedToken
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "salesforce"
CLIENT_ID: Final = SecretSpec("SALESFORCE_CLIENT_ID", "consumer key of a connected app with the scope api")
CLIENT_SECRET: Final = SecretSpec("SALESFORCE_CLIENT_SECRET", "consumer secret of the connected app")
REFRESH_TOKEN: Final = SecretSpec(
    "SALESFORCE_REFRESH_TOKEN",
    "refresh token of a user; without one the connected app signs in for itself (client credentials)",
    required=False,
)
BULK_PAGE: Final = 50_000
FIRST_POLL_SECONDS: Final = 0.5
LONGEST_POLL_SECONDS: Final = 30.0
JOB_TIMEOUT_SECONDS: Final = 3600.0
_PERSON = (
    C("id", "text", "Record, 18 characters."),
    C("email_hash", "text", "Keyed hash of the e-mail address.", "email"),
    C("created_at", "timestamp", "Creation, UTC."),
    C("updated_at", "timestamp", "Last change (SystemModstamp), UTC."),
    C("is_deleted", "bool", "In the recycle bin, or merged into another."),
    C("master_record_id", "text", "The record this one was merged into."),
    C("lead_source", "text", "Salesforce's lead source.", "free_text"),
    C("customer_source", "text", "Self-reported source.", "free_text"),
    C("user_id", "text", "User id in the product.", "identifier"),
    C("organisation_id", "text", "Organisation in the product."),
    C("gclid", "text", "Google click id a form captured."),
    C("first_url", "text", "First address seen, personal values redacted.", "url"),
)
CONTACTS: Final = ResourceSpec(
    "contacts",
    ("id",),
    "Contacts, deleted ones included while the recycle bin holds them.",
    (*_PERSON, C("account_id", "text", "Account (company).")),
)
LEADS: Final = ResourceSpec(
    "leads",
    ("id",),
    "Leads, deleted and converted ones included.",
    (
        *_PERSON,
        C("status", "text", "Status."),
        C("is_converted", "bool", "Became a contact."),
        C("converted_contact_id", "text", "The contact it became."),
        C("converted_opportunity_id", "text", "The opportunity it became."),
    ),
)
OPPORTUNITIES: Final = ResourceSpec(
    "opportunities",
    ("id",),
    "Opportunities, deleted ones included while the recycle bin holds them.",
    (
        C("id", "text", "Record, 18 characters."),
        C("name_hash", "text", "Keyed hash of the name, which often holds a person's.", "name"),
        C("stage_name", "text", "Stage."),
        C("amount", "decimal", "Amount in `currency_iso_code`."),
        C("currency_iso_code", "text", "Currency; null where the org has one only."),
        C("close_date", "date", "Close, expected or real."),
        C("is_closed", "bool", "Decided."),
        C("is_won", "bool", "Won."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change (SystemModstamp), UTC."),
        C("is_deleted", "bool", "In the recycle bin."),
        C("product", "text", "Product."),
    ),
)
ROLES: Final = ResourceSpec(
    "opportunity_contacts",
    ("id",),
    "Which contacts stand on which opportunity (contact roles).",
    (
        C("id", "text", "Record, 18 characters."),
        C("opportunity_id", "text", "Opportunity."),
        C("contact_id", "text", "Contact."),
        C("is_primary", "bool", "The opportunity's primary contact."),
        C("role", "text", "Role."),
        C("created_at", "timestamp", "Creation, UTC."),
        C("updated_at", "timestamp", "Last change (SystemModstamp), UTC."),
        C("is_deleted", "bool", "Taken off."),
    ),
)
HISTORY: Final = ResourceSpec(
    "opportunity_history",
    ("id",),
    "Every change of an opportunity's stage, amount or close date; Salesforce always keeps it.",
    (
        C("id", "text", "Record, 18 characters."),
        C("opportunity_id", "text", "Opportunity."),
        C("stage_name", "text", "Stage after the change."),
        C("created_at", "timestamp", "When it changed, UTC."),
        C("is_deleted", "bool", "Gone with its opportunity."),
    ),
)
STAGES: Final = ResourceSpec(
    "opportunity_stages",
    ("api_name",),
    "Stages of the org.",
    (
        C("api_name", "text", "Stage as opportunities name it."),
        C("label", "text", "Name shown."),
        C("sort_order", "bigint", "Order."),
        C("default_probability", "double", "Win probability in percent."),
        C("is_active", "bool", "May be chosen."),
        C("is_closed", "bool", "Opportunities here are closed."),
        C("is_won", "bool", "Opportunities here are won."),
    ),
)


class SalesforceAuth(FetchedToken):
    """Tokens of a connected app: by a user's refresh token where there is one, else for itself.

    Attributes:
        instance: address that the sign-in named; the API answers there.
    """

    def __init__(self, config: SalesforceConfig) -> None:
        super().__init__(VendorSession(f"{NAME} sign-in", config, oauth))
        self._client = (CLIENT_ID.read(), CLIENT_SECRET.read())
        self._refresh_token = REFRESH_TOKEN.read()
        self._configured = config.base_url
        self._url = f"{config.base_url}/services/oauth2/token"
        self.instance = ""
        for secret in self.secrets():
            self.session.redact.add(secret)

    def secrets(self) -> Iterable[str]:
        return [*super().secrets(), self._client[1], self._refresh_token]

    def ask(self) -> Any:
        form = {"client_id": self._client[0], "client_secret": self._client[1]}
        if self._refresh_token:
            form |= {"grant_type": "refresh_token", "refresh_token": self._refresh_token}
        else:
            form |= {"grant_type": "client_credentials"}
        reply = self.session.call("POST", self._url, data=form)
        told = str(reply.get("instance_url") or "") if isinstance(reply, dict) else ""
        self.instance = told.rstrip("/") or self._configured
        return reply


class Org:
    """Reads objects of one org."""

    def __init__(self, config: SalesforceConfig) -> None:
        if not config.base_url:
            raise ValueError(
                "sources.salesforce.base_url is empty; set your org's address, such as https://company.my.salesforce.com"
            )
        self._config = config
        self._auth = SalesforceAuth(config)
        self.session = VendorSession(NAME, config, salesforce, self._auth)
        self._root = f"/services/data/{config.api_version}"

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET below the instance; only its own paths, since the token goes along."""
        return self.session.get(self._address(path), params)

    def fields(self, kind: str) -> frozenset[str]:
        """Names of an object's fields that our user may see."""
        described = self.get(f"{self._root}/sobjects/{kind}/describe")
        return frozenset(str(field["name"]) for field in described["fields"])

    def select(self, kind: str, wanted: Iterable[str], since: datetime | None) -> Iterator[Mapping[str, Any]]:
        """Rows of an object changed since then, or all; fields that it lacks are not asked for."""
        known = self.fields(kind)
        names = [name for name in dict.fromkeys(filter(None, wanted)) if name in known]
        where = f" WHERE SystemModstamp >= {_moment(since)}" if since and "SystemModstamp" in known else ""
        count = self.get(f"{self._root}/queryAll", {"q": f"SELECT COUNT() FROM {kind}{where}"})["totalSize"]
        text = f"SELECT {', '.join(names)} FROM {kind}{where}"
        in_bulk = int(count) >= self._config.bulk_rows
        for record in self._bulk(kind, text) if in_bulk else self._query(kind, f"{text} ORDER BY Id"):
            # A field that was promised and is missing is a change of format, not an empty value.
            yield {name: record[name] for name in names}

    def _query(self, kind: str, text: str) -> Iterator[Mapping[str, Any]]:
        def fetch(following: str | None) -> tuple[Any, str | None]:
            reply = self.session.call(
                "GET",
                self._address(following or f"{self._root}/queryAll"),
                params=None if following else {"q": text},
                headers={"Sforce-Query-Options": f"batchSize={self._config.page_size}"},
            )
            return reply["records"], None if reply["done"] else str(reply["nextRecordsUrl"])

        for page in walk(f"{NAME} {kind}", fetch):
            yield from page

    def _bulk(self, kind: str, text: str) -> Iterator[Mapping[str, Any]]:
        """Rows of a bulk query; every value is text, an empty one is none."""
        job = self.session.post(f"{self._address(self._root)}/jobs/query", {"operation": "queryAll", "query": text})
        path = f"{self._root}/jobs/query/{job['id']}"
        state = self._finished(path)
        if state.get("state") != "JobComplete":
            raise VendorError(
                f"{NAME}: the bulk query of {kind} ended {state.get('state')} ({state.get('errorMessage', 'no reason')}). "
                "Nothing was written; run again later."
            )

        def fetch(locator: str | None) -> tuple[Any, str | None]:
            asked = {"maxRecords": str(BULK_PAGE), **({"locator": locator} if locator else {})}
            for _ in range(http.LISTING_TRIES):
                rows = self.session.call("GET", self._address(f"{path}/results"), params=asked, decode=_csv_rows)
                headers = self.session.last_headers
                # A file cut behind a whole line looks whole; only the count tells.
                if str(len(rows)) == headers.get("Sforce-NumberOfRecords", str(len(rows))):
                    following = headers.get("Sforce-Locator", "null")
                    return rows, None if following in ("", "null") else following
            raise VendorError(
                f"{NAME}: a page of {kind} in bulk never came whole. Nothing was written; run again later."
            )

        for page in walk(f"{NAME} {kind} in bulk", fetch):
            yield from page

    def _finished(self, path: str) -> Mapping[str, Any]:
        waited, pause = 0.0, FIRST_POLL_SECONDS
        while waited < JOB_TIMEOUT_SECONDS:
            state: Mapping[str, Any] = self.get(path)
            if state.get("state") in ("JobComplete", "Failed", "Aborted"):
                return state
            http.sleep(pause)
            waited += pause
            pause = min(pause * 2, LONGEST_POLL_SECONDS)
        return {"state": "unfinished", "errorMessage": "no end within an hour"}

    def _address(self, path: str) -> str:
        if not path.startswith("/services/"):
            raise VendorError(f"{NAME}: the next page lies outside the API ({path[:60]}); refusing to send the token.")
        if not self._auth.instance:
            self._auth.headers()
        return f"{self._auth.instance}{path}"


def _csv_rows(content: bytes) -> list[dict[str, str | None]]:
    """Rows of a CSV file.

    Raises:
        ValueError: a row has another number of values than the header, as where the file was cut.
    """
    text = content.decode()
    if not text.endswith("\n"):
        raise ValueError("the last line is cut")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader)
        return [{name: value or None for name, value in zip(header, row, strict=True)} for row in reader]
    except (csv.Error, StopIteration) as error:
        raise ValueError(str(error)) from None


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _person_fields(config: SalesforceConfig) -> dict[str, str]:
    """Raw column -> field of contacts and leads alike."""
    return {
        "id": "Id",
        "email_hash": "Email",
        "created_at": "CreatedDate",
        "updated_at": "SystemModstamp",
        "is_deleted": "IsDeleted",
        "master_record_id": "MasterRecordId",
        "lead_source": "LeadSource",
        "customer_source": config.customer_source_field,
        "user_id": config.user_id_field,
        "organisation_id": config.organisation_id_field,
        "gclid": config.gclid_field,
        "first_url": config.first_url_field,
    }


def _objects(config: SalesforceConfig) -> dict[str, tuple[ResourceSpec, dict[str, str]]]:
    """Object -> its table and which field fills which column."""
    person = _person_fields(config)
    return {
        "Contact": (CONTACTS, person | {"account_id": "AccountId"}),
        "Lead": (
            LEADS,
            person
            | {
                "status": "Status",
                "is_converted": "IsConverted",
                "converted_contact_id": "ConvertedContactId",
                "converted_opportunity_id": "ConvertedOpportunityId",
            },
        ),
        "Opportunity": (
            OPPORTUNITIES,
            {
                "id": "Id",
                "name_hash": "Name",
                "stage_name": "StageName",
                "amount": "Amount",
                "currency_iso_code": "CurrencyIsoCode",
                "close_date": "CloseDate",
                "is_closed": "IsClosed",
                "is_won": "IsWon",
                "created_at": "CreatedDate",
                "updated_at": "SystemModstamp",
                "is_deleted": "IsDeleted",
                "product": config.product_field,
            },
        ),
        "OpportunityContactRole": (
            ROLES,
            {
                "id": "Id",
                "opportunity_id": "OpportunityId",
                "contact_id": "ContactId",
                "is_primary": "IsPrimary",
                "role": "Role",
                "created_at": "CreatedDate",
                "updated_at": "SystemModstamp",
                "is_deleted": "IsDeleted",
            },
        ),
        "OpportunityHistory": (
            HISTORY,
            {
                "id": "Id",
                "opportunity_id": "OpportunityId",
                "stage_name": "StageName",
                "created_at": "CreatedDate",
                "is_deleted": "IsDeleted",
            },
        ),
    }


STAGE_FIELDS: Final = {
    "api_name": "ApiName",
    "label": "MasterLabel",
    "sort_order": "SortOrder",
    "default_probability": "DefaultProbability",
    "is_active": "IsActive",
    "is_closed": "IsClosed",
    "is_won": "IsWon",
}


def _row(record: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    return {column: record.get(name) for column, name in fields.items() if name}


def build(config: SalesforceConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the connected app's org."""
    from dlt_pipelines.extraction import cursor_resource, make_source, snapshot_resource

    lag = timedelta(days=config.settling_days)

    def changes(kind: str, spec: ResourceSpec, fields: Mapping[str, str]) -> "DltResource":
        def pull(since: datetime | None) -> Iterator[Mapping[str, Any]]:
            org = Org(config)
            with org.session:
                for record in org.select(kind, fields.values(), since):
                    yield _row(record, fields)

        return cursor_resource(NAME, spec, window, hasher, lag=lag, pull=pull)

    def stages() -> Iterator[Mapping[str, Any]]:
        org = Org(config)
        with org.session:
            for record in org.select("OpportunityStage", STAGE_FIELDS.values(), None):
                yield _row(record, STAGE_FIELDS)

    return make_source(
        NAME,
        [
            *(changes(kind, spec, fields) for kind, (spec, fields) in _objects(config).items()),
            snapshot_resource(NAME, STAGES, hasher, stages),
        ],
    )


def probe(config: SalesforceConfig) -> Iterator[Finding]:
    """Whether the connected app signs in, and whether the fields that the settings name are there."""
    org = Org(config)
    with org.session:
        for kind, own in (("Contact", _person_fields(config)), ("Opportunity", {"product": config.product_field})):
            known = org.fields(kind)
            lacking = sorted(name for name in own.values() if name.endswith("__c") and name not in known)
            if lacking:
                yield Finding(
                    "warning",
                    f"{NAME}: {kind}",
                    f"has no field {', '.join(lacking)}",
                    "Name the org's own fields under [sources.salesforce], or set them to an empty text.",
                )
    yield Finding("ok", NAME, "the connected app signs in")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Salesforce",
    config_model=SalesforceConfig,
    resources=(CONTACTS, LEADS, OPPORTUNITIES, ROLES, HISTORY, STAGES),
    secrets=(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
