"""Pinned contracts as asset checks: one a raw table, an error from the first difference until somebody accepts it."""

from collections.abc import Iterator

import dagster as dg

from attribution_platform import keys
from attribution_platform.contracts import compare, raw_tables
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

NAME = "contract_as_accepted"


def build_contract_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One multi-check a source: another source's failed load must not skip it."""
    tables = raw_tables(settings)
    sources = sorted({table.partition(".")[0] for table in tables})
    return [_of_source(name, [each for each in tables if each.startswith(f"{name}.")], settings) for name in sources]


def _of_source(dataset: str, tables: list[str], settings: Settings) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"contracts_{dataset}",
        specs=[
            dg.AssetCheckSpec(
                name=NAME,
                asset=keys.table_key(*table.split(".")),
                description="Columns, types and vocabularies are those somebody accepted, and have what settings refer to.",
            )
            for table in tables
        ],
        pool=WAREHOUSE_POOL,
    )
    def _checks(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
        for table, found in compare(warehouse, settings, tables).items():
            yield dg.AssetCheckResult(
                asset_key=keys.table_key(*table.split(".")),
                check_name=NAME,
                passed=not found,
                severity=dg.AssetCheckSeverity.ERROR,
                description="; ".join(found) or None,
                metadata={
                    "accept": f"attribution contracts accept {table} --reason …; a stage also in attribution.toml"
                }
                if found
                else {},
            )

    return _checks
