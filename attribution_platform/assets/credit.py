"""Data-driven credit: distinct paths or people's touches in, weight tables out. SQL spreads them to touchpoints."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.charts import as_markdown, credit_chart
from attribution_platform.credit.assets_api import (
    CHANNEL_WEIGHT_TYPES,
    PATH_WEIGHT_TYPES,
    TOUCH_WEIGHT_TYPES,
    by_input,
    credit_from_paths,
    credit_from_people,
)
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

PATHS = "select * from core.credit_paths order by path_id"
CONVERSIONS = """
    select conversion_id, canonical_user_id, conversion_type, converted_at, revenue from core.fct_conversions
"""
TOUCHES = "select touchpoint_id, canonical_user_id, channel, occurred_at from core.fct_touchpoints"
JOURNEYS = """
    select conversion_id, touchpoint_id, channel, position from core.fct_journey_touchpoints where is_converting
"""


PEOPLE = [["core", "fct_touchpoints"], ["core", "fct_conversions"], ["core", "fct_journey_touchpoints"]]


def build_credit_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    credit = settings.attribution
    on_paths, on_people = by_input(credit.data_driven_models)
    common = {
        "group_name": "attribution",
        "kinds": {"python", "scikitlearn"},
        "owners": ["team:attribution"],
    }

    @dg.multi_asset(
        name="credit_models",
        specs=[
            dg.AssetSpec(
                key=[keys.CREDIT, "credit_channel_weights"],
                deps=[["core", "credit_paths"], *PEOPLE],
                description="Share, conversions and interval of every channel under every data-driven model.",
                **common,  # type: ignore[arg-type]
            ),
            dg.AssetSpec(
                key=[keys.CREDIT, "credit_path_weights"],
                deps=[["core", "credit_paths"]],
                description="Weight of every position of every distinct path under every data-driven model; sums to 1 a path.",
                **common,  # type: ignore[arg-type]
            ),
            dg.AssetSpec(
                key=[keys.CREDIT, "credit_touch_weights"],
                deps=PEOPLE,
                description="Weight of every touch of every conversion under the models that need people and times; sums to 1.",
                **common,  # type: ignore[arg-type]
            ),
        ],
        pool=WAREHOUSE_POOL,
    )
    def credit_models(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult]:
        channel_weights, path_weights = credit_from_paths(
            warehouse.query(PATHS),
            models=on_paths,
            min_conversions=credit.data_driven_min_conversions,
            n_bootstrap=credit.bootstrap_replicates,
        )
        more_weights, touch_weights = credit_from_people(
            *_people(warehouse, credit.data_driven_min_conversions if on_people else None),
            models=on_people,
            min_conversions=credit.data_driven_min_conversions,
        )
        channel_weights = pd.concat([channel_weights, more_weights], ignore_index=True)
        warehouse.replace_table(keys.CREDIT, "credit_channel_weights", channel_weights, CHANNEL_WEIGHT_TYPES)
        warehouse.replace_table(keys.CREDIT, "credit_path_weights", path_weights, PATH_WEIGHT_TYPES)
        warehouse.replace_table(keys.CREDIT, "credit_touch_weights", touch_weights, TOUCH_WEIGHT_TYPES)
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
        yield dg.MaterializeResult(
            asset_key=[keys.CREDIT, "credit_touch_weights"], metadata={"dagster/row_count": len(touch_weights)}
        )

    return [credit_models]


def _people(warehouse: Warehouse, needed: int | None) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Touches, conversions and converting journeys; nothing where nobody `needed` them."""
    none = " where 1 = 0"
    conversions = warehouse.query(CONVERSIONS + ("" if needed is not None else none))
    enough = needed is not None and conversions["conversion_type"].value_counts().max() >= needed
    # The largest read of a run, for nothing when every answer is "insufficient data".
    touches = warehouse.query(TOUCHES + ("" if enough else none))
    return (
        touches,
        conversions,
        warehouse.query(JOURNEYS if needed is not None else f"select * from ({JOURNEYS}) as j{none}"),
    )
