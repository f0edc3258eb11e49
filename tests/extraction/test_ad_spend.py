"""Spend through every layer: what the world holds, what each platform sent, and the unified model, to the millionth.

About 20 s, most of it dbt.
"""

import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml

from dlt_pipelines import http
from dlt_pipelines.pipeline import landing_file
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from tests.extraction.harness import Loader, make_window

PROJECT = Path(__file__).parents[2] / "dbt_attribution"
INTEGRITY = "assert_spend_is_what_the_vendors_sent assert_spend_of_every_platform_and_day_survives"
ACCOUNTS: dict[str, dict[str, object]] = {
    "google_ads": {"customer_ids": ["1234567890"], "login_customer_id": "9876543210", "clicks": False},
    "meta_ads": {"account_ids": ["1001"]},
    "tiktok_ads": {"advertiser_ids": [PLATFORMS["tiktok_ads"].account_id]},
    **{name: {"account_ids": [PLATFORMS[name].account_id]} for name in PLATFORMS if name != "tiktok_ads"},
}


@pytest.fixture(scope="module")
def world():
    return build_world(WorldConfig(people=200, days=14, platforms=tuple(PLATFORMS)))


@pytest.fixture(scope="module")
def project(world, tmp_path_factory):
    """dbt over landing files of all seven platforms; call it with a command and what to select."""
    folder = tmp_path_factory.mktemp("spend")
    loader = Loader(folder)
    start = pd.Timestamp(world.config.start_on).date()
    window = make_window(start, start + timedelta(days=world.config.days))
    with pytest.MonkeyPatch.context() as patch, SandboxServer(world) as server:
        patch.setattr(http, "sleep", lambda seconds: None)
        for name, value in server.credentials().items():
            patch.setenv(name, value)
        for name, accounts in ACCOUNTS.items():
            given = {"enabled": True, "base_url": server.base_urls[name], **accounts}
            if name in server.token_urls:
                given["token_url"] = server.token_urls[name]
            loader.load(SOURCES[name], SOURCES[name].config_model(**given).anchored(folder), window)

    def dbt(command, select):
        run = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", "--log-path", str(folder / "logs"), command]
        run += ["--target-path", str(folder / "target"), "--select", *select.split()]
        run += ["--vars", yaml.safe_dump({"enabled_sources": list(ACCOUNTS)}, default_flow_style=True).strip()]
        environment = {
            **os.environ,
            "ATTRIBUTION_WAREHOUSE_PATH": str(folder / "w.duckdb"),
            "ATTRIBUTION_LANDING_DIR": str(folder / "landing"),
        }
        return subprocess.run(
            run, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    done = dbt("build", "+int_paid_budget__ad_spend_by_platform --exclude-resource-type test unit_test")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder, dbt


def test_unified_spend_is_the_worlds_for_every_platform(project, world):
    folder, _ = project
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select platform, campaign_id, date_on::varchar, original_currency, sum(original_spend), sum(clicks) "
            "from intermediate.int_paid_budget__ad_spend_by_platform group by all"
        ).fetchall()
    days = world.ad_days
    # Clicks that lead to the site; a day without any delivery is not reported.
    days = days[(days[["cost_micros", "clicks", "impressions", "conversions"]] != 0).any(axis=1)]
    sums = days.groupby(["platform", "campaign_id", "date", "currency"], as_index=False)[
        ["cost_micros", "clicks"]
    ].sum()
    assert set(sums["platform"]) == set(ACCOUNTS)
    assert sorted(found) == sorted(
        (
            row.platform,
            str(row.campaign_id),
            str(row.date)[:10],
            row.currency,
            Decimal(int(row.cost_micros)) / 1_000_000,
            row.clicks,
        )
        for row in sums.itertuples()
    )


def test_integrity_holds_and_sees_one_row_too_many(project):
    folder, dbt = project
    assert dbt("test", INTEGRITY).returncode == 0
    with duckdb.connect(str(landing_file(folder / "landing", "x_ads"))) as connection:
        connection.execute(
            "update raw_x_ads.campaign_daily set billed_charge_local_micro = billed_charge_local_micro + 1000000 "
            "where date = (select min(date) from raw_x_ads.campaign_daily)"
        )
    done = dbt("test", "assert_spend_is_what_the_vendors_sent")
    assert done.returncode == 1
    assert "FAIL" in done.stdout
