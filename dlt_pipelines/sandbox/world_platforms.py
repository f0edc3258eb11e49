"""Further ad platforms of the world: a share of the paid visits comes through them instead.

Which visits, under which click ids, is drawn from a stream of its own after everything else, so a world without them is
bit for bit what it was. Channels and truth stay: a visit through Microsoft is still Paid Search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlt_pipelines.sandbox import world_tools as tools
from dlt_pipelines.sandbox.world_marketing import CLICKS_WITHOUT_VISIT, LOST_CLICK_IDS, Marketing, with_click_id
from dlt_pipelines.sandbox.world_people import Population
from dlt_pipelines.sandbox.world_web import Visits

ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class AdPlatform:
    """One advertiser account on one platform.

    Attributes:
        zone: time zone of the account's days; currency: of its money.
        channel: whose visits it takes; share: how many of them.
        parameter: name of its click id in the landing page's address; click_id draws some.
        campaigns: name, type, share of the clicks, cost per click, click rate.
        claim_days: how long after its click the platform claims a sign-up.
        number: first campaign's number; ids count up from it. base: of the ids' digits.
    """

    account_id: str
    currency: str
    zone: str
    channel: str
    share: float
    parameter: str
    click_id: Callable[[np.random.Generator, int], NDArray[np.object_]]
    source: str
    medium: str
    referrer: str
    campaigns: tuple[tuple[str, str, float, float, float], ...]
    claim_days: int
    number: int
    base: int = 10


def _token(prefix: str, length: int, alphabet: str) -> Callable[[np.random.Generator, int], NDArray[np.object_]]:
    def draw(rng: np.random.Generator, count: int) -> NDArray[np.object_]:
        return tools.texts(prefix + "{}", tools.tokens(rng, count, length, alphabet))

    return draw


PLATFORMS: dict[str, AdPlatform] = {
    "microsoft_ads": AdPlatform(
        account_id="141000001",
        currency="EUR",
        zone="Europe/Berlin",
        channel="Paid Search",
        share=0.25,
        parameter="msclkid",
        click_id=_token("", 32, tools.HEX),
        source="bing",
        medium="cpc",
        referrer="https://www.bing.com/",
        campaigns=(("brand-bing", "Search", 0.6, 0.35, 0.09), ("generic-bing", "Search", 0.4, 0.95, 0.04)),
        claim_days=30,
        number=410_000_000,
    ),
    "linkedin_ads": AdPlatform(
        account_id="507000001",
        currency="USD",
        zone="UTC",
        channel="Paid Social",
        share=0.12,
        parameter="li_fat_id",
        click_id=_token("", 36, tools.HEX),
        source="linkedin",
        medium="paid_social",
        referrer="https://www.linkedin.com/",
        campaigns=(
            ("decision makers", "SPONSORED_UPDATES", 0.7, 6.40, 0.006),
            ("founders", "TEXT_AD", 0.3, 4.10, 0.004),
        ),
        claim_days=30,
        number=380_000_000,
    ),
    "reddit_ads": AdPlatform(
        account_id="a2_sandbox",
        currency="USD",
        zone="America/New_York",
        channel="Paid Social",
        share=0.10,
        parameter="rdt_cid",
        click_id=_token("5", 18, "0123456789"),
        source="reddit",
        medium="paid_social",
        referrer="https://www.reddit.com/",
        campaigns=(("r-analytics", "CLICKS", 0.5, 0.45, 0.005), ("r-marketing", "CONVERSIONS", 0.5, 0.60, 0.006)),
        claim_days=28,
        number=1_500_000_000,
    ),
    "x_ads": AdPlatform(
        account_id="18ce5sandbx",
        currency="USD",
        zone="America/Los_Angeles",
        channel="Paid Social",
        share=0.10,
        parameter="twclid",
        click_id=_token("2-", 24, ALPHANUMERIC),
        source="twitter",
        medium="paid_social",
        referrer="https://t.co/",
        campaigns=(("launch thread", "WEBSITE_CLICKS", 0.6, 0.50, 0.008), ("case studies", "REACH", 0.4, 0.35, 0.005)),
        claim_days=14,
        number=500_000_000,
        base=36,
    ),
    "tiktok_ads": AdPlatform(
        account_id="7012345678901234567",
        currency="GBP",
        zone="Europe/London",
        channel="Paid Social",
        share=0.15,
        parameter="ttclid",
        click_id=_token("E.C.P.", 40, tools.BASE64),
        source="tiktok",
        medium="paid_social",
        referrer="https://www.tiktok.com/",
        campaigns=(("spark ads", "TRAFFIC", 0.5, 0.40, 0.010), ("how it works", "WEB_CONVERSIONS", 0.5, 0.55, 0.012)),
        claim_days=7,
        number=1_714_000_000_000_000,
    ),
}


def numeral(number: int, base: int) -> str:
    """A number in digits of a base up to 36."""
    digits = ""
    while number:
        number, digit = divmod(number, base)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def catalogue(platforms: tuple[str, ...]) -> pd.DataFrame:
    """Every ad of these platforms: two groups a campaign, two ads a group; columns as `world_marketing.ad_catalogue`."""
    rows = []
    for name in platforms:
        account = PLATFORMS[name]
        for number, (campaign, kind, share, cost, rate) in enumerate(account.campaigns):
            stem = account.number + number * 1000
            for group in (1, 2):
                for ad in (1, 2):
                    rows.append(
                        {
                            "platform": name,
                            "account_id": account.account_id,
                            "campaign_id": numeral(stem, account.base),
                            "campaign_name": campaign,
                            "channel_type": kind,
                            "ad_group_id": numeral(stem + group * 100, account.base),
                            "ad_group_name": f"{campaign} {'core' if group == 1 else 'broad'}",
                            "ad_id": numeral(stem + group * 100 + ad, account.base),
                            "ad_name": f"{campaign} {group}{'ab'[ad - 1]}",
                            "currency": account.currency,
                            "share": share / 4,
                            "cost_per_click": cost,
                            "click_rate": rate,
                        }
                    )
    return pd.DataFrame(rows)


def redirect(
    marketing: Marketing,
    visits: Visits,
    population: Population,
    window: tuple[int, int],
    platforms: tuple[str, ...],
    seed: int,
) -> Marketing:
    """Let a share of the paid visits come through further platforms; their clicks at Google and Meta are gone.

    Raises:
        ValueError: an unknown platform.
    """
    if not platforms:
        return marketing
    unknown = set(platforms) - PLATFORMS.keys()
    if unknown:
        raise ValueError(f"unknown platforms {sorted(unknown)}; use some of {sorted(PLATFORMS)}")
    landings, frame = marketing.landings.copy(), visits.frame
    channel = frame["channel"].to_numpy(dtype=object)
    started, person = frame["started"].to_numpy(), frame["person"].to_numpy()
    url = landings["page_url"].to_numpy(dtype=object).copy()
    referrer = landings["referrer"].to_numpy(dtype=object).copy()
    agent = landings["user_agent"].to_numpy(dtype=object).copy()
    own_agent = population.devices["user_agent"].to_numpy(dtype=object)[frame["device"].to_numpy()]
    ads = catalogue(platforms)
    person_ids = np.append(population.people["person_id"].to_numpy(dtype=object), None)
    free = np.ones(len(frame), bool)
    parts = []
    for name in platforms:
        account, rng = PLATFORMS[name], tools.stream(seed, f"platform {name}")
        # Drawn for every visit, so that one platform more moves nothing but the visits it takes.
        taken = free & (channel == account.channel) & (rng.random(len(frame)) < account.share)
        free &= ~taken
        here = np.flatnonzero(taken)
        own = ads[ads["platform"] == name]
        wasted = int(rng.poisson(max(len(here), 1) * CLICKS_WITHOUT_VISIT))
        count = len(here) + wasted
        chosen = own.iloc[rng.choice(len(own), count, p=own["share"] / own["share"].sum())].reset_index(drop=True)
        at = np.concatenate(
            [started[here] - rng.integers(1, 6, len(here)) * tools.SECOND, rng.integers(*window, wasted)]
        )
        clicks = pd.DataFrame(
            {
                "platform": name,
                "click_id": account.click_id(rng, count),
                "click_id_type": account.parameter,
                "at": np.maximum(at, window[0]),
                **{
                    column: chosen[column]
                    for column in ("campaign_id", "campaign_name", "ad_group_id", "ad_id", "ad_name")
                },
                "person": np.concatenate([person[here], np.full(wasted, -1)]),
                "visit": np.concatenate([here, np.full(wasted, -1)]),
            }
        )
        lost = rng.random(len(here)) < LOST_CLICK_IDS
        identifier = np.where(lost, "", clicks["click_id"].to_numpy(dtype=object)[: len(here)])
        page = [text.split("?")[0] for text in url[here]]
        campaign = [text.replace(" ", "+") for text in clicks["campaign_name"][: len(here)]]
        tagged = tools.texts(
            f"{{}}?utm_source={account.source}&utm_medium={account.medium}&utm_campaign={{}}", page, campaign
        )
        url[here] = with_click_id(tagged, account.parameter, identifier)
        referrer[here], agent[here] = account.referrer, own_agent[here]
        parts.append(clicks)
    kept = marketing.ad_clicks[~marketing.ad_clicks["visit"].isin(np.flatnonzero(~free))]
    added = pd.concat(parts, ignore_index=True)
    added["person_id"] = person_ids[added["person"].to_numpy()]
    added["occurred_at"] = tools.times(added["at"].to_numpy())
    return replace(
        marketing,
        landings=pd.DataFrame({"page_url": url, "referrer": referrer, "user_agent": agent}),
        ads=pd.concat([marketing.ads, ads], ignore_index=True),
        ad_clicks=pd.concat([kept, added], ignore_index=True).sort_values(["at", "click_id"], ignore_index=True),
    )
