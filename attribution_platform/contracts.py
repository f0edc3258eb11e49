"""Pinned contracts of the raw tables: what a table looked like when somebody accepted it, and every difference since.

A contract is a set of items: each column with its type, and the values of the few columns that are a
vocabulary (a pipeline's stages). The first sight of a table pins it; then a difference stays red until accepted with a reason.
"""

from collections.abc import Mapping
from typing import Any, get_args

import pandas as pd

from attribution_platform import keys
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import CrmName, Settings
from attribution_platform.watch import CHANGES
from dlt_pipelines.registry import SOURCES

PINS = "contract_pins"
FIRST_SIGHT = "first sight"
# Columns whose values are names that settings and models refer to.
STAGES: Mapping[CrmName, tuple[str, str]] = {
    "hubspot": ("raw_hubspot.deal_stages", "stage_id"),
    "salesforce": ("raw_salesforce.opportunity_stages", "api_name"),
    "pipedrive": ("raw_pipedrive.stages", "id"),
}
VOCABULARIES: Mapping[str, str] = {**dict(STAGES.values()), "raw_mailchimp.email_activity": "action"}
# Pipedrive keeps these apart from its stages; a conversion may count them all the same.
PIPEDRIVE_ENDINGS = ("won", "lost")
PIN_TYPES = {
    "raw_table": "varchar",
    "item": "varchar",
    "value": "varchar",
    "reason": "varchar",
    "accepted_at": "timestamp",
}
CHANGE_TYPES = {"raw_table": "varchar", "change": "varchar", "seen_on": "date"}
Contract = dict[str, str]


class ContractError(ValueError):
    """A contract cannot be accepted; the message says what to do."""


def raw_tables(settings: Settings) -> list[str]:
    """`raw_source.table` of every enabled source."""
    return [
        f"{keys.raw_dataset(name)}.{resource.name}"
        for name in settings.enabled_sources
        for resource in SOURCES[name].resources
    ]


def observed(warehouse: Warehouse, raw_table: str) -> Contract | None:
    """The contract a table shows now; None where it was never loaded or has no row."""
    schema, _, table = raw_table.partition(".")
    columns = {name: kind for name, kind in warehouse.columns(schema, table).items() if not name.startswith("_dlt")}
    if not columns or not warehouse.row_count(schema, table):
        return None
    found = {f"column {name}": kind for name, kind in columns.items()}
    if raw_table in VOCABULARIES:
        column = VOCABULARIES[raw_table]
        values = warehouse.sample(schema, table, [column], 1_000_000)
        if values is not None:
            found |= {f"{column} value {value}": "known" for value in sorted(values[column].dropna().unique())}
    return found


def differences(pinned: Contract, now: Contract) -> list[str]:
    """What changed, in words, in a fixed order."""
    gone = [f"{item} is gone" for item in sorted(set(pinned) - set(now))]
    new = [f"{item} is new" for item in sorted(set(now) - set(pinned))]
    other = [
        f"{item} was {pinned[item]}, is {now[item]}"
        for item in sorted(set(pinned) & set(now))
        if pinned[item] != now[item]
    ]
    return [*gone, *new, *other]


def missing_stages(settings: Settings, raw_table: str, now: Contract) -> list[str]:
    """Stages that attribution.toml counts as conversions and the CRM that counts does not have, in words.

    No pin is needed to see it, and no acceptance ends it: until the setting names the new stage its conversions stay away.
    """
    on = [name for name in get_args(CrmName) if name in settings.enabled_sources]
    primary = settings.crm.primary or (on[0] if on else None)
    if primary is None or STAGES[primary][0] != raw_table:
        return []
    column = STAGES[primary][1]
    known = {item.removeprefix(f"{column} value ") for item in now} | (
        set(PIPEDRIVE_ENDINGS) if primary == "pipedrive" else set()
    )
    return [
        f"{column} {each.stage} is not among the stages, and attribution.toml counts it as `{each.name}`"
        for each in settings.conversions
        if each.kind == "crm_stage" and each.stage not in known
    ]


def pinned_contracts(warehouse: Warehouse) -> dict[str, Contract]:
    """The newest accepted contract of every table."""
    rows = warehouse.sample(keys.MONITORING, PINS, list(PIN_TYPES), 1_000_000)
    if rows is None or rows.empty:
        return {}
    newest = rows[rows["accepted_at"] == rows.groupby("raw_table")["accepted_at"].transform("max")]
    return {str(table): dict(zip(own["item"], own["value"], strict=True)) for table, own in newest.groupby("raw_table")}


def compare(warehouse: Warehouse, settings: Settings, raw_tables: list[str]) -> dict[str, list[str]]:
    """Differences of tables from their pins; pins what is seen for the first time, and notes each difference once with its day."""
    pins = pinned_contracts(warehouse)
    result: dict[str, list[str]] = {}
    fresh: list[pd.DataFrame] = []
    for table in raw_tables:
        now = observed(warehouse, table)
        if now is None:
            result[table] = []
        elif table not in pins:
            fresh.append(_rows(table, now, FIRST_SIGHT))
            result[table] = []
        else:
            result[table] = differences(pins[table], now)
        if now is not None:
            result[table] += missing_stages(settings, table, now)
    if fresh:
        warehouse.append_rows(keys.MONITORING, PINS, pd.concat(fresh, ignore_index=True), PIN_TYPES)
    _note(warehouse, settings, result)
    return result


def _note(warehouse: Warehouse, settings: Settings, found: dict[str, list[str]]) -> None:
    known = warehouse.sample(keys.MONITORING, CHANGES, list(CHANGE_TYPES), 1_000_000)
    seen = set() if known is None else set(zip(known["raw_table"], known["change"], strict=True))
    rows = [
        {"raw_table": table, "change": change, "seen_on": settings.now().date()}
        for table, changes in found.items()
        for change in changes
        if (table, change) not in seen
    ]
    if rows:
        warehouse.append_rows(keys.MONITORING, CHANGES, pd.DataFrame(rows), CHANGE_TYPES)


def accept(warehouse: Warehouse, settings: Settings, raw_table: str, reason: str) -> list[str]:
    """Pin what a table shows now; returns what that accepts.

    Raises:
        ContractError: unknown or empty table, nothing to accept, or no reason.
    """
    if raw_table not in raw_tables(settings):
        raise ContractError(f"no raw table named {raw_table}; enabled are {', '.join(raw_tables(settings))}.")
    if not reason.strip():
        raise ContractError("say why with --reason: it is kept with the contract.")
    now = observed(warehouse, raw_table)
    if now is None:
        raise ContractError(f"{raw_table} has no rows yet; its first load will pin it.")
    accepted = differences(pinned_contracts(warehouse).get(raw_table, {}), now)
    if not accepted:
        raise ContractError(f"{raw_table} is as accepted; there is nothing to accept.")
    warehouse.append_rows(keys.MONITORING, PINS, _rows(raw_table, now, reason.strip()), PIN_TYPES)
    return accepted


def _rows(table: str, contract: Contract, reason: str) -> pd.DataFrame:
    # The run's clock may be frozen; two acceptances must still have an order.
    moment: Any = pd.Timestamp.now("UTC").tz_localize(None)
    return pd.DataFrame(
        [
            {"raw_table": table, "item": item, "value": value, "reason": reason, "accepted_at": moment}
            for item, value in sorted(contract.items())
        ]
    )
