"""Data-driven credit: distinct paths in, small weight tables out. SQL spreads the weights to touchpoints."""

from collections.abc import Iterator

import dagster as dg

from attribution_platform import keys
from attribution_platform.charts import as_markdown, credit_chart
from attribution_platform.credit.assets_api import CHANNEL_WEIGHT_TYPES, PATH_WEIGHT_TYPES, credit_from_paths
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

PATHS = "select * from core.credit_paths order by path_id"


def build_credit_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    common = {
        "deps": [["core", "credit_paths"]],
        "group_name": "attribution",
        "kinds": {"python", "scikitlearn"},
        "owners": ["team:attribution"],
    }

    @dg.multi_asset(
        name="credit_models",
        specs=[
            dg.AssetSpec(
                key=[keys.CREDIT, "credit_channel_weights"],
                description="Share, conversions and interval of every channel under every data-driven model.",
                **common,  # type: ignore[arg-type]
            ),
            dg.AssetSpec(
                key=[keys.CREDIT, "credit_path_weights"],
                description="Weight of every position of every distinct path under every data-driven model; sums to 1 a path.",
                **common,  # type: ignore[arg-type]
            ),
        ],
        pool=WAREHOUSE_POOL,
    )
    def credit_models(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult]:
        channel_weights, path_weights = credit_from_paths(
            warehouse.query(PATHS),
            min_conversions=settings.attribution.data_driven_min_conversions,
            n_bootstrap=settings.attribution.bootstrap_replicates,
        )
        warehouse.replace_table(keys.CREDIT, "credit_channel_weights", channel_weights, CHANNEL_WEIGHT_TYPES)
        warehouse.replace_table(keys.CREDIT, "credit_path_weights", path_weights, PATH_WEIGHT_TYPES)
        usable = channel_weights[channel_weights["status"] == "ok"]
        yield dg.MaterializeResult(
            asset_key=[keys.CREDIT, "credit_channel_weights"],
            metadata={
                "dagster/row_count": len(channel_weights),
                "status": dg.MetadataValue.md(
                    channel_weights.groupby(["model_type", "conversion_type"])["status"]
                    .first()
                    .reset_index()
                    .to_markdown(index=False)
                )
                if len(channel_weights)
                else "no paths",
                **(
                    {"credit": dg.MetadataValue.md(as_markdown(credit_chart(usable), "credit by channel and model"))}
                    if len(usable)
                    else {}
                ),
            },
        )
        yield dg.MaterializeResult(
            asset_key=[keys.CREDIT, "credit_path_weights"], metadata={"dagster/row_count": len(path_weights)}
        )

    return [credit_models]
