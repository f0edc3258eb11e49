"""Tracking faults, as small functions on a world: what breaks in practice, from a chosen day on.

A fault is written ``name[:target][@YYYY-MM-DD]``; the beginning of a name will do. Without a date it begins two thirds into
the world. The truth is never touched, so what a fault costs can be measured.

- ``gclid_stripped[:path]``: a redirect on one landing page (``/sale``) drops Google click ids;
- ``fbclid_lost[:browser]``: one browser (``Safari``, and every in-app browser on iOS with it) removes fbclid;
- ``utm_mangled[:campaign]``: one campaign's (``generic-de``) UTM tags arrive with broken names (``utm-source``, ``utm_medum``);
- ``consent_halves_events``: a new consent banner, after which half of the cookies send nothing to analytics;
- ``identity_unstitched``: a new login page forgets to say who logged in, to analytics and to the backend's log;
- ``spend_doubled[:platform]``: one platform (``google_ads``) reports cost and impressions twice;
- ``source_stalled[:source]``: one source (``ga4``) delivers nothing more;
- ``crm_stage_renamed[:stage]``: a pipeline stage (``closedwon``) gets a new id; deals of all times carry it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

import pandas as pd

from dlt_pipelines.sandbox.world_platforms import PLATFORMS

if TYPE_CHECKING:
    from dlt_pipelines.sandbox.world import World


def _without(events: pd.DataFrame, rows: pd.Series, parameter: str) -> pd.DataFrame:
    bare = events["page_url"].str.replace(rf"([?&]){parameter}=[^&]*&?", r"\1", regex=True).str.rstrip("?&")
    return events.assign(page_url=events["page_url"].where(~rows, bare))


def gclid_stripped(world: World, target: str, since: pd.Timestamp) -> World:
    """Google click ids vanish from one landing page."""
    events = world.events
    path = events["page_url"].str.split("?").str[0].str.removeprefix("https://shop.example")
    rows = (events["occurred_at"] >= since) & (path == target)
    return replace(world, events=_without(events, rows, "gclid"))


def fbclid_lost(world: World, target: str, since: pd.Timestamp) -> World:
    """Meta click ids vanish in one browser."""
    events = world.events
    browsers = world.devices.set_index("device_id")["browser"]
    rows = (events["occurred_at"] >= since) & (events["device_id"].map(browsers) == target)
    return replace(world, events=_without(events, rows, "fbclid"))


def utm_mangled(world: World, target: str, since: pd.Timestamp) -> World:
    """One campaign's UTM parameters arrive under broken names."""
    events = world.events
    tagged = events["page_url"].str.contains(rf"[?&]utm_campaign={target}(?:&|$)", regex=True)
    rows = (events["occurred_at"] >= since) & tagged
    broken = events["page_url"]
    for good, bad in (("utm_source=", "utm-source="), ("utm_medium=", "utm_medum="), ("utm_campaign=", "campaign=")):
        broken = broken.str.replace(good, bad, regex=False)
    return replace(world, events=events.assign(page_url=events["page_url"].where(~rows, broken)))


def consent_halves_events(world: World, target: str, since: pd.Timestamp) -> World:
    """Half of the cookies decline: analytics hears nothing more of them."""
    events = world.events
    declined = {d for d in events["device_id"].unique() if crc32(f"{world.config.seed}/{d}".encode()) % 2}
    gone = (events["occurred_at"] >= since) & events["device_id"].isin(declined)
    return replace(world, events=events[~gone].reset_index(drop=True))


def identity_unstitched(world: World, target: str, since: pd.Timestamp) -> World:
    """Nobody's user id reaches analytics or the request log any more, and new devices stay without an owner."""
    late = world.events["occurred_at"] >= since
    events = world.events.assign(user_id=world.events["user_id"].where(~late, None))
    served = world.requests["occurred_at"] >= since
    requests = world.requests.assign(user_id=world.requests["user_id"].where(~served, None))
    new = world.device_fingerprints["first_seen_at"] >= since
    devices = world.device_fingerprints.assign(user_id=world.device_fingerprints["user_id"].where(~new, None))
    return replace(world, events=events, requests=requests, device_fingerprints=devices)


