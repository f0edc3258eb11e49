"""TikTok ads: spend, clicks and conversions per ad and day, in the advertiser's time zone and currency."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from dlt_pipelines.config import ExtractionWindow, TiktokAdsConfig
from dlt_pipelines.dialects import tiktok
from dlt_pipelines.http import HeaderAuth, VendorSession, read_by_offset
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import ColumnSpec as C
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec, looked_at

if TYPE_CHECKING:
    from dlt.extract import DltSource

    from dlt_pipelines.extraction import DayRange

NAME: Final = "tiktok_ads"
TOKEN: Final = SecretSpec("TIKTOK_ADS_ACCESS_TOKEN", "long-term access token of the app that may read the advertisers")
# Reports by day answer for no more.
DAYS_PER_CALL: Final = 30
ABSENT: Final = "-"
AD_DAILY: Final = ResourceSpec(
    "ad_daily",
    ("date", "advertiser_id", "ad_id"),
    "Spend, clicks and conversions per ad and day.",
    (
        C("date", "date", "Day in the advertiser's time zone."),
        C("advertiser_id", "text", "Advertiser account."),
        C("ad_id", "text", "Ad."),
        C("campaign_id", "text", "Campaign."),
        C("campaign_name", "text", "Campaign name."),
        C("adgroup_id", "text", "Ad group."),
        C("adgroup_name", "text", "Ad group name."),
        C("ad_name", "text", "Ad name."),
        C("spend", "decimal", "Spend in `currency`."),
        C("impressions", "bigint", "Impressions."),
        C("clicks", "bigint", "Clicks on the destination."),
        C("conversion", "double", "Conversions TikTok claims; null where it measured none."),
        C("currency", "text", "Currency of the advertiser."),
        C("time_zone", "text", "Time zone of the advertiser."),
    ),
)
METRICS: Final = (
    "campaign_id",
    "campaign_name",
    "adgroup_id",
    "adgroup_name",
    "ad_name",
    "spend",
    "impressions",
    "clicks",
    "conversion",
)


def open_session(config: TiktokAdsConfig) -> VendorSession:
    token = TOKEN.read()
    return VendorSession(NAME, config, tiktok, HeaderAuth("Access-Token", token, token))


def advertiser_facts(session: VendorSession, config: TiktokAdsConfig, advertiser: str) -> Mapping[str, Any]:
    """Currency and time zone of an advertiser."""
    reply = session.get(
        f"/open_api/{config.api_version}/advertiser/info/",
        {
            "advertiser_ids": json.dumps([advertiser]),
            "fields": json.dumps(["advertiser_id", "currency", "display_timezone"]),
        },
    )
    found: Mapping[str, Any] = reply["data"]["list"][0]
    return found


def build(config: TiktokAdsConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of all configured advertisers."""
    from dlt_pipelines.extraction import day_resource, make_source

    if not config.advertiser_ids:
        raise ValueError("sources.tiktok_ads.advertiser_ids is empty; name the advertisers to read.")

    def pull(days: "DayRange") -> Iterator[Mapping[str, Any]]:
        with open_session(config) as session:
            facts = advertiser_facts(session, config, days.account)
            for part in days.chunks(DAYS_PER_CALL):
                for row in _report(session, config, part):
                    yield _ad_row(days.account, facts, row)

    return make_source(
        NAME,
        [
            day_resource(
                NAME,
                AD_DAILY,
                window,
                hasher,
                account_column="advertiser_id",
                accounts=config.advertiser_ids,
                settling_days=config.settling_days,
                pull=pull,
            )
        ],
    )


def _report(session: VendorSession, config: TiktokAdsConfig, days: "DayRange") -> list[Mapping[str, Any]]:
    question = {
        "advertiser_id": days.account,
        "report_type": "BASIC",
        "service_type": "AUCTION",
        "data_level": "AUCTION_AD",
        "dimensions": json.dumps(["ad_id", "stat_time_day"]),
        "metrics": json.dumps(METRICS),
        "start_date": days.start.isoformat(),
        "end_date": (days.end - timedelta(days=1)).isoformat(),
        "page_size": config.page_size,
    }

    def fetch(offset: int) -> tuple[list[Mapping[str, Any]], int]:
        page = offset // config.page_size + 1
        data = session.get(f"/open_api/{config.api_version}/report/integrated/get/", question | {"page": page})["data"]
        return data["list"], int(data["page_info"]["total_number"])

    return read_by_offset(
        f"{NAME} advertiser {days.account}",
        fetch,
        config.page_size,
        lambda row: (row["dimensions"]["ad_id"], row["dimensions"]["stat_time_day"]),
    )


def _ad_row(advertiser: str, facts: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {name: row["metrics"].get(name) for name in METRICS}
    return {name: None if value == ABSENT else value for name, value in metrics.items()} | {
        # Written as the midnight that begins it.
        "date": row["dimensions"]["stat_time_day"][:10],
        "advertiser_id": advertiser,
        "ad_id": row["dimensions"]["ad_id"],
        "currency": facts.get("currency"),
        "time_zone": facts.get("display_timezone"),
    }


def probe(config: TiktokAdsConfig) -> Iterator[Finding]:
    """Whether the token reaches every configured advertiser."""
    with open_session(config) as session:

        def look(advertiser: str) -> str:
            facts = advertiser_facts(session, config, advertiser)
            return f"{facts.get('currency')}, {facts.get('display_timezone')}"

        yield from looked_at(NAME, "advertiser_ids", config.advertiser_ids, "advertisers", look)


SPEC: Final = SourceSpec(
    name=NAME,
    title="TikTok Ads",
    config_model=TiktokAdsConfig,
    resources=(AD_DAILY,),
    secrets=(TOKEN,),
    build=build,
    probe=probe,
)
