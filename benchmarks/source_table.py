"""Source by source against the sandbox: rows extracted beside rows the world holds, requests made, client that read it.

    python -m benchmarks.source_table [--people 300] [--days 30] [--write]

The world's rows are counted from its frames, never from a vendor's answer; a table that the vendor derives is held to the
world in tests/extraction. The second run of each source must change no row.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pandas as pd

from benchmarks.clients.__main__ import CLIENTS
from benchmarks.page import PAGE, replace_section
from dlt_pipelines import http
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors.common import share_of
from dlt_pipelines.sandbox.world import World, WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from tests.extraction.every_source import every_source
from tests.extraction.harness import Loader, make_window

SUMS = ["cost_micros", "clicks", "impressions", "conversions"]


def _ad_days(platform: str, *grain: str) -> Callable[[World], int]:
    def count(world: World) -> int:
        days = world.ad_days[world.ad_days["platform"] == platform]
        sums = days.groupby(["date", *grain])[SUMS].sum()
        return int((sums != 0).any(axis=1).sum())

    return count


def _x_days(world: World) -> int:
    """X splits a campaign's days by placement; the sandbox places each ad by its id."""
    placed = world.ad_days["ad_id"].map(lambda ad: share_of(str(ad), 2))
    days = world.ad_days.assign(placement=placed)
    sums = days[days["platform"] == "x_ads"].groupby(["date", "campaign_id", "placement"])[SUMS].sum()
    return int((sums != 0).any(axis=1).sum())


def _mail(vendor: str) -> Callable[[World], int]:
    return lambda world: int((world.email_campaigns["vendor"] == vendor).sum())


def _frame(name: str) -> Callable[[World], int]:
    return lambda world: len(getattr(world, name))


def _clicks(platform: str, kind: str) -> Callable[[World], int]:
    return lambda world: int(
        (world.ad_clicks["platform"].eq(platform) & world.ad_clicks["click_id_type"].eq(kind)).sum()
    )


def _since_start(vendor: str) -> Callable[[World], int]:
    def count(world: World) -> int:
        mine = world.email_activity[world.email_activity["vendor"].eq(vendor)]
        return int((mine["occurred_at"] >= pd.Timestamp(world.config.start_on)).sum())

    return count


HELD: Mapping[str, Callable[[World], int]] = {
    "ga4.events": lambda world: len(world.events.drop_duplicates("event_id")),
    "google_ads.campaign_daily": _ad_days("google_ads", "campaign_id"),
    "google_ads.click_view": _clicks("google_ads", "gclid"),
    "meta_ads.ad_daily": _ad_days("meta_ads", "ad_id"),
    "microsoft_ads.campaign_daily": _ad_days("microsoft_ads", "campaign_id"),
    "microsoft_ads.clicks": _clicks("microsoft_ads", "msclkid"),
    "linkedin_ads.campaign_daily": _ad_days("linkedin_ads", "campaign_id"),
    "reddit_ads.campaign_daily": _ad_days("reddit_ads", "campaign_id"),
    "x_ads.campaign_daily": _x_days,
    "tiktok_ads.ad_daily": _ad_days("tiktok_ads", "ad_id"),
    "mailchimp.campaigns": _mail("mailchimp"),
    "mailchimp.email_activity": lambda world: int(
        (world.email_activity["vendor"].eq("mailchimp") & world.email_activity["action"].ne("sent")).sum()
    ),
    "klaviyo.events": _since_start("mailchimp"),
    "klaviyo.profiles": lambda world: int(
        world.email_activity.loc[world.email_activity["vendor"].eq("mailchimp"), "email"].nunique()
    ),
    "hubspot.email_events": _since_start("hubspot"),
    "pipedrive.persons": _frame("contacts"),
    "pipedrive.deals": _frame("deals"),
    "klaviyo.campaigns": _mail("mailchimp"),
    "hubspot.contacts": _frame("contacts"),
    "hubspot.deals": _frame("deals"),
    "hubspot.deal_stages": _frame("deal_stages"),
    "salesforce.opportunities": _frame("deals"),
    "backend.users": _frame("users"),
    "backend.device_fingerprints": _frame("device_fingerprints"),
    "backend.requests": _frame("requests"),
    "backend.subscriptions": _frame("subscriptions"),
    "backend.organisations": _frame("organisations"),
    "files.events": lambda world: len(world.events.drop_duplicates("event_id")),
    "files.contacts": lambda world: int((~world.contacts["archived"].astype(bool)).sum()),
}
READERS = {client.vendor: client.requirement.partition("==")[0] for client in CLIENTS}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    chosen = parser.parse_args()
    http.sleep = lambda seconds: None
    world = build_world(WorldConfig(people=chosen.people, days=chosen.days, platforms=tuple(PLATFORMS)))
    start = pd.Timestamp(world.config.start_on).date()
    window = make_window(start, start + timedelta(days=chosen.days), refresh=True)
    lines = [
        f"A world of {chosen.people} people and {chosen.days} days. “in tests”: rows that the vendor derives, held to the world "
        "in the source's own tests.",
        "",
        "| source | resource | rows extracted | rows the world holds | requests | second run changes | official client |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    unequal = 0
    with SandboxServer(world) as server, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        configs, variables = every_source(world, server, folder)
        os.environ |= variables
        for name, config in configs.items():
            spec, loader = SOURCES[name], Loader(folder / "state")
            before = len(server.requests)
            rows = loader.load(spec, config, window).rows
            requests = len(server.requests) - before
            first = loader.stored(name)
            loader.load(spec, config, window)
            second = loader.stored(name)
            for resource in spec.resources:
                table = resource.name
                held = HELD.get(f"{name}.{table}")
                expected = held(world) if held else None
                stored = len(first.get(table, []))
                unequal += expected is not None and expected != stored
                changed = len(set(map(repr, first.get(table, []))) ^ set(map(repr, second.get(table, []))))
                unequal += changed
                shown = "in tests" if expected is None else f"{expected}" + ("" if expected == stored else " (differs)")
                reader = READERS.get(name, "") if resource is spec.resources[0] else ""
                made = str(requests) if resource is spec.resources[0] else ""
                line = f"| {name} | {table} | {stored} | {shown} | {made} | {changed} | {reader} |"
                print(line, rows.get(table), flush=True)
                lines.append(line)
    if chosen.write:
        replace_section("source table", "\n".join(lines))
    return 1 if unequal else 0


if __name__ == "__main__":
    sys.exit(main())