def spend_doubled(world: World, target: str, since: pd.Timestamp) -> World:
    """One ad platform counts cost and impressions twice."""
    days = world.ad_days
    factor = 1 + ((days["platform"] == target) & (days["date"] >= since)).astype("int64")
    doubled = days.assign(cost_micros=days["cost_micros"] * factor, impressions=days["impressions"] * factor)
    return replace(world, ad_days=doubled)


_STALLING: dict[str, tuple[tuple[str, str, str | None], ...]] = {
    # source: (frame, time column, column that must equal the source, or None)
    "ga4": (("events", "occurred_at", None),),
    "google_ads": (("ad_days", "date", "platform"), ("ad_clicks", "occurred_at", "platform")),
    "meta_ads": (("ad_days", "date", "platform"), ("ad_clicks", "occurred_at", "platform")),
    **dict.fromkeys(PLATFORMS, (("ad_days", "date", "platform"), ("ad_clicks", "occurred_at", "platform"))),
    "mailchimp": (("email_campaigns", "sent_at", "vendor"), ("email_activity", "occurred_at", "vendor")),
    "hubspot": (
        ("email_campaigns", "sent_at", "vendor"),
        ("email_activity", "occurred_at", "vendor"),
        ("contacts", "created_at", None),
        ("deals", "created_at", None),
    ),
    "backend": (
        ("users", "created_at", None),
        ("device_fingerprints", "first_seen_at", None),
        ("requests", "occurred_at", None),
        ("subscriptions", "started_at", None),
    ),
}


def source_stalled(world: World, target: str, since: pd.Timestamp) -> World:
    """One source stops: nothing it would have recorded since is there."""
    if target not in _STALLING:
        raise ValueError(f"source_stalled: unknown source {target!r}; use one of {sorted(_STALLING)}")
    changed = {}
    for name, column, owner in _STALLING[target]:
        frame = getattr(world, name)
        late = frame[column] >= since
        if owner is not None:
            late &= frame[owner] == target
        changed[name] = frame[~late].reset_index(drop=True)
    return replace(world, **changed)


def crm_stage_renamed(world: World, target: str, since: pd.Timestamp) -> World:
    """Somebody rebuilt the pipeline: the stage has another id, on every deal at once, as HubSpot shows it."""
    renamed = f"{target}_{since:%Y%m%d}"
    stages = world.deal_stages
    if target not in set(stages["stage_id"]):
        raise ValueError(f"crm_stage_renamed: unknown stage {target!r}; use one of {sorted(stages['stage_id'])}")
    deals = world.deals
    return replace(
        world,
        deals=deals.assign(dealstage=deals["dealstage"].replace(target, renamed)),
        deal_stages=stages.assign(stage_id=stages["stage_id"].replace(target, renamed)),
    )


FAULTS: dict[str, tuple[Callable[[World, str, pd.Timestamp], World], str]] = {
    "gclid_stripped": (gclid_stripped, "/sale"),
    "fbclid_lost": (fbclid_lost, "Safari"),
    "utm_mangled": (utm_mangled, "generic-de"),
    "consent_halves_events": (consent_halves_events, ""),
    "identity_unstitched": (identity_unstitched, ""),
    "spend_doubled": (spend_doubled, "google_ads"),
    "source_stalled": (source_stalled, "ga4"),
    "crm_stage_renamed": (crm_stage_renamed, "closedwon"),
}


def parse_fault(text: str, default: date) -> tuple[str, str, pd.Timestamp]:
    """Name, target and first day of a fault written ``name[:target][@YYYY-MM-DD]``.

    Raises:
        ValueError: unknown name or malformed date.
    """
    head, _, day = text.partition("@")
    name, _, target = head.partition(":")
    meant = [known for known in FAULTS if known.startswith(name)] if name else []
    if len(meant) != 1:
        raise ValueError(f"unknown fault {name!r} in {text!r}; use one of {', '.join(sorted(FAULTS))}")
    name = meant[0]
    try:
        since = pd.Timestamp(date.fromisoformat(day) if day else default)
    except ValueError as error:
        raise ValueError(f"fault {text!r}: {day!r} is not a date like 2026-09-01") from error
    return name, target or FAULTS[name][1], since


def apply_faults(world: World, faults: tuple[str, ...]) -> World:
    """The world with each fault in turn; the truth stays as it is."""
    default = world.config.start_on + timedelta(days=world.config.days * 2 // 3)
    for text in faults:
        name, target, since = parse_fault(text, default)
        world = FAULTS[name][0](world, target, since)
    return world
