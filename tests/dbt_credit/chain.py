"""Conversions, touchpoints and credit built alone, on drawn sessions and conversions with the nasty cases put in.

What is upstream (identity, sessions, channels) is a table a test fills; staging, macros, seeds and the singular tests are real.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import duckdb
import numpy as np
import pandas as pd

from attribution_platform.settings import RuleModel
from tests.dbt_marts.upstream import PROJECT, Layer

CHANNELS = ("Direct", "Display", "Email", "Organic Search", "Paid Search", "Referral")
LOOKBACK = {"buy": 45, "call": 20, "rare": 45}
VARIABLES: dict[str, Any] = {
    "enabled_sources": [],
    "reporting_time_zone": "Europe/Berlin",
    "reporting_currency": "EUR",
    "lookback_days": 45,
    "half_life_days": 3,
    "rule_models": list(get_args(RuleModel)),
    "custom_weights": {"first": 0.5, "middle": 0.2},
    "conversions": [{"name": "call", "kind": "file", "lookback_days": 20, "product": "phone"}],
}
LONGEST_PATH = 100

_UPSTREAM = {
    "stg_files__conversions": "conversion_id varchar, user_id varchar, email_hash varchar, device_id varchar, "
    "conversion_type varchar, product varchar, revenue decimal(20, 6), currency varchar, converted_at timestamp",
    "int_events__unified": "event_id varchar, source varchar, event_name varchar, device_id varchar, user_id varchar, "
    "email_hash varchar, occurred_at timestamp, is_bot boolean, value double",
    "int_identity__resolution": "identifier_type varchar, identifier varchar, canonical_user_id varchar, "
    "match_tier varchar, valid_from timestamp, valid_to timestamp",
    "int_identity__persons": "canonical_user_id varchar, user_id varchar, organisation_id varchar, "
    "customer_source varchar, tier varchar, first_seen_at timestamp, last_seen_at timestamp",
    "int_sessions__detected": "session_id varchar, canonical_user_id varchar, started_at timestamp, "
    "utm_content varchar, page_path varchar",
    "int_sessions__channels": "session_id varchar, channel varchar, channel_reason varchar, source varchar, "
    "medium varchar, campaign varchar, platform varchar, click_id_type varchar, click_id varchar",
}


@dataclass(frozen=True)
class Drawn:
    """Sessions (person, at, channel) and conversions (person, at, type, revenue, currency) of one drawn world."""

    sessions: pd.DataFrame
    conversions: pd.DataFrame

    def tables(self) -> dict[str, pd.DataFrame]:
        """The upstream tables that hold them."""
        people = sorted({*self.sessions["person"], *self.conversions["person"]})
        start = pd.Timestamp("1970-01-01")
        sessions, conversions = self.sessions, self.conversions
        return {
            "int_identity__resolution": pd.DataFrame(
                {
                    "identifier_type": "user_id",
                    "identifier": people,
                    "canonical_user_id": people,
                    "match_tier": "strong_id",
                    "valid_from": start,
                }
            ),
            "int_identity__persons": pd.DataFrame({"canonical_user_id": people, "user_id": people}),
            "int_sessions__detected": pd.DataFrame(
                {
                    "session_id": sessions["session_id"],
                    "canonical_user_id": sessions["person"],
                    "started_at": sessions["at"],
                    "page_path": "/",
                }
            ),
            "int_sessions__channels": sessions[["session_id", "channel", "campaign"]],
            "stg_files__conversions": pd.DataFrame(
                {
                    "conversion_id": conversions["conversion_id"],
                    "user_id": conversions["person"],
                    "conversion_type": conversions["type"],
                    "revenue": conversions["revenue"],
                    "currency": conversions["currency"],
                    "converted_at": conversions["at"],
                }
            ),
        }


def draw(people: int = 120, seed: int = 11) -> Drawn:
    """A world on a grid of six hours, so that touches fall together and on the instant of a conversion."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2026-03-01")
    visits = np.minimum(rng.geometric(0.25, people) - rng.integers(0, 2, people), 14)
    visits[0] = LONGEST_PATH + 30
    owner = np.repeat(np.arange(people), visits)
    sessions = pd.DataFrame(
        {
            "person": [f"p{i:03d}" for i in owner],
            "at": start + pd.to_timedelta(6 * rng.integers(0, 320, len(owner)), unit="h"),
            "channel": rng.choice([*CHANNELS, "Internal"], len(owner), p=[0.25, 0.1, 0.15, 0.2, 0.15, 0.1, 0.05]),
        }
    )
    # The longest journey lies inside every window.
    sessions.loc[owner == 0, "at"] = start + pd.to_timedelta(6 * rng.integers(240, 300, int(visits[0])), unit="h")
    # Not drawn: the other draws stay as they were.
    sessions["campaign"] = [
        None if i % 3 == 0 else f"{'Brand' if i % 2 else 'Sale'} {i % 5}" for i in range(len(sessions))
    ]
    sessions["session_id"] = [f"s{i}" for i in range(len(sessions))]
    buyers = np.concatenate([[0], rng.integers(0, people, 110)])
    conversions = pd.DataFrame(
        {
            "conversion_id": [f"c{i}" for i in range(len(buyers))],
            "person": [f"p{i:03d}" for i in buyers],
            "at": start + pd.to_timedelta(6 * rng.integers(40, 330, len(buyers)), unit="h"),
            "type": rng.choice(["buy", "call", "rare"], len(buyers), p=[0.6, 0.35, 0.05]),
            "revenue": rng.integers(0, 100_000, len(buyers)) / 100,
            "currency": rng.choice(["EUR", "USD"], len(buyers)),
        }
    )
    conversions.loc[0, ["at", "type", "revenue"]] = [start + pd.Timedelta(days=76), "buy", 100.01]
    conversions.loc[1, "revenue"] = -25.03  # a refund
    return Drawn(sessions, conversions)


