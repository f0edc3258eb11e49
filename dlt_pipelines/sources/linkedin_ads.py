"""LinkedIn ads: spend, clicks and conversions per campaign and day, in UTC and the account's currency.

LinkedIn's query language keeps parentheses, colons and commas literal and encodes only what stands inside them, so the
query is written out here: a client library would encode it twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dlt_pipelines.config import ExtractionWindow, LinkedinAdsConfig
from dlt_pipelines.http import VendorError, VendorSession, walk
from dlt_pipelines.linkedin import linkedin_session
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec, looked_at

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "linkedin_ads"
CLIENT_ID: Final = SecretSpec("LINKEDIN_ADS_CLIENT_ID", "id of the developer application")
CLIENT_SECRET: Final = SecretSpec("LINKEDIN_ADS_CLIENT_SECRET", "secret of the developer application")
REFRESH_TOKEN: Final = SecretSpec("LINKEDIN_ADS_REFRESH_TOKEN", "refresh token of a member who may read the accounts")
CAMPAIGN_URN: Final = "urn:li:sponsoredCampaign:"
# An answer holds 15,000 elements and is silently cut there; an address may have 4 KB of query.
ELEMENTS_A_CALL: Final = 15_000
CAMPAIGNS_A_CALL: Final = 50
DAYS_A_CALL: Final = 90
METRICS: Final[Mapping[str, str]] = {
    "impressions": "impressions",
    "clicks": "clicks",
    "landingPageClicks": "landing_page_clicks",
    "costInLocalCurrency": "cost_in_local_currency",
    "costInUsd": "cost_in_usd",
    "externalWebsiteConversions": "external_website_conversions",
}
CAMPAIGN_DAILY: Final = ResourceSpec(
    "campaign_daily",
    ("date", "account_id", "campaign_id"),
    "Spend, clicks and conversions per campaign and day.",
    (
        C("date", "date", "Day in UTC."),
        C("account_id", "text", "Ad account."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("campaign_type", "text", "Campaign type as LinkedIn names it."),
        C("impressions", "bigint", "Impressions."),
        C("clicks", "bigint", "All clicks."),
        C("landing_page_clicks", "bigint", "Clicks that led to the landing page."),
        C("cost_in_local_currency", "decimal", "Spend in `currency`."),
        C("cost_in_usd", "decimal", "Spend in US dollars by LinkedIn's own rate."),
        C("external_website_conversions", "double", "Conversions LinkedIn claims."),
        C("currency", "text", "Currency of the account."),
    ),
)


def open_session(config: LinkedinAdsConfig) -> VendorSession:
    return linkedin_session(NAME, config, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN)


def build(config: LinkedinAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured ad accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.account_ids:
        raise ValueError("sources.linkedin_ads.account_ids is empty; name the ad accounts to read.")

    def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            currency = account_facts(session, days.account)["currency"]
            campaigns = _campaigns(session, config, days.account)
            names = list(campaigns)
            for part in days.chunks(DAYS_A_CALL):
                for start in range(0, len(names), CAMPAIGNS_A_CALL):
                    for element in _analytics(session, names[start : start + CAMPAIGNS_A_CALL], part):
                        yield _campaign_row(days.account, currency, campaigns, element)

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


def account_facts(session: VendorSession, account: str) -> Mapping[str, Any]:
    """Name, currency and status of an ad account."""
    found: Mapping[str, Any] = session.get(f"/rest/adAccounts/{account}")
    return found


def _campaigns(session: VendorSession, config: LinkedinAdsConfig, account: str) -> dict[str, Mapping[str, Any]]:
    """Every campaign of an account by id, archived ones too: their days still count."""

    def fetch(token: str | None) -> tuple[Any, str | None]:
        question = {"q": "search", "pageSize": config.page_size} | ({"pageToken": token} if token else {})
        reply = session.get(f"/rest/adAccounts/{account}/adCampaigns", question)
        return reply["elements"], (reply.get("metadata") or {}).get("nextPageToken") or None

    return {str(found["id"]): found for page in walk(f"{NAME} account {account}", fetch) for found in page}


def _analytics(session: VendorSession, campaigns: Sequence[str], days: "DayRange") -> Iterator[Mapping[str, Any]]:
    """Elements of some campaigns and days; a span whose answer may have been cut is asked for in halves.

    Raises:
        VendorError: one day of these campaigns does not fit into an answer.
    """
    listed = ",".join(quote(f"{CAMPAIGN_URN}{campaign}", safe="") for campaign in campaigns)
    span = f"(start:{_day(days.start)},end:{_day(days.end - timedelta(days=1))})"
    query = (
        f"q=analytics&pivot=(value:CAMPAIGN)&timeGranularity=(value:DAILY)&dateRange={span}&campaigns=List({listed})"
        f"&fields=dateRange,pivotValues,{','.join(METRICS)}"
    )
    elements = session.get(f"/rest/adAnalytics?{query}")["elements"]
    if len(elements) < ELEMENTS_A_CALL:
        yield from elements
        return
    length = (days.end - days.start).days
    if length < 2:
        raise VendorError(f"{NAME}: more than {ELEMENTS_A_CALL} rows for {days.start}; nothing was written.")
    for half in days.chunks(-(-length // 2)):
        yield from _analytics(session, campaigns, half)


def _day(day: date) -> str:
    return f"(year:{day.year},month:{day.month},day:{day.day})"


def _campaign_row(
    account: str, currency: str, campaigns: Mapping[str, Mapping[str, Any]], element: Mapping[str, Any]
) -> dict[str, Any]:
    start = element["dateRange"]["start"]
    campaign = str(element["pivotValues"][0]).removeprefix(CAMPAIGN_URN)
    facts = campaigns.get(campaign, {})
    return {ours: element.get(theirs) for theirs, ours in METRICS.items()} | {
        "date": date(start["year"], start["month"], start["day"]),
        "account_id": account,
        "campaign_id": campaign,
        "campaign_name": facts.get("name"),
        "campaign_type": facts.get("type"),
        # Spend without an amount is not spend of nothing.
        "cost_in_local_currency": element["costInLocalCurrency"],
        "currency": currency,
    }


def probe(config: LinkedinAdsConfig) -> Iterator[Finding]:
    """Whether the token reaches every configured ad account."""
    with open_session(config) as session:

        def look(account: str) -> str:
            facts = account_facts(session, account)
            return f"{facts.get('currency')}, days in UTC"

        yield from looked_at(NAME, "account_ids", config.account_ids, "ad accounts", look)


SPEC: Final = SourceSpec(
    name=NAME,
    title="LinkedIn Ads",
    config_model=LinkedinAdsConfig,
    resources=(CAMPAIGN_DAILY,),
    secrets=(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
