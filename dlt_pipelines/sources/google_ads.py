"""Google Ads over REST: campaign days, and clicks with their click id.

`:search` pages are used rather than the stream: long streams break in the middle and must start over.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines import contract
from dlt_pipelines.config import ExtractionWindow, GoogleAdsConfig
from dlt_pipelines.dialects import google
from dlt_pipelines.google_auth import GoogleAuth
from dlt_pipelines.http import VendorSession, walk
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import Finding, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "google_ads"
DAYS_PER_QUERY: Final = 30
DEVELOPER_TOKEN: Final = SecretSpec("GOOGLE_ADS_DEVELOPER_TOKEN", "developer token of the Google Ads API Center")
CLIENT_ID: Final = SecretSpec("GOOGLE_ADS_CLIENT_ID", "OAuth client id")
CLIENT_SECRET: Final = SecretSpec("GOOGLE_ADS_CLIENT_SECRET", "OAuth client secret")
REFRESH_TOKEN: Final = SecretSpec("GOOGLE_ADS_REFRESH_TOKEN", "OAuth refresh token of a user who may read the accounts")

CAMPAIGN_QUERY: Final = (
    "SELECT segments.date, campaign.id, campaign.name, campaign.advertising_channel_type, metrics.cost_micros, "
    "metrics.clicks, metrics.impressions, metrics.conversions, metrics.conversions_value, customer.currency_code, "
    "customer.time_zone FROM campaign WHERE segments.date BETWEEN '{start}' AND '{last}'"
)
CLICK_QUERY: Final = (
    "SELECT segments.date, click_view.gclid, click_view.ad_group_ad, campaign.id, campaign.name, ad_group.id "
    "FROM click_view WHERE segments.date = '{start}'"
)


def open_session(config: GoogleAdsConfig) -> VendorSession:
    """A session with tokens from the environment's credentials.

    Raises:
        MissingSecret: one of them is unset.
    """
    headers = {"developer-token": DEVELOPER_TOKEN.read()}
    if config.login_customer_id:
        headers["login-customer-id"] = config.login_customer_id
    grant = {
        "type": "authorized_user",
        "client_id": CLIENT_ID.read(),
        "client_secret": CLIENT_SECRET.read(),
        "refresh_token": REFRESH_TOKEN.read(),
    }
    return VendorSession(NAME, config, google, GoogleAuth(NAME, config, grant, "", config.token_url, headers))


def search(session: VendorSession, config: GoogleAdsConfig, customer: str, query: str) -> Iterator[Mapping[str, Any]]:
    """Result rows of a query, page by page; a page size may not be set."""
    path = f"/{config.api_version}/customers/{customer}/googleAds:search"

    def fetch(token: str | None) -> tuple[Any, str | None]:
        reply = session.post(path, {"query": query} | ({"pageToken": token} if token else {}))
        return reply.get("results", []), reply.get("nextPageToken") or None

    for page in walk(f"{NAME} customer {customer}", fetch):
        yield from page


def build(config: GoogleAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured customers."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.customer_ids:
        raise ValueError("sources.google_ads.customer_ids is empty; name the accounts to read.")

    def campaigns(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for part in days.chunks(DAYS_PER_QUERY):
                query = CAMPAIGN_QUERY.format(start=part.start, last=part.end - timedelta(days=1))
                for row in search(session, config, days.account, query):
                    yield _campaign_row(days.account, row)

    def clicks(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            for part in days.chunks(1):
                for row in search(session, config, days.account, CLICK_QUERY.format(start=part.start)):
                    yield from _click_row(days.account, row)

    resources = [
        day_resource(
            NAME,
            contract.GOOGLE_ADS_CAMPAIGNS,
            window,
            hasher,
            account_column="customer_id",
            accounts=config.customer_ids,
            settling_days=config.settling_days,
            pull=campaigns,
        )
    ]
    if config.clicks and config.click_days_back:
        resources.append(
            day_resource(
                NAME,
                contract.GOOGLE_ADS_CLICKS,
                window,
                hasher,
                account_column="customer_id",
                accounts=config.customer_ids,
                # A click does not change; only the last days may still gain some.
                settling_days=min(config.settling_days, 3),
                pull=clicks,
                earliest=window.now.date() - timedelta(days=config.click_days_back - 1),
            )
        )
    return make_source(NAME, resources)


def _campaign_row(customer: str, row: Mapping[str, Any]) -> dict[str, Any]:
    campaign, metrics, account = row.get("campaign", {}), row.get("metrics", {}), row.get("customer", {})
    return {
        "date": row["segments"]["date"],
        "customer_id": customer,
        "campaign_id": campaign.get("id"),
        "campaign_name": campaign.get("name"),
        "advertising_channel_type": campaign.get("advertisingChannelType"),
        "cost_micros": metrics.get("costMicros"),
        "clicks": metrics.get("clicks"),
        "impressions": metrics.get("impressions"),
        "conversions": metrics.get("conversions"),
        "conversions_value": metrics.get("conversionsValue"),
        "currency_code": account.get("currencyCode"),
        "time_zone": account.get("timeZone"),
    }


def _click_row(customer: str, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    click = row.get("clickView", {})
    # Clicks into apps carry no click id.
    if not click.get("gclid"):
        return
    # The ad's resource name ends in <ad group>~<ad>.
    _, _, ad = str(click.get("adGroupAd") or "").rpartition("/")
    yield {
        "date": row["segments"]["date"],
        "gclid": click["gclid"],
        "customer_id": customer,
        "campaign_id": row.get("campaign", {}).get("id"),
        "campaign_name": row.get("campaign", {}).get("name"),
        "ad_group_id": row.get("adGroup", {}).get("id"),
        "ad_id": ad.partition("~")[2] or None,
    }


def probe(config: GoogleAdsConfig) -> Iterator[Finding]:
    """Whether the credentials reach every configured customer."""
    if not config.customer_ids:
        yield Finding("error", f"{NAME}: customer_ids", "empty", "Name the accounts under [sources.google_ads].")
        return
    with open_session(config) as session:
        for customer in config.customer_ids:
            query = "SELECT customer.id, customer.currency_code, customer.time_zone FROM customer LIMIT 1"
            found = next(iter(search(session, config, customer, query)), None)
            if found is None:
                yield Finding("warning", f"{NAME}: {customer}", "the account answered with nothing", "Check the id.")
            else:
                account = found.get("customer", {})
                yield Finding("ok", f"{NAME}: {customer}", f"{account.get('currencyCode')}, {account.get('timeZone')}")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Google Ads",
    config_model=GoogleAdsConfig,
    resources=contract.GOOGLE_ADS,
    secrets=(DEVELOPER_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