def make_chain(folder: Path) -> Layer:
    """A dbt project of the real models from staging to credit, less what a test fills."""
    (folder / "landing").mkdir(parents=True)
    for name in ("macros", "profiles.yml", "dbt_project.yml"):
        (folder / name).symlink_to(PROJECT / name)
    # dbt does not follow links below its model and test paths.
    for name in ("staging", "crm", "conversions", "touchpoints", "attribution"):
        shutil.copytree(PROJECT / "models" / name, folder / "models" / name)
    for name in ("generic", "touchpoints", "attribution"):
        shutil.copytree(PROJECT / "tests" / name, folder / "tests" / name)
    (folder / "seeds").mkdir()
    for name in ("_credit_seeds.yml", "fx_rates.csv"):
        (folder / "seeds" / name).symlink_to(PROJECT / "seeds" / name)
    stubs = folder / "models" / "stubs"
    stubs.mkdir()
    (folder / "models" / "staging" / "stg_files__conversions.sql").unlink()
    for table in _UPSTREAM:
        sql = f"{{{{ config(materialized='view') }}}}\nselect * from upstream.{table}\n"
        (stubs / f"{table}.sql").write_text(sql)
    return Layer(folder)


def fill(chain: Layer, tables: Mapping[str, pd.DataFrame]) -> None:
    """Replace every upstream table by the given rows; one not given is empty."""
    with duckdb.connect(str(chain.warehouse)) as connection:
        connection.execute("create schema if not exists upstream")
        for table, columns in _UPSTREAM.items():
            connection.execute(f"create or replace table upstream.{table} ({columns})")
            if table in tables:
                connection.register("frame", tables[table])
                names = ", ".join(tables[table].columns)
                connection.execute(f"insert into upstream.{table} ({names}) select {names} from frame")
                connection.unregister("frame")


def build(chain: Layer, select: str, **variables: Any) -> None:
    """Build and test what is selected, with these variables instead of the usual ones.

    Raises:
        AssertionError: dbt failed; the message is the end of its output.
    """
    # As the platform's passes do: a test runs where the last of its parents is built.
    outcome = chain.dbt("build", f"{select} --indirect-selection buildable", VARIABLES | variables)
    assert outcome.code == 0, outcome.text[-8000:]


def seeds_as_frame() -> pd.DataFrame:
    """The shipped rates."""
    return pd.read_csv(PROJECT / "seeds" / "fx_rates.csv", parse_dates=["rate_on"])
