"""The coverage table of a simulated world, made the short way: frames straight into landing files, then the real dbt models.

Speaking every vendor's wire format takes ten times as long as everything after it and changes no figure; extraction has tests of
its own. Used by `fault_year.py`.
"""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from attribution_platform.layout import DBT_PROJECT_DIR
from attribution_platform.resources.warehouse import DUCKDB_CONFIG, DuckDBWarehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import build_arguments, dbt_executable
from attribution_platform.user_agents import COLUMN_TYPES, parse_user_agents
from dlt_pipelines.sandbox.vendors.common import EUROPE
from dlt_pipelines.sandbox.vendors.ga4_facts import CATEGORIES, PARAMETERS
from dlt_pipelines.sandbox.world import World

MANUAL = {
    "utm_source": "manual_source",
    "utm_medium": "manual_medium",
    "utm_campaign": "manual_campaign_name",
    "utm_term": "manual_term",
    "utm_content": "manual_content",
}
NO_TESTS = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]


def _hashed(values: pd.Series) -> pd.Series:
    known = {value: hashlib.sha256(str(value).encode()).hexdigest() for value in values.dropna().unique()}
    return values.map(known)


def raw_tables(world: World) -> dict[str, dict[str, pd.DataFrame]]:
    """Source -> table -> rows, with the columns that staging reads."""
    ads, clicks, mail = world.ad_days, world.ad_clicks, world.email_activity
    google, meta = ads[ads["platform"] == "google_ads"], ads[ads["platform"] == "meta_ads"]
    campaign = ["date", "account_id", "campaign_id", "campaign_name", "channel_type", "currency"]
    by_campaign = google.groupby(campaign, as_index=False)[
        ["cost_micros", "clicks", "impressions", "conversions", "conversions_value"]
    ].sum()
    gclids = clicks[(clicks["platform"] == "google_ads") & (clicks["click_id_type"] == "gclid")]
    sent = mail[(mail["vendor"] == "mailchimp") & (mail["action"] != "sent")]
    newsletters = world.email_campaigns[world.email_campaigns["vendor"] == "mailchimp"]
    contact = {"contact_id": "id", "email": "email_hash"}
    deal = {
        "deal_id": "id",
        "currency": "deal_currency_code",
        "created_at": "create_date",
        "close_at": "close_date",
    }
    requests = world.requests
    return {
        "ga4": {"events": _ga4(world)},
        "google_ads": {
            "campaign_daily": by_campaign.rename(
                columns={
                    "account_id": "customer_id",
                    "channel_type": "advertising_channel_type",
                    "currency": "currency_code",
                }
            ).assign(time_zone=EUROPE),
            "click_view": pd.DataFrame(
                {
                    "gclid": gclids["click_id"],
                    "customer_id": "1234567890",
                    "campaign_id": gclids["campaign_id"],
                    "campaign_name": gclids["campaign_name"],
                    "ad_group_id": gclids["ad_group_id"],
                    "ad_id": gclids["ad_id"],
                    "date": gclids["occurred_at"].dt.date,
                }
            ),
        },
        "meta_ads": {
            "ad_daily": pd.DataFrame(
                {
                    "date_start": meta["date"],
                    "account_id": meta["account_id"],
                    "ad_id": meta["ad_id"],
                    "campaign_id": meta["campaign_id"],
                    "campaign_name": meta["campaign_name"],
                    "adset_id": meta["ad_group_id"],
                    "adset_name": meta["ad_group_name"],
                    "ad_name": meta["ad_name"],
                    "spend": meta["cost_micros"] / 1e6,
                    "clicks": meta["clicks"],
                    "inline_link_clicks": meta["clicks"],
                    "impressions": meta["impressions"],
                    "account_currency": meta["currency"],
                    "purchases": meta["conversions"],
                }
            )
        },
        "mailchimp": {
            "campaigns": newsletters.rename(columns={"campaign_id": "id", "sent_at": "send_time"}).assign(
                status="sent"
            ),
            "email_activity": sent.rename(columns={"occurred_at": "timestamp"}).assign(
                email_hash=_hashed(sent["email"])
            )[["activity_id", "campaign_id", "list_id", "email_hash", "action", "url", "timestamp"]],
        },
        "hubspot": {
            "contacts": world.contacts.assign(email=_hashed(world.contacts["email"])).rename(columns=contact),
            "deals": world.deals.assign(contact_ids=world.deals["contact_ids"].map(json.dumps))
            .rename(columns=deal)
            .drop(columns="name"),
            "deal_stages": world.deal_stages,
        },
        "backend": {
            "users": world.users.assign(email_hash=_hashed(world.users["email"])).drop(columns=["email", "person_id"]),
            "device_fingerprints": world.device_fingerprints,
            "requests": requests.assign(ip_hash=_hashed(requests["ip"])).drop(columns="ip"),
            "subscriptions": world.subscriptions,
            "organisations": world.organisations,
        },
    }


