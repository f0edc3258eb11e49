"""X ads: spend, clicks and conversions per campaign, placement and day, by call for short spans and by job for long ones.

Statistics come as arrays without dates: the place in the array is the day, counted from a midnight of the account's time
zone. A metric without delivery is null. Which campaigns ran where is asked first, so that idle ones cost no call.
"""

import gzip
import json
import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, XAdsConfig
from dlt_pipelines.dialects import x_ads
from dlt_pipelines.http import VendorError, VendorSession, poll, walk
from dlt_pipelines.oauth1 import OAuth1Auth
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import midnight
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec, looked_at

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

LOG = logging.getLogger(__name__)
NAME: Final = "x_ads"
CONSUMER_KEY: Final = SecretSpec("X_ADS_CONSUMER_KEY", "consumer key of the developer application")
CONSUMER_SECRET: Final = SecretSpec("X_ADS_CONSUMER_SECRET", "consumer secret of the developer application")
ACCESS_TOKEN: Final = SecretSpec("X_ADS_ACCESS_TOKEN", "access token of a user who may read the ad accounts")
ACCESS_SECRET: Final = SecretSpec("X_ADS_ACCESS_TOKEN_SECRET", "secret of the access token")
DAYS_A_CALL: Final = 7
DAYS_A_JOB: Final = 90
ENTITIES_A_CALL: Final = 20
JOB_TRIES: Final = 3
GROUPS: Final = "ENGAGEMENT,BILLING,WEB_CONVERSION"
METRICS: Final = ("impressions", "clicks", "url_clicks", "billed_charge_local_micro")
CONVERSIONS: Final = ("conversion_purchases", "conversion_sign_ups")
CAMPAIGN_DAILY: Final = ResourceSpec(
    "campaign_daily",
    ("date", "account_id", "campaign_id", "placement"),
    "Spend, clicks and conversions per campaign, placement and day; days without delivery are left out.",
    (
        C("date", "date", "Day in the account's time zone."),
        C("account_id", "text", "Ad account."),
        C("campaign_id", "text", "Campaign."),
        C("placement", "text", "Where the ads were shown, such as ALL_ON_TWITTER."),
        C("campaign_name", "text", "Campaign name."),
        C("impressions", "bigint", "Impressions."),
        C("clicks", "bigint", "All clicks, profile and media included."),
        C("url_clicks", "bigint", "Clicks on links."),
        C("billed_charge_local_micro", "bigint", "Spend in millionths of `currency`."),
        C("conversion_purchases", "double", "Purchases X claims."),
        C("conversion_sign_ups", "double", "Sign-ups X claims."),
        C("currency", "text", "Currency of the campaign."),
        C("time_zone", "text", "Time zone of the account."),
    ),
)


def open_session(config: XAdsConfig) -> VendorSession:
    auth = OAuth1Auth(CONSUMER_KEY.read(), CONSUMER_SECRET.read(), ACCESS_TOKEN.read(), ACCESS_SECRET.read())
    session = VendorSession(NAME, config, x_ads, auth)
    auth.skew = session.clock_skew
    return session


def account_facts(session: VendorSession, config: XAdsConfig, account: str) -> Mapping[str, Any]:
    """Name and time zone of an ad account."""
    found: Mapping[str, Any] = session.get(f"/{config.api_version}/accounts/{account}")["data"]
    return found


