"""What marts and coverage read, as the table contract promises it: typed, and as empty or as full as a test wants.

The layer is built alone against these tables, so that its arithmetic is tested on rows a person can count.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import yaml

PROJECT = Path(__file__).parents[2] / "dbt_attribution"

_SESSION_URL = {"page_path": "varchar", "browser": "varchar", "device_category": "varchar", "country": "varchar"}
_CREDIT = {
    "conversion_id": "varchar",
    "touchpoint_id": "varchar",
    "model_type": "varchar",
    "conversion_type": "varchar",
    "channel": "varchar",
    "campaign": "varchar",
    "artifact_id": "varchar",
    "product": "varchar",
    "converted_on": "date",
    "touched_on": "date",
    "credit": "double",
    "credited_revenue": "decimal(20, 6)",
    "currency": "varchar",
}

# table -> column -> type
CONTRACT: Mapping[str, Mapping[str, str]] = {
    "stg_google_ads__campaign_daily": {
        "customer_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "advertising_channel_type": "varchar",
        "time_zone": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "impressions": "bigint",
        "conversions": "double",
        "conversions_value": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_google_ads__click_view": {
        "gclid": "varchar",
        "customer_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "clicked_on": "date",
    },
    "stg_meta_ads__ad_daily": {
        "account_id": "varchar",
        "campaign_id": "varchar",
        "ad_id": "varchar",
        "campaign_name": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "inline_link_clicks": "bigint",
        "impressions": "bigint",
        "purchases": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_tiktok_ads__ad_daily": {
        "advertiser_id": "varchar",
        "campaign_id": "varchar",
        "adgroup_id": "varchar",
        "ad_id": "varchar",
        "campaign_name": "varchar",
        "adgroup_name": "varchar",
        "ad_name": "varchar",
        "time_zone": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "impressions": "bigint",
        "conversions": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_microsoft_ads__campaign_daily": {
        "account_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "campaign_type": "varchar",
        "time_zone": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "impressions": "bigint",
        "conversions": "double",
        "conversions_value": "decimal(20, 6)",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_microsoft_ads__clicks": {
        "msclkid": "varchar",
        "account_id": "varchar",
        "campaign_id": "varchar",
        "ad_group_id": "varchar",
        "ad_id": "varchar",
        "keyword": "varchar",
        "device_type": "varchar",
        "clicks": "bigint",
        "cpc": "decimal(20, 6)",
        "clicked_on": "date",
    },
    "stg_linkedin_ads__campaign_daily": {
        "account_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "campaign_type": "varchar",
        "cost": "decimal(20, 6)",
        "cost_in_usd": "decimal(20, 6)",
        "clicks": "bigint",
        "landing_page_clicks": "bigint",
        "impressions": "bigint",
        "conversions": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_reddit_ads__campaign_daily": {
        "account_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "objective": "varchar",
        "time_zone": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "impressions": "bigint",
        "conversions": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_x_ads__campaign_daily": {
        "account_id": "varchar",
        "campaign_id": "varchar",
        "campaign_name": "varchar",
        "placement": "varchar",
        "time_zone": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "url_clicks": "bigint",
        "impressions": "bigint",
        "conversion_purchases": "double",
        "conversion_sign_ups": "double",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_files__spend": {
        "platform": "varchar",
        "campaign": "varchar",
        "cost": "decimal(20, 6)",
        "clicks": "bigint",
        "impressions": "bigint",
        "currency": "varchar",
        "spend_on": "date",
    },
    "stg_backend__users": {
        "user_id": "varchar",
        "email_hash": "varchar",
        "customer_source": "varchar",
        "created_at": "timestamp",
    },
    "int_crm__contacts": {
        "source": "varchar",
        "is_primary_crm": "boolean",
        "contact_id": "varchar",
        "user_id": "varchar",
        "email_hash": "varchar",
        "customer_source": "varchar",
        "is_archived": "boolean",
        "created_at": "timestamp",
    },
    "stg_mailchimp__email_activity": {"occurred_at": "timestamp"},
    "stg_klaviyo__events": {"occurred_at": "timestamp"},
    "stg_hubspot__email_events": {"occurred_at": "timestamp"},
    "stg_files__contacts": {
        "contact_id": "varchar",
        "user_id": "varchar",
        "email_hash": "varchar",
        "customer_source": "varchar",
        "created_at": "timestamp",
    },
    "int_events__unified": {
        "event_id": "varchar",
        "source": "varchar",
        "occurred_at": "timestamp",
        "browser": "varchar",
        "device_category": "varchar",
        "country": "varchar",
        "is_bot": "boolean",
    },
    "int_identity__resolution": {
        "identifier_type": "varchar",
        "identifier": "varchar",
        "canonical_user_id": "varchar",
        "valid_from": "timestamp",
        "valid_to": "timestamp",
    },
    "int_identity__device_logins": {
        "device_id": "varchar",
        "user_id": "varchar",
        "first_seen_at": "timestamp",
        "is_refused": "boolean",
    },
    "int_identity__observed_links": {
        "link_kind": "varchar",
        "source": "varchar",
        "identifier": "varchar",
        "target": "varchar",
        "first_seen_at": "timestamp",
        "last_seen_at": "timestamp",
    },
    "int_identity__persons": {"canonical_user_id": "varchar", "user_id": "varchar", "tier": "varchar"},
    "int_channel__user_agent_enrichment": {
        "user_agent_hash": "varchar",
        "device_type": "varchar",
        "browser": "varchar",
    },
    "int_sessions__detected": {
        "session_id": "varchar",
        "device_id": "varchar",
        "user_id": "varchar",
        "canonical_user_id": "varchar",
        "started_at": "timestamp",
        "utm_source": "varchar",
        "utm_medium": "varchar",
        "utm_campaign": "varchar",
        "user_agent_hash": "varchar",
        **_SESSION_URL,
    },
    "int_sessions__channels": {
        "session_id": "varchar",
        "channel": "varchar",
        "platform": "varchar",
        "click_id": "varchar",
    },
    "fct_conversions": {
        "conversion_id": "varchar",
        "conversion_type": "varchar",
        "canonical_user_id": "varchar",
        "user_id": "varchar",
        "organisation_id": "varchar",
        "subscription_id": "varchar",
        "product": "varchar",
        "converted_at": "timestamp",
        "converted_on": "date",
        "revenue": "decimal(20, 6)",
        "currency": "varchar",
        "source": "varchar",
    },
    "fct_touchpoints": {
        "touchpoint_id": "varchar",
        "canonical_user_id": "varchar",
        "occurred_at": "timestamp",
        "occurred_on": "date",
        "channel": "varchar",
        "campaign": "varchar",
        "artifact_id": "varchar",
        "platform": "varchar",
        "click_id_type": "varchar",
        "click_id": "varchar",
        "session_id": "varchar",
        "origin": "varchar",
    },
    "fct_journey_touchpoints": {
        "journey_id": "varchar",
        "conversion_id": "varchar",
        "canonical_user_id": "varchar",
        "conversion_type": "varchar",
        "touchpoint_id": "varchar",
        "channel": "varchar",
        "occurred_at": "timestamp",
        "position": "bigint",
        "journey_length": "bigint",
        "hours_before_conversion": "double",
        "is_converting": "boolean",
        "origin": "varchar",
    },
    "int_credit__journey_paths": {
        "journey_id": "varchar",
        "conversion_id": "varchar",
        "path_id": "varchar",
        "conversion_type": "varchar",
        "path": "varchar",
        "is_converting": "boolean",
    },
    "fct_attribution_credit": _CREDIT,
    "credit_paths": {
        "path_id": "varchar",
        "conversion_type": "varchar",
        "path": "varchar",
        "path_length": "bigint",
        "conversions": "bigint",
        "non_conversions": "bigint",
        "revenue": "decimal(20, 6)",
    },
    "int_organic__account_days": {
        "date_on": "date",
        "network": "varchar",
        "impressions": "bigint",
        "clicks": "bigint",
    },
    "int_organic__search_days": {"date_on": "date", "impressions": "bigint", "clicks": "bigint"},
    "customer_source_mapping": {
        "response": "varchar",
        "channel": "varchar",
        "paid_channel": "varchar",
        "precedence": "varchar",
    },
    "int_fx__rates": {
        "currency": "varchar",
        "valid_from": "date",
        "valid_to": "date",
        "rate_to_reporting": "double",
    },
}

Rows = Mapping[str, Sequence[Mapping[str, Any]] | pd.DataFrame]


@dataclass(frozen=True)
class Outcome:
    """Exit status of dbt and what it printed."""

    code: int
    text: str


@dataclass(frozen=True)
class Layer:
    """The layer, built alone in a folder of its own."""

    folder: Path

    @property
    def warehouse(self) -> Path:
        return self.folder / "w.duckdb"

    def fill(self, rows: Rows) -> None:
        """Replace every upstream table by the given rows; a table not given is empty."""
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute("create schema if not exists upstream")
            for table, columns in CONTRACT.items():
                typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                connection.execute(f"create or replace table upstream.{table} ({typed})")
                given = rows.get(table)
                if given is None or len(given) == 0:
                    continue
                frame = given if isinstance(given, pd.DataFrame) else pd.DataFrame(list(given))
                connection.register("frame", frame)
                names = ", ".join(frame.columns)
                connection.execute(f"insert into upstream.{table} ({names}) select {names} from frame")
                connection.unregister("frame")

    def dbt(self, command_name: str, select: str, variables: Mapping[str, Any] | None = None) -> Outcome:
        """Run one dbt command on the layer."""
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", command_name]
        command += ["--exclude-resource-type", "unit_test"] if command_name == "build" else []
        command += ["--select", *select.split()]
        command += ["--vars", yaml.safe_dump(dict(variables or {}), default_flow_style=True).strip()]
        environment = {
            **os.environ,
            "ATTRIBUTION_WAREHOUSE_PATH": str(self.warehouse),
            "ATTRIBUTION_LANDING_DIR": str(self.folder / "landing"),
            "ATTRIBUTION_DBT_PLUGINS": str(PROJECT / "plugins"),
        }
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        return Outcome(done.returncode, done.stdout + done.stderr)

    def build(self, variables: Mapping[str, Any] | None = None) -> None:
        """Build the whole layer with its data tests; the unit tests run where the whole project is built.

        Raises:
            AssertionError: dbt failed; the message is the end of its output.
        """
        outcome = self.dbt("build", "+marts +coverage", variables)
        assert outcome.code == 0, outcome.text[-8000:]

    def copy_to(self, folder: Path) -> "Layer":
        """The same project and warehouse in another folder, to be broken there."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Layer(folder)

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(sql)

    def query(self, sql: str) -> pd.DataFrame:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(sql).df()


