"""Reddit ads: spend, clicks and conversions per campaign and day, in the account's time zone and currency."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

from dlt_pipelines.config import ExtractionWindow, RedditAdsConfig
from dlt_pipelines.dialects import reddit
from dlt_pipelines.http import VendorSession, walk
from dlt_pipelines.oauth import rotating_auth
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import midnight
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec, looked_at

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "reddit_ads"
CLIENT_ID: Final = SecretSpec("REDDIT_ADS_CLIENT_ID", "id of the developer application")
CLIENT_SECRET: Final = SecretSpec("REDDIT_ADS_CLIENT_SECRET", "secret of the developer application")
REFRESH_TOKEN: Final = SecretSpec("REDDIT_ADS_REFRESH_TOKEN", "refresh token of a user who may read the accounts")
DAYS_A_CALL: Final = 30
CURSOR: Final = "page.token"
FIELDS: Final[Mapping[str, str]] = {
    "spend": "spend_micros",
    "clicks": "clicks",
    "impressions": "impressions",
    "key_conversion_total_count": "conversions",
}
CAMPAIGN_DAILY: Final = ResourceSpec(
    "campaign_daily",
    ("date", "account_id", "campaign_id"),
    "Spend, clicks and conversions per campaign and day.",
    (
        C("date", "date", "Day in the account's time zone."),
        C("account_id", "text", "Ad account."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("objective", "text", "Objective of the campaign."),
        C("impressions", "bigint", "Impressions."),
        C("clicks", "bigint", "Clicks."),
        C("spend_micros", "bigint", "Spend in millionths of `currency`."),
        C("conversions", "double", "Key conversions Reddit claims."),
        C("currency", "text", "Currency of the account."),
        C("time_zone", "text", "Time zone of the account."),
    ),
)


def open_session(config: RedditAdsConfig) -> VendorSession:
    return VendorSession(
        NAME, config, reddit, rotating_auth(NAME, config, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, basic=True)
    )


def account_facts(session: VendorSession, config: RedditAdsConfig, account: str) -> Mapping[str, Any]:
    """Currency and time zone of an ad account."""
    found: Mapping[str, Any] = session.get(f"/api/{config.api_version}/ad_accounts/{account}")["data"]
    return found


def build(config: RedditAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured ad accounts."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.account_ids:
        raise ValueError("sources.reddit_ads.account_ids is empty; name the ad accounts to read.")

    def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            facts = account_facts(session, config, days.account)
            path = f"/api/{config.api_version}/ad_accounts/{days.account}"
            listed = _listing(session, config, "GET", f"{path}/campaigns")
            campaigns = {str(found["id"]): found for page in listed for found in page}
            for part in days.chunks(DAYS_A_CALL):
                question = {"data": _question(part, str(facts["time_zone_id"]))}
                for page in _listing(session, config, "POST", f"{path}/reports", json=question):
                    for row in page["metrics"]:
                        yield _campaign_row(days.account, facts, campaigns, row)

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


def _listing(session: VendorSession, config: RedditAdsConfig, method: str, path: str, **body: Any) -> Iterator[Any]:
    """Pages of a listing; a report's next page is asked for by the same POST again.

    Only the token of the next page's address is taken: the address itself may lead elsewhere.
    """

    def fetch(token: str | None) -> tuple[Any, str | None]:
        params = {"page.size": config.page_size} | ({CURSOR: token} if token else {})
        reply = session.call(method, path, params=params, **body)
        following = (reply.get("pagination") or {}).get("next_url")
        tokens = parse_qs(urlsplit(following).query).get(CURSOR, []) if following else []
        return reply["data"], tokens[0] if tokens else None

    return walk(f"{NAME} {path.rsplit('/', 1)[-1]}", fetch)


def _question(days: "DayRange", zone: str) -> dict[str, Any]:
    return {
        "breakdowns": ["CAMPAIGN_ID", "DATE"],
        "fields": [name.upper() for name in FIELDS],
        "starts_at": midnight(days.start, zone),
        "ends_at": midnight(days.end, zone),
        "time_zone_id": zone,
    }


def _campaign_row(
    account: str, facts: Mapping[str, Any], campaigns: Mapping[str, Mapping[str, Any]], row: Mapping[str, Any]
) -> dict[str, Any]:
    campaign = str(row["campaign_id"])
    known = campaigns.get(campaign, {})
    return {ours: row.get(theirs) for theirs, ours in FIELDS.items()} | {
        "date": row["date"],
        "account_id": account,
        "campaign_id": campaign,
        "campaign_name": known.get("name"),
        "objective": known.get("objective"),
        # Spend without an amount is not spend of nothing.
        "spend_micros": row["spend"],
        "currency": facts.get("currency"),
        "time_zone": facts.get("time_zone_id"),
    }


def probe(config: RedditAdsConfig) -> Iterator[Finding]:
    """Whether the token reaches every configured ad account."""
    with open_session(config) as session:

        def look(account: str) -> str:
            facts = account_facts(session, config, account)
            return f"{facts.get('currency')}, {facts.get('time_zone_id')}"

        yield from looked_at(NAME, "account_ids", config.account_ids, "ad accounts", look)


SPEC: Final = SourceSpec(
    name=NAME,
    title="Reddit Ads",
    config_model=RedditAdsConfig,
    resources=(CAMPAIGN_DAILY,),
    secrets=(CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN),
    build=build,
    probe=probe,
)