def _ga4(world: World) -> pd.DataFrame:
    events = world.events.drop_duplicates("event_id")
    devices = world.devices.drop_duplicates("device_id").set_index("device_id")
    local = events["occurred_at"].dt.tz_localize("UTC").dt.tz_convert(EUROPE)
    table = pd.DataFrame(
        {
            "event_id": events["event_id"],
            "event_date": local.dt.date,
            "event_timestamp": events["occurred_at"].astype("datetime64[us]").astype("int64"),
            "event_name": events["event_name"],
            "user_pseudo_id": events["device_id"],
            "user_id": events["user_id"],
            "stream_id": "1",
            "platform": "WEB",
            "ga_session_id": events["ga_session_id"],
            "page_location": events["page_url"],
            "page_referrer": events["referrer"],
            "device_category": events["device_id"].map(devices["kind"]).map(CATEGORIES).fillna("desktop"),
            "browser": events["device_id"].map(devices["browser"]),
            "operating_system": events["device_id"].map(devices["operating_system"]),
            "country": events["country"],
            "event_value": events["value"],
        }
    )
    for name in PARAMETERS:
        table[MANUAL.get(name, name)] = events["page_url"].str.extract(rf"[?&]{name}=([^&#]+)", expand=False)
    # GA4 drops known bots before anybody sees them.
    return table[~events["is_bot"].to_numpy(dtype=bool)]


def land(world: World, folder: Path) -> None:
    """Write a world's landing files."""
    folder.mkdir(parents=True, exist_ok=True)
    for source, tables in raw_tables(world).items():
        path = folder / f"landing_{source}.duckdb"
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path), config=DUCKDB_CONFIG) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"create schema raw_{source}")
            for name, frame in tables.items():
                plain = frame.astype(dict.fromkeys(frame.select_dtypes(["string", "str"]).columns, object))
                connection.register("incoming", plain)
                connection.execute(f"create table raw_{source}.{name} as select *, '1' as _dlt_load_id from incoming")
                connection.unregister("incoming")


def coverage_table(world: World, settings: Settings, folder: Path) -> DuckDBWarehouse:
    """Land a world and build everything up to the coverage mart; credit has its rule models only.

    Args:
        folder: what is there of another world is replaced, and dbt's parsed project is used again.

    Raises:
        RuntimeError: dbt failed; the message is the end of its output.
    """
    landing = folder / "landing"
    land(world, landing)
    warehouse = DuckDBWarehouse(path=str(folder / "w.duckdb"), landing_dir=str(landing))
    Path(warehouse.path).unlink(missing_ok=True)
    agents = pd.concat([world.events["user_agent"], world.requests["user_agent"]]).dropna().drop_duplicates()
    parsed = parse_user_agents(agents.sort_values(ignore_index=True))
    warehouse.replace_table("enrichment", "dim_user_agent", parsed, COLUMN_TYPES)
    _dbt(settings, folder, ["--select", "+mart_attribution__coverage_daily", *NO_TESTS])
    return warehouse


def _dbt(settings: Settings, folder: Path, selection: list[str]) -> None:
    variables: Mapping[str, Any] = settings.dbt_vars()
    given = [dbt_executable(), "--no-use-colors", "--log-path", str(folder), *build_arguments("build", variables)]
    environment = {
        **settings.dbt_environment(),
        "ATTRIBUTION_WAREHOUSE_PATH": str(folder / "w.duckdb"),
        "ATTRIBUTION_LANDING_DIR": str(folder / "landing"),
    }
    done = subprocess.run(
        [*given, "--target-path", str(folder / "target"), *selection],
        cwd=DBT_PROJECT_DIR,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-4000:])
