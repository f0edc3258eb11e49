"""Mailchimp: campaigns, and what each recipient did with them.

Its recipient id is a plain MD5 of the address, which anybody can compute: it is keyed-hashed like the address.
"""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines import contract
from dlt_pipelines.config import ExtractionWindow, MailchimpConfig
from dlt_pipelines.dialects import plain
from dlt_pipelines.http import CredentialsRejected, HeaderAuth, VendorSession, read_by_offset
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

NAME: Final = "mailchimp"
API_KEY: Final = SecretSpec("MAILCHIMP_API_KEY", "API key, ending in its data centre such as -us21")


def open_session(config: MailchimpConfig) -> VendorSession:
    """A session at the data centre that the key names, unless an address is configured.

    Raises:
        MissingSecret: no key.
        CredentialsRejected: the key names no data centre and no address is configured.
    """
    key = API_KEY.read()
    if not config.base_url:
        _, dash, centre = key.rpartition("-")
        if not dash or not centre.isalnum():
            raise CredentialsRejected(f"{API_KEY.env} does not end in a data centre such as -us21. Copy the whole key.")
        config = config.model_copy(update={"base_url": f"https://{centre}.api.mailchimp.com"})
    basic = base64.b64encode(f"attribution:{key}".encode()).decode()
    session = VendorSession(NAME, config, plain, HeaderAuth("Authorization", f"Basic {basic}", key))
    session.redact.add(basic)
    return session


def _listing(
    session: VendorSession, config: MailchimpConfig, path: str, name: str, key: str, params: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    def fetch(offset: int) -> tuple[list[Any], int]:
        asked = {**params, "count": str(config.page_size), "offset": str(offset)}
        reply = session.get(f"/{config.api_version}{path}", asked)
        return reply.get(name, []), int(reply.get("total_items", 0))

    return read_by_offset(f"{NAME} {path}", fetch, config.page_size, lambda row: row.get(key))


def build(config: MailchimpConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the key's account."""
    from dlt_pipelines.extraction import cursor_resource, make_source

    def campaigns(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        # The list is short and a campaign's counts keep changing, so that it is read whole.
        with open_session(config) as session:
            for row in _listing(session, config, "/campaigns", "campaigns", "id", {"status": "sent"}):
                yield _campaign_row(row)

    def activity(since: datetime | None) -> Iterator[Mapping[str, Any]]:
        first = since or datetime.combine(window.start, time(), UTC)
        sent_after = first - timedelta(days=config.activity_days)
        with open_session(config) as session:
            asked = {"status": "sent", "since_send_time": sent_after.isoformat()}
            for campaign in _listing(session, config, "/campaigns", "campaigns", "id", asked):
                path = f"/reports/{campaign['id']}/email-activity"
                params = {"since": since.isoformat()} if since else {}
                for recipient in _listing(session, config, path, "emails", "email_id", params):
                    yield from _activity_rows(recipient, hasher)

    lag = timedelta(days=config.settling_days)
    return make_source(
        NAME,
        [
            cursor_resource(NAME, contract.MAILCHIMP_CAMPAIGNS, window, hasher, lag=lag, pull=campaigns),
            cursor_resource(NAME, contract.MAILCHIMP_ACTIVITY, window, hasher, lag=lag, pull=activity),
        ],
    )


def _campaign_row(row: Mapping[str, Any]) -> dict[str, Any]:
    settings = row.get("settings") or {}
    return {
        "id": row.get("id"),
        "list_id": (row.get("recipients") or {}).get("list_id"),
        "title": settings.get("title"),
        "subject_line": settings.get("subject_line"),
        "status": row.get("status"),
        "send_time": row.get("send_time"),
        "emails_sent": row.get("emails_sent"),
        "archive_url": row.get("archive_url"),
    }


def _activity_rows(recipient: Mapping[str, Any], hasher: Hasher) -> Iterator[dict[str, Any]]:
    member = str(recipient.get("email_id"))
    for action in recipient.get("activity") or []:
        natural = (
            recipient.get("campaign_id"),
            member,
            action.get("action"),
            action.get("timestamp"),
            action.get("url"),
        )
        yield {
            # Keyed, since a plain hash over the guessable MD5 would be guessable as well.
            "activity_id": hasher.digest("\x1f".join(map(str, natural)))[:32],
            "campaign_id": recipient.get("campaign_id"),
            "list_id": recipient.get("list_id"),
            "email_id": hasher.digest(member),
            "email_hash": recipient.get("email_address"),
            "action": action.get("action"),
            "timestamp": action.get("timestamp"),
            "url": action.get("url"),
            "ip_hash": action.get("ip"),
        }


def probe(config: MailchimpConfig) -> Iterator[Finding]:
    """Whether the key opens its account."""
    with open_session(config) as session:
        session.get(f"/{config.api_version}/ping")
        yield Finding("ok", NAME, "the key is accepted")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Mailchimp",
    config_model=MailchimpConfig,
    resources=contract.MAILCHIMP,
    secrets=(API_KEY,),
    build=build,
    probe=probe,
)
