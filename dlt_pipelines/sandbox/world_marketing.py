"""How visits arrive: ads and their clicks and cost, e-mails, and the landing page, referrer and browser of each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dlt_pipelines.sandbox import world_tools as tools
from dlt_pipelines.sandbox.world_people import Population, in_app_agents
from dlt_pipelines.sandbox.world_web import SHOP, Visits

GOOGLE_ACCOUNT = "1234567890"
META_ACCOUNT = "act_1001"
GOOGLE_ZONE = "Europe/Berlin"
META_ZONE = "America/Los_Angeles"
# platform, time zone of its account, days after a click within which it claims a sign-up
ACCOUNTS = (("google_ads", GOOGLE_ZONE, 30), ("meta_ads", META_ZONE, 7))
MAILCHIMP_LIST = "a1b2c3d4e5"
HUBSPOT_LIST = "77001"

LOST_CLICK_IDS = 0.05
AUTO_TAGGING_ONLY = 0.10
CLICKS_WITHOUT_VISIT = 0.12
IN_APP_SHARE = 0.65
OPEN_RATE = 0.32
MACHINE_OPEN_RATE = 0.15
MACHINE_CLICK_RATE = 0.01
BOUNCE_RATE = 0.012
NEWSLETTER_CONSENT = 0.6
# Longer than the pause between any two mails of a vendor.
MAILED_BEFORE = 15 * tools.DAY

# platform, campaign, channel type, share of the platform's clicks, cost per click in the account's currency, click rate
_CAMPAIGNS = (
    ("google_ads", "brand-de", "SEARCH", 0.35, 0.40, 0.11),
    ("google_ads", "generic-de", "SEARCH", 0.45, 1.20, 0.045),
    ("google_ads", "competitor-de", "SEARCH", 0.20, 1.80, 0.03),
    ("meta_ads", "prospecting-de", "OUTCOME_SALES", 0.50, 0.70, 0.012),
    ("meta_ads", "lookalike-de", "OUTCOME_SALES", 0.30, 0.85, 0.014),
    ("meta_ads", "retargeting-de", "OUTCOME_SALES", 0.20, 0.55, 0.02),
)
_LANDING = ("/", "/products", "/pricing", "/sale", "/products/pro", "/guides/getting-started")
_LANDING_WEIGHTS = (0.2, 0.2, 0.1, 0.3, 0.12, 0.08)
_SEARCH_REFERRERS = {
    "https://www.google.com/": 0.5,
    "https://www.google.de/": 0.25,
    "https://www.bing.com/": 0.1,
    "https://duckduckgo.com/": 0.08,
    "https://www.ecosia.org/": 0.05,
    "https://search.yahoo.com/": 0.02,
}
_REFERRALS = {
    "https://www.gearreview.example/best-of-2026": 0.4,
    "https://magazin.partner.example/artikel/werkzeuge": 0.3,
    "https://compare.tools.example/shop-alternatives": 0.2,
    "https://forum.makers.example/t/4711": 0.1,
}
_ASSISTANTS = {
    "https://chatgpt.com/": 0.6,
    "https://www.perplexity.ai/": 0.2,
    "https://claude.ai/": 0.1,
    "https://gemini.google.com/": 0.1,
}
# app, referrer in a desktop browser, share; facebook and instagram decorate links with fbclid
_SOCIALS = (
    ("facebook", "https://l.facebook.com/", 0.3),
    ("instagram", "https://l.instagram.com/", 0.2),
    ("linkedin", "https://www.linkedin.com/", 0.15),
    ("x", "https://t.co/", 0.15),
    ("reddit", "https://www.reddit.com/", 0.1),
    ("pinterest", "https://www.pinterest.com/", 0.05),
    ("tiktok", "https://www.tiktok.com/", 0.05),
)


@dataclass(frozen=True)
class Marketing:
    """What the vendors know, and where each visit landed.

    Attributes:
        landings: per visit page_url, referrer, user_agent.
        ad_clicks: the world's ad clicks, with the visit each led to or -1; ads: the catalogue they refer to, one row an ad.
        email_campaigns, email_activity: the world's e-mail frames, the latter without ``email``.
    """

    landings: pd.DataFrame
    ads: pd.DataFrame
    ad_clicks: pd.DataFrame
    email_campaigns: pd.DataFrame
    email_activity: pd.DataFrame


def ad_catalogue() -> pd.DataFrame:
    """Every ad of the world: two groups a campaign, two ads a group."""
    rows = []
    for number, (platform, campaign, channel_type, share, cost, rate) in enumerate(_CAMPAIGNS):
        google = platform == "google_ads"
        stem = (20_000_000_000 if google else 120_210_000_000_000) + number * 1000
        for group in (1, 2):
            for ad in (1, 2):
                rows.append(
                    {
                        "platform": platform,
                        "account_id": GOOGLE_ACCOUNT if google else META_ACCOUNT,
                        "campaign_id": str(stem),
                        "campaign_name": campaign,
                        "channel_type": channel_type,
                        "ad_group_id": str(stem + group * 100),
                        "ad_group_name": f"{campaign}-{'exact' if group == 1 else 'broad'}"
                        if google
                        else f"{campaign}-{'feed' if group == 1 else 'stories'}",
                        "ad_id": str(stem + group * 100 + ad),
                        "ad_name": f"{campaign}-{group}{'ab'[ad - 1]}",
                        "currency": "EUR" if google else "USD",
                        "share": share / 4,
                        "cost_per_click": cost,
                        "click_rate": rate,
                    }
                )
    return pd.DataFrame(rows)


def arrive(visits: Visits, population: Population, window: tuple[int, int], seed: int) -> Marketing:
    """Decide how each visit arrives, and what the ad and e-mail vendors record about it."""
    rng = tools.stream(seed, "marketing")
    frame = visits.frame
    count = len(frame)
    channel = frame["channel"].to_numpy(dtype=object)
    device = frame["device"].to_numpy()
    system = population.devices["operating_system"].to_numpy(dtype=object)[device]
    page = tools.pick(rng, _LANDING, count, _LANDING_WEIGHTS)
    url = tools.texts(SHOP + "{}", page)
    referrer = np.full(count, "", dtype=object)
    agent = population.devices["user_agent"].to_numpy(dtype=object)[device]
    kind = population.devices["kind"].to_numpy(dtype=object)[device]
    app_system = np.where(kind == "mobile", system, "")

    def rows(name: str) -> NDArray[np.int64]:
        return np.flatnonzero(channel == name)

    ads = ad_catalogue()
    clicked: list[pd.DataFrame] = []
    for name, platform in (("Paid Search", "google_ads"), ("Paid Social", "meta_ads")):
        here = rows(name)
        clicks = _clicks(
            rng, ads, platform, frame["started"].to_numpy()[here], frame["person"].to_numpy()[here], window
        )
        clicks["visit"] = np.concatenate([here, np.full(len(clicks) - len(here), -1)])
        clicked.append(clicks)
        own = clicks.iloc[: len(here)]
        lost = rng.random(len(here)) < LOST_CLICK_IDS
        identifier = np.where(lost, "", own["click_id"].to_numpy(dtype=object))
        if platform == "google_ads":
            tagged = rng.random(len(here)) >= AUTO_TAGGING_ONLY
            url[here] = _search_urls(url[here], own, identifier, tagged)
            referrer[here] = tools.pick(
                rng, ("https://www.google.com/", "https://www.google.de/"), len(here), (0.6, 0.4)
            )
        else:
            instagram = rng.random(len(here)) < 0.5
            url[here] = _social_urls(url[here], own, identifier, instagram)
            for mask, app in ((instagram, "instagram"), (~instagram, "facebook")):
                _through_app(rng, here[mask], app, app_system, agent, referrer)

    here = rows("Organic Search")
    referrer[here] = tools.pick(rng, list(_SEARCH_REFERRERS), len(here), list(_SEARCH_REFERRERS.values()))
    here = rows("Referral")
    referrer[here] = tools.pick(rng, list(_REFERRALS), len(here), list(_REFERRALS.values()))
    here = rows("AI Assistant")
    source = tools.pick(rng, list(_ASSISTANTS), len(here), list(_ASSISTANTS.values()))
    chatgpt = source == "https://chatgpt.com/"
    url[here[chatgpt]] = tools.texts("{}?utm_source=chatgpt.com", url[here[chatgpt]])
    # Most assistants send no referrer from their apps; the tag is then all there is.
    referrer[here] = np.where(chatgpt & (rng.random(len(here)) < 0.3), "", source)
    _organic_social(rng, rows("Organic Social"), url, app_system, agent, referrer)

    campaigns = _email_campaigns(window)
    here = rows("Email")
    mail_campaign = _last_campaign(campaigns, population, frame, here)
    titles = campaigns["slug"].to_numpy(dtype=object)[mail_campaign]
    url[here] = tools.texts("{}?utm_source=newsletter&utm_medium=email&utm_campaign={}", url[here], titles)
    webmail = rng.random(len(here)) < 0.2
    referrer[here[webmail]] = "https://mail.google.com/"
    activity = _email_activity(rng, campaigns, visits, population, here, mail_campaign, url, window)
    clicks = pd.concat(clicked, ignore_index=True).sort_values(["at", "click_id"], ignore_index=True)
    person_ids = np.append(population.people["person_id"].to_numpy(dtype=object), None)
    clicks["person_id"] = person_ids[clicks["person"].to_numpy()]
    clicks["occurred_at"] = tools.times(clicks["at"].to_numpy())
    return Marketing(
        landings=pd.DataFrame({"page_url": url, "referrer": referrer, "user_agent": agent}),
        ads=ads,
        ad_clicks=clicks,
        email_campaigns=campaigns.drop(columns=["at", "slug"]),
        email_activity=activity,
    )


def _clicks(
    rng: np.random.Generator,
    ads: pd.DataFrame,
    platform: str,
    started: NDArray[np.int64],
    person: NDArray[np.int64],
    window: tuple[int, int],
) -> pd.DataFrame:
    """Clicks that led to the given visits, in their order, then clicks whose page never finished loading."""
    own = ads[ads["platform"] == platform]
    wasted = int(rng.poisson(len(started) * CLICKS_WITHOUT_VISIT))
    count = len(started) + wasted
    chosen = own.iloc[rng.choice(len(own), count, p=own["share"] / own["share"].sum())].reset_index(drop=True)
    at = np.concatenate([started - rng.integers(1, 6, len(started)) * tools.SECOND, rng.integers(*window, wasted)])
    google = platform == "google_ads"
    prefix, length = ("Cj0KCQjw", 48) if google else ("IwY2xjawM", 56)
    return pd.DataFrame(
        {
            "platform": platform,
            "click_id": prefix + pd.Series(tools.tokens(rng, count, length), dtype=object),
            "click_id_type": "gclid" if google else "fbclid",
            "at": np.maximum(at, window[0]),
            "campaign_id": chosen["campaign_id"],
            "campaign_name": chosen["campaign_name"],
            "ad_group_id": chosen["ad_group_id"],
            "ad_id": chosen["ad_id"],
            "ad_name": chosen["ad_name"],
            "person": np.concatenate([person, np.full(wasted, -1)]),
        }
    )


def with_click_id(urls: NDArray[np.object_], name: str, identifiers: NDArray[np.object_]) -> NDArray[np.object_]:
    """Addresses with a click id behind; an empty one is left out."""
    result = urls.copy()
    for i, (url, identifier) in enumerate(zip(urls, identifiers, strict=True)):
        if identifier:
            result[i] = f"{url}{'&' if '?' in url else '?'}{name}={identifier}"
    return result


def _search_urls(
    urls: NDArray[np.object_], clicks: pd.DataFrame, identifiers: NDArray[np.object_], tagged: NDArray[np.bool_]
) -> NDArray[np.object_]:
    result = urls.copy()
    names = clicks["campaign_name"].to_numpy(dtype=object)
    result[tagged] = tools.texts(
        "{}?utm_source=google&utm_medium=cpc&utm_campaign={}&utm_term=attribution+software", urls[tagged], names[tagged]
    )
    return with_click_id(result, "gclid", identifiers)


def _social_urls(
    urls: NDArray[np.object_], clicks: pd.DataFrame, identifiers: NDArray[np.object_], instagram: NDArray[np.bool_]
) -> NDArray[np.object_]:
    source = np.where(instagram, "instagram", "facebook")
    columns = (clicks[name].to_numpy(dtype=object) for name in ("campaign_name", "ad_name"))
    tagged = tools.texts(
        "{}?utm_source={}&utm_medium=paid_social&utm_campaign={}&utm_content={}", urls, source, *columns
    )
    return with_click_id(tagged, "fbclid", identifiers)


def _through_app(
    rng: np.random.Generator,
    here: NDArray[np.int64],
    app: str,
    systems: NDArray[np.object_],
    agent: NDArray[np.object_],
    referrer: NDArray[np.object_],
) -> None:
    """Set referrer and user agent of visits from a social app; in-app browsers drop half of the referrers."""
    source = {name: text for name, text, _ in _SOCIALS}[app]
    referrer[here] = source
    inside = here[rng.random(len(here)) < IN_APP_SHARE]
    found = in_app_agents(rng, (app,), systems[inside])
    inside, found = inside[found != ""], found[found != ""]
    agent[inside] = found
    referrer[inside] = np.where(rng.random(len(inside)) < 0.5, "", source)


def _organic_social(
    rng: np.random.Generator,
    here: NDArray[np.int64],
    url: NDArray[np.object_],
    systems: NDArray[np.object_],
    agent: NDArray[np.object_],
    referrer: NDArray[np.object_],
) -> None:
    network = tools.pick(rng, [name for name, _, _ in _SOCIALS], len(here), [share for _, _, share in _SOCIALS])
    for app, _, _ in _SOCIALS:
        mine = here[network == app]
        _through_app(rng, mine, app, systems, agent, referrer)
        if app in ("facebook", "instagram"):
            decorated = mine[rng.random(len(mine)) < 0.8]
            identifiers = "IwY2xjawM" + pd.Series(tools.tokens(rng, len(decorated), 56), dtype=object)
            url[decorated] = with_click_id(url[decorated], "fbclid", identifiers.to_numpy(dtype=object))


def _email_campaigns(window: tuple[int, int]) -> pd.DataFrame:
    """A weekly Mailchimp newsletter and a fortnightly HubSpot mail to businesses; the first ones precede the world."""
    start, end = window
    rows = []
    for vendor, every, offset in (("mailchimp", 7, -2), ("hubspot", 14, -1)):
        for number, day in enumerate(range(offset, (end - start) // tools.DAY, every), start=1):
            at = start + day * tools.DAY + 8 * tools.HOUR
            mailchimp = vendor == "mailchimp"
            title = f"Newsletter {number:03d}" if mailchimp else f"Business update {number:03d}"
            rows.append(
                {
                    "vendor": vendor,
                    "campaign_id": f"{0xC0FFEE0000 + number:010x}" if mailchimp else str(118_000_000 + number),
                    "list_id": MAILCHIMP_LIST if mailchimp else HUBSPOT_LIST,
                    "title": title,
                    "subject_line": f"{title}: what is new in the shop",
                    "sent_at": pd.Timestamp(at, unit="us"),
                    "emails_sent": 0,
                    "at": at,
                    "slug": title.lower().replace(" ", "-"),
                }
            )
    campaigns = pd.DataFrame(rows)
    campaigns["sent_at"] = tools.times(campaigns["at"])
    return campaigns


def _last_campaign(
    campaigns: pd.DataFrame, population: Population, frame: pd.DataFrame, here: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The mail each e-mail visit came from: the latest one its person's vendor had sent."""
    business = population.people["organisation_id"].notna().to_numpy()[frame["person"].to_numpy()[here]]
    started = frame["started"].to_numpy()[here]
    result = np.zeros(len(here), np.int64)
    for mask, vendor in ((business, "hubspot"), (~business, "mailchimp")):
        positions = np.flatnonzero(campaigns["vendor"] == vendor)
        sent = campaigns["at"].to_numpy()[positions]
        result[mask] = positions[np.searchsorted(sent, started[mask], side="right") - 1]
    return result