def make_layer(folder: Path) -> Layer:
    """A dbt project of the real marts, coverage, macros and seeds, with the contract's tables in place of what is upstream."""
    (folder / "landing").mkdir(parents=True)
    for name in ("macros", "profiles.yml", "dbt_project.yml"):
        (folder / name).symlink_to(PROJECT / name)
    # dbt does not follow links below its model and test paths.
    for name in ("marts", "coverage"):
        shutil.copytree(PROJECT / "models" / name, folder / "models" / name)
    shutil.copytree(PROJECT / "tests" / "marts", folder / "tests" / "marts")
    shutil.copytree(PROJECT / "tests" / "generic", folder / "tests" / "generic")
    (folder / "seeds").mkdir()
    for name in ("_marts_seeds.yml", "platforms.csv", "campaign_products.csv"):
        (folder / "seeds" / name).symlink_to(PROJECT / "seeds" / name)
    stubs = folder / "models" / "staging"
    stubs.mkdir()
    for table in CONTRACT:
        (stubs / f"{table}.sql").write_text(f"{{{{ config(materialized='view') }}}}\nselect * from upstream.{table}\n")
    credit = {"name": "credit", "schema": "credit", "tables": [{"name": "credit_channel_weights"}]}
    (stubs / "_sources.yml").write_text(yaml.safe_dump({"version": 2, "sources": [credit]}))
    layer = Layer(folder)
    layer.fill({})
    return layer