def build(config: XAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured ad accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.account_ids:
        raise ValueError("sources.x_ads.account_ids is empty; name the ad accounts to read.")

    def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            zone = str(account_facts(session, config, days.account)["timezone"])
            campaigns = _campaigns(session, config, days.account)
            by_call = (days.end - days.start).days <= config.sync_days
            for part in days.chunks(DAYS_A_CALL if by_call else DAYS_A_JOB):
                for placement, ids in _active(session, config, part, zone).items():
                    for start in range(0, len(ids), ENTITIES_A_CALL):
                        question = _question(part, zone, placement, ids[start : start + ENTITIES_A_CALL])
                        stats = (_by_call if by_call else _by_job)(session, config, days.account, question)
                        yield from _rows(part, zone, placement, campaigns, stats)

    return make_source(
        NAME,
        [
            day_resource(
                NAME,
                CAMPAIGN_DAILY,
                window,
                hasher,
                accounts=config.account_ids,
                settling_days=config.settling_days,
                pull=pull,
            )
        ],
    )


def _campaigns(session: VendorSession, config: XAdsConfig, account: str) -> dict[str, Mapping[str, Any]]:
    """Every campaign by id, deleted ones too: their days still count."""

    def fetch(cursor: str | None) -> tuple[Any, str | None]:
        question = {"with_deleted": "true", "count": config.page_size} | ({"cursor": cursor} if cursor else {})
        reply = session.get(f"/{config.api_version}/accounts/{account}/campaigns", question)
        return reply["data"], reply.get("next_cursor") or None

    return {str(found["id"]): found for page in walk(f"{NAME} account {account}", fetch) for found in page}


def _span(days: "DayRange", zone: str) -> dict[str, str]:
    return {"start_time": midnight(days.start, zone), "end_time": midnight(days.end, zone)}


def _active(session: VendorSession, config: XAdsConfig, days: "DayRange", zone: str) -> dict[str, list[str]]:
    """Campaigns with activity by placement, both in order."""
    path = f"/{config.api_version}/stats/accounts/{days.account}/active_entities"
    reply = session.get(path, {"entity": "CAMPAIGN", **_span(days, zone)})
    found: dict[str, set[str]] = {}
    for entity in reply["data"]:
        for placement in entity["placements"]:
            found.setdefault(str(placement), set()).add(str(entity["entity_id"]))
    return {placement: sorted(ids) for placement, ids in sorted(found.items())}


def _question(days: "DayRange", zone: str, placement: str, ids: Sequence[str]) -> dict[str, str]:
    return {
        "entity": "CAMPAIGN",
        "entity_ids": ",".join(ids),
        **_span(days, zone),
        "granularity": "DAY",
        "placement": placement,
        "metric_groups": GROUPS,
    }


def _by_call(session: VendorSession, config: XAdsConfig, account: str, question: Mapping[str, str]) -> Any:
    return session.get(f"/{config.api_version}/stats/accounts/{account}", question)


def _by_job(session: VendorSession, config: XAdsConfig, account: str, question: Mapping[str, str]) -> Any:
    """The same statistics from a file that X builds.

    Raises:
        VendorError: the job failed repeatedly or never ended.
    """
    path = f"/{config.api_version}/stats/jobs/accounts/{account}"
    status = ""
    for attempt in range(1, JOB_TRIES + 1):
        # The number of a job has more digits than a float holds; its text is safe in any language.
        job = str(session.call("POST", path, params=question)["data"]["id_str"])

        def ended(job: str = job) -> Mapping[str, Any] | None:
            state: Mapping[str, Any] = session.get(path, {"job_ids": job})["data"][0]
            return None if state["status"] in ("QUEUED", "UPLOADING", "PROCESSING") else state

        state = poll(ended) or {"status": "no end within an hour"}
        status = str(state["status"])
        if status == "SUCCESS":
            return session.download(str(state["url"]), unpacked)
        LOG.warning("%s: statistics job of %s: %s (attempt %d)", NAME, account, status, attempt)
    raise VendorError(f"{NAME}: the statistics job of account {account} ended {JOB_TRIES} times with {status!r}.")


def unpacked(content: bytes) -> Any:
    """A gzipped JSON document.

    Raises:
        ValueError: it is not whole.
    """
    try:
        return json.loads(gzip.decompress(content))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(str(error)) from None


def _rows(
    days: "DayRange", zone: str, placement: str, campaigns: Mapping[str, Mapping[str, Any]], stats: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    length = (days.end - days.start).days
    for entity in stats["data"]:
        campaign = str(entity["id"])
        facts = campaigns.get(campaign, {})
        for part in entity["id_data"]:
            metrics = part["metrics"]
            series = {name: _series(metrics[name], length, name) for name in METRICS}
            series |= {name: _series(_total(metrics.get(name)), length, name) for name in CONVERSIONS}
            for place in range(length):
                values = {name: numbers[place] for name, numbers in series.items()}
                if any(values.values()):
                    yield values | {
                        "date": days.start + timedelta(days=place),
                        "account_id": days.account,
                        "campaign_id": campaign,
                        "placement": placement,
                        "campaign_name": facts.get("name"),
                        "currency": facts.get("currency"),
                        "time_zone": zone,
                    }


def _total(metric: Any) -> Any:
    """A conversion metric's own count; beside it stand its shares by view and by click, sale amounts and orders."""
    return metric.get("metric") if isinstance(metric, Mapping) else metric


def _series(values: Any, length: int, name: str) -> Sequence[Any]:
    """One value a day; zeros where the metric is null, which it is when nothing happened in the whole span asked for.

    Kept as null, a day would change with the span it was asked in.

    Raises:
        VendorError: another number of days came than was asked for.
    """
    if values is None:
        return [0] * length
    if not isinstance(values, list) or len(values) != length:
        shown = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
        raise VendorError(
            f"{NAME}: the vendor sent {shown} of {name} for {length} days; its format changed. "
            "Nothing of this source was written."
        )
    return values


def probe(config: XAdsConfig) -> Iterator[Finding]:
    """Whether the tokens reach every configured ad account."""
    with open_session(config) as session:

        def look(account: str) -> str:
            facts = account_facts(session, config, account)
            return f"{facts.get('name')}, {facts.get('timezone')}"

        yield from looked_at(NAME, "account_ids", config.account_ids, "ad accounts", look)


SPEC: Final = SourceSpec(
    name=NAME,
    title="X Ads",
    config_model=XAdsConfig,
    resources=(CAMPAIGN_DAILY,),
    secrets=(CONSUMER_KEY, CONSUMER_SECRET, ACCESS_TOKEN, ACCESS_SECRET),
    build=build,
    probe=probe,
)