def _email_activity(
    rng: np.random.Generator,
    campaigns: pd.DataFrame,
    visits: Visits,
    population: Population,
    here: NDArray[np.int64],
    mail_campaign: NDArray[np.int64],
    url: NDArray[np.object_],
    window: tuple[int, int],
) -> pd.DataFrame:
    frame = visits.frame
    count = len(population.people)
    subscribed = np.where(visits.signed_up_at >= 0, visits.signed_up_at, window[1])
    subscribed = np.where(rng.random(count) < NEWSLETTER_CONSENT, subscribed, window[1])
    # Whoever came by mail had been sent one, also without an account: since the one before, not since ever.
    reached = frame.iloc[here].drop_duplicates("person")
    since = np.maximum(reached["started"].to_numpy() - MAILED_BEFORE, visits.came_at[reached["person"].to_numpy()])
    subscribed[reached["person"].to_numpy()] = np.minimum(subscribed[reached["person"].to_numpy()], since)
    business = population.people["organisation_id"].notna().to_numpy()
    vendor = np.where(business, "hubspot", "mailchimp")
    sent_at = campaigns["at"].to_numpy()
    gets = (subscribed[:, None] < sent_at) & (sent_at < visits.left_at[:, None])
    gets &= vendor[:, None] == campaigns["vendor"].to_numpy(dtype=object)
    person, campaign = np.nonzero(gets)
    at = sent_at[campaign] + rng.integers(0, 1800, len(person)) * tools.SECOND
    bounced = rng.random(len(person)) < BOUNCE_RATE
    clicked_pairs = np.isin(
        person * len(campaigns) + campaign, frame["person"].to_numpy()[here] * len(campaigns) + mail_campaign
    )
    bounced &= ~clicked_pairs
    opens = ~bounced & (rng.random(len(person)) < OPEN_RATE) & ~clicked_pairs
    machine = ~bounced & (rng.random(len(person)) < MACHINE_OPEN_RATE)
    scanned = ~bounced & (rng.random(len(person)) < MACHINE_CLICK_RATE)
    opened_at = at + (rng.exponential(9 * 3600, len(person)) * tools.SECOND).astype(np.int64) + tools.MINUTE
    own_ip = population.devices["ip"].to_numpy(dtype=object)[population.own_devices[:, 0]]

    def part(mask: NDArray, action: str, when: NDArray, bot: bool = False) -> pd.DataFrame:
        # Privacy proxies and link scanners act from data centres, seconds after delivery.
        ip = "198.19.255.7" if bot else own_ip[person[mask]]
        return pd.DataFrame(
            {
                "person": person[mask],
                "campaign": campaign[mask],
                "action": action,
                "at": when[mask],
                "ip": ip,
                "is_bot": bot,
            }
        )

    scans = part(scanned, "click", at + 9 * tools.SECOND, bot=True).assign(url=f"{SHOP}/")
    clicked_at = frame["started"].to_numpy()[here] - 2 * tools.SECOND
    who = frame["person"].to_numpy()[here]
    clicks = pd.DataFrame(
        {
            "person": who,
            "campaign": mail_campaign,
            "action": "click",
            "at": clicked_at,
            "ip": own_ip[who],
            "is_bot": False,
        }
    )
    clicks["url"] = url[here]
    before = clicks.drop(columns="url").assign(action="open", at=clicked_at - 20 * tools.SECOND)
    parts = [
        part(np.ones(len(person), bool), "sent", at),
        part(bounced, "bounce", at + 5 * tools.SECOND),
        part(opens, "open", opened_at),
        part(machine, "open", at + 4 * tools.SECOND, bot=True),
        before,
        clicks,
        scans,
    ]
    activity = pd.concat(parts, ignore_index=True)
    activity = activity[activity["at"] < window[1]]
    activity = activity.sort_values(["at", "person", "campaign", "action"], kind="stable", ignore_index=True)
    which = campaigns.iloc[activity["campaign"].to_numpy()].reset_index(drop=True)
    counts = activity.loc[activity["action"] == "sent", "campaign"].value_counts()
    campaigns["emails_sent"] = campaigns.index.map(counts).fillna(0).astype(np.int64)
    return pd.DataFrame(
        {
            "vendor": which["vendor"],
            "activity_id": tools.texts("act_{:09d}", range(len(activity))),
            "campaign_id": which["campaign_id"],
            "list_id": which["list_id"],
            "person": activity["person"],
            "action": activity["action"],
            "occurred_at": tools.times(activity["at"].to_numpy()),
            "url": activity["url"].astype(object).where(activity["url"].notna(), None),
            "ip": activity["ip"],
            "is_bot": activity["is_bot"].astype(bool),
        }
    )


