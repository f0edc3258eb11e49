"""What Google Analytics would know about the world's events: sessions, their traffic source, the device behind.

Shared by the Data API (:mod:`ga4`) and the export files (:mod:`ga4_export`), so that the two agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from dlt_pipelines.sandbox.vendors.common import EUROPE, KEY_EVENTS, OWN_DOMAIN, World

SEARCH_ENGINES = ("google", "bing", "duckduckgo", "yahoo", "ecosia", "yandex", "baidu")
PARAMETERS = (
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "gclid",
    "dclid",
    "srsltid",
)
CATEGORIES = {"desktop": "desktop", "mobile": "mobile", "tablet": "tablet"}


@dataclass(frozen=True)
class Traffic:
    """Where a session came from, in GA4's words."""

    source: str
    medium: str
    campaign: str


def campaign_parameters(url: str | None) -> dict[str, str]:
    """The campaign parameters and Google click ids of a page address; empty ones are left out."""
    if not url or "?" not in url:
        return {}
    query = parse_qs(urlsplit(url).query)
    return {name: query[name][-1] for name in PARAMETERS if query.get(name)}


def traffic_of(url: str | None, referrer: str | None, campaigns: Mapping[str, str]) -> Traffic:
    """Source, medium and campaign of a session from its first event.

    A Google click id wins over UTM parameters (auto-tagging); its campaign is looked up in ``campaigns``. Unlike
    GA4, a direct session is not given the source of an earlier one, so figures here can be recounted from events.
    """
    found = campaign_parameters(url)
    if "gclid" in found:
        return Traffic("google", "cpc", campaigns.get(found["gclid"], found.get("utm_campaign", "(not set)")))
    if "utm_source" in found or "utm_medium" in found or "utm_campaign" in found:
        return Traffic(
            found.get("utm_source", "(not set)"),
            found.get("utm_medium", "(not set)"),
            found.get("utm_campaign", "(not set)"),
        )
    host = (urlsplit(referrer).hostname or "") if referrer else ""
    if not host or host == OWN_DOMAIN or host.endswith(f".{OWN_DOMAIN}"):
        return Traffic("(direct)", "(none)", "(direct)")
    for engine in SEARCH_ENGINES:
        if engine in host.split("."):
            return Traffic(engine, "organic", "(organic)")
    return Traffic(host.removeprefix("www."), "referral", "(referral)")


def google_campaigns(world: World) -> dict[str, str]:
    """Campaign name of each gclid."""
    clicks = world.ad_clicks
    google = clicks[clicks["platform"].eq("google_ads") & clicks["campaign_name"].notna()]
    return dict(zip(google["click_id"].astype(str), google["campaign_name"].astype(str), strict=True))


def event_facts(world: World) -> pd.DataFrame:
    """One row per event, in time order, with everything a report can be asked for.

    Columns beyond the world's own: date (``YYYYMMDD`` in the property's time zone), day (date), session_key, source,
    medium, campaign, landing_page, host, path, category, browser, operating_system, is_key, is_engaged.
    """
    events = world.events.sort_values(["occurred_at", "event_id"], kind="stable").reset_index(drop=True)
    local = events["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(EUROPE)
    session = events["device_id"].astype("string") + "/" + events["ga_session_id"].astype("string")
    address = events["page_url"].astype("string")
    parts = address.str.extract(r"^https?://(?P<host>[^/?#]+)(?P<path>/[^?#]*)?")
    devices = world.devices.drop_duplicates("device_id").set_index("device_id")
    facts = events.assign(
        date=local.dt.strftime("%Y%m%d"),
        day=local.dt.date,
        session_key=session,
        host=parts["host"].fillna("(not set)"),
        path=parts["path"].fillna("/"),
        category=events["device_id"].map(devices["kind"]).map(CATEGORIES).fillna("desktop"),
        browser=events["device_id"].map(devices["browser"]).fillna("(not set)"),
        operating_system=events["device_id"].map(devices["operating_system"]).fillna("(not set)"),
        is_key=events["event_name"].isin(KEY_EVENTS),
        country=events["country"].fillna("(not set)"),
    )
    return _with_session_facts(facts, google_campaigns(world))


def _with_session_facts(facts: pd.DataFrame, campaigns: Mapping[str, str]) -> pd.DataFrame:
    first = facts.dropna(subset=["session_key"]).drop_duplicates("session_key").set_index("session_key")
    addresses = [None if pd.isna(value) else str(value) for value in first["page_url"]]
    referrers = [None if pd.isna(value) else str(value) for value in first["referrer"]]
    traffic = [traffic_of(url, referrer, campaigns) for url, referrer in zip(addresses, referrers, strict=True)]
    sessions = pd.DataFrame(
        {
            "source": [item.source for item in traffic],
            "medium": [item.medium for item in traffic],
            "campaign": [item.campaign for item in traffic],
            "landing_page": first["path"].to_numpy(),
        },
        index=first.index,
    )
    grouped = facts.groupby("session_key")
    lasted = grouped["occurred_at"].max() - grouped["occurred_at"].min()
    views = facts["event_name"].eq("page_view").groupby(facts["session_key"]).sum()
    key = facts["is_key"].groupby(facts["session_key"]).any()
    engaged = (lasted >= pd.Timedelta(seconds=10)) | (views >= 2) | key
    for name in sessions.columns:
        facts[name] = facts["session_key"].map(sessions[name]).fillna("(not set)")
    facts["is_engaged"] = facts["session_key"].map(engaged).fillna(False).astype(bool)
    return facts
