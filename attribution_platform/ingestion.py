"""Every enabled source as Dagster assets: one op a source, one asset a raw table.

What belongs here: turning `dlt_pipelines`' registry into assets. How a vendor is spoken to is in dlt_pipelines, which knows no
Dagster. One op a source keeps a failing vendor from touching another's load, and the failed asset carries the reason.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import dagster as dg

from attribution_platform import keys
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from dlt_pipelines.pipeline import run_source
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.registry import SOURCES, SourceSpec

# Op names are this and the source's name; asset keys of raw tables and vendors are in this group.
EXTRACTION_STEP = "extract_"
INGESTION_GROUP = "ingestion"
ExtractionMode = Literal["incremental", "full", "recent"]
# How each mode bounds the window; see Settings.extraction_window.
WINDOWS: Mapping[ExtractionMode, Mapping[str, Any]] = {
    "incremental": {},
    "full": {"refresh": True},
    "recent": {"refresh": True, "recent_days": 7},
}


class ExtractionConfig(dg.Config):
    """`incremental` pulls what is missing plus each source's settling window; `full` re-pulls all; `recent` the last week."""

    mode: ExtractionMode = "incremental"


def vendor_specs(source: SourceSpec) -> list[dg.AssetSpec]:
    """The vendor's own resources, so that the graph begins where the data does."""
    return [
        dg.AssetSpec(
            key=[source.name, resource.name],
            group_name=INGESTION_GROUP,
            kinds={source.name},
            description=f"{source.title}: {resource.name}, at the vendor.",
        )
        for resource in source.resources
    ]


def build_source_assets(source: SourceSpec, settings: Settings) -> dg.AssetsDefinition:
    """One source's raw tables as a multi-asset."""
    specs = [
        dg.AssetSpec(
            key=keys.raw_key(source.name, resource.name),
            deps=[[source.name, resource.name]],
            group_name=INGESTION_GROUP,
            kinds={"dlt", settings.warehouse.target},
            owners=["team:attribution"],
            description=resource.description,
            metadata={
                "dagster/table_name": f"{keys.raw_dataset(source.name)}.{resource.name}",
                "primary_key": ", ".join(resource.primary_key),
            },
        )
        for resource in source.resources
    ]

    @dg.multi_asset(name=f"{EXTRACTION_STEP}{source.name}", specs=specs, pool=f"landing_{source.name}")
    def _extract(config: ExtractionConfig, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult]:
        result = run_source(
            source,
            config=settings.source_config(source.name),
            window=settings.extraction_window(**WINDOWS[config.mode]),
            hasher=Hasher(settings.hash_key().encode()),
            landing_dir=settings.landing_dir,
            pipelines_dir=settings.data_dir / "dlt",
            destination=settings.warehouse.target,
        )
        for resource in source.resources:
            yield dg.MaterializeResult(
                asset_key=keys.raw_key(source.name, resource.name),
                metadata={
                    "dagster/row_count": warehouse.row_count(keys.raw_dataset(source.name), resource.name),
                    "rows_extracted": result.rows[resource.name],
                    "dagster/column_schema": dg.TableSchema(
                        columns=[
                            dg.TableColumn(item.name, item.data_type, item.description or None)
                            for item in resource.columns
                        ]
                    ),
                },
            )

    return _extract


def build_ingestion(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for name in settings.enabled_sources:
        assets += vendor_specs(SOURCES[name])
        assets.append(build_source_assets(SOURCES[name], settings))
    return assets