def ad_days(
    ads: pd.DataFrame,
    clicks: pd.DataFrame,
    visits: Visits,
    revenue: NDArray[np.float64],
    days: pd.DatetimeIndex,
    seed: int,
    accounts: tuple[tuple[str, str, int], ...] = ACCOUNTS,
    stream: str = "ad_days",
) -> pd.DataFrame:
    """What the ad platforms report per day and ad, in each account's time zone.

    A platform claims every sign-up within its window (Google 30 days, Meta 7) of its own last click, whatever else
    happened before: the claims of both add up to more than there was, as in life.

    Args:
        revenue: per person, what the person bought.
        days: the calendar days of the world; days with clicks before the first are added.
        accounts: per platform its time zone and the days within which it claims a sign-up.
        stream: what prices and impressions are drawn from.
    """
    rng = tools.stream(seed, stream)
    parts = []
    for platform, zone, days_back in accounts:
        own = clicks[clicks["platform"] == platform].copy()
        own["date"] = tools.local_dates(own["at"].to_numpy(), zone).to_numpy()
        counted = own.groupby(["date", "ad_id"]).size().rename("clicks")
        here = ads[ads["platform"] == platform].reset_index(drop=True)
        dates = days.union(pd.DatetimeIndex(own["date"].unique()))
        grid = here.merge(pd.DataFrame({"date": dates.astype("datetime64[us]")}), how="cross")
        grid = grid.merge(counted, how="left", left_on=["date", "ad_id"], right_index=True)
        grid["clicks"] = grid["clicks"].fillna(0).astype(np.int64)
        claims = _claims(own, visits, revenue, days_back)
        grid = grid.merge(claims, how="left", left_on=["date", "ad_id"], right_index=True)
        parts.append(grid.fillna({"conversions": 0.0, "conversions_value": 0.0}))
    table = pd.concat(parts, ignore_index=True).sort_values(["date", "platform", "ad_id"], ignore_index=True)
    amount = table["clicks"].to_numpy()
    price = table["cost_per_click"].to_numpy() * np.exp(rng.normal(0, 0.15, len(table)))
    table["cost_micros"] = (np.round(amount * price, 2) * 1_000_000).round().astype(np.int64)
    table["impressions"] = amount + rng.poisson((amount + 0.3) / table["click_rate"].to_numpy())
    return table[
        [
            *("platform", "date", "account_id", "campaign_id", "campaign_name", "channel_type", "ad_group_id"),
            *("ad_group_name", "ad_id", "ad_name", "cost_micros", "clicks", "impressions", "conversions"),
            *("conversions_value", "currency"),
        ]
    ]


def _claims(clicks: pd.DataFrame, visits: Visits, revenue: NDArray[np.float64], days_back: int) -> pd.DataFrame:
    known = clicks[clicks["person"] >= 0].sort_values(["person", "at"])
    signup = visits.signed_up_at[known["person"].to_numpy()]
    at = known["at"].to_numpy()
    inside = known[(signup > at) & (signup - at <= days_back * tools.DAY)]
    last = inside.groupby("person").tail(1)
    last = last.assign(conversions=1.0, conversions_value=revenue[last["person"].to_numpy()])
    return last.groupby(["date", "ad_id"])[["conversions", "conversions_value"]].sum()
