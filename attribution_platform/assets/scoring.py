"""The conversion model: journey states in, a small table of coefficients out. SQL scores the journeys with it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.charts import as_markdown, reliability_chart
from attribution_platform.credit.scoring import (
    METRICS,
    MODEL,
    QUALITY_TYPES,
    RELIABILITY_TYPES,
    TERM_TYPES,
    score_tables,
)
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

TABLES = {
    "conversion_model_terms": "Calibrated coefficients of the conversion model of every conversion type.",
    "conversion_model_quality": "What each conversion model was fitted on, and its scores on journeys it did not see.",
    "conversion_model_reliability": "Promised against observed conversion of journeys held out, by tenths.",
}
NOW = "select max(snapshot_at) as moment from intermediate.int_scoring__states"
KINDS = "select distinct conversion_type from core.fct_conversions order by conversion_type"
STATES = """
    select state_id, canonical_user_id, conversion_id, conversion_type, converts, days_before_last, stands_for
    from intermediate.int_scoring__states where step > 0
"""
FEATURES = """
    select features.state_id, features.term, features.value
    from intermediate.int_scoring__features as features
    inner join intermediate.int_scoring__states as states on features.state_id = states.state_id
    where states.step > 0
"""


def is_current(quality: pd.DataFrame | None, now: pd.Timestamp, horizon_days: int, kinds: list[str]) -> bool:
    """Whether the stored models were fitted in this month of the data, by this kind of model, for what is asked now.

    A type that had too little data is tried again on every run: its first model should not wait for the month to end.
    """
    if quality is None or list(quality["conversion_type"]) != kinds or not kinds:
        return False
    fitted = pd.to_datetime(quality["fitted_at"])
    return bool(
        (fitted.dt.to_period("M") == now.to_period("M")).all()
        and (quality["horizon_days"] == horizon_days).all()
        and quality["model_version"].fillna("").str.startswith(f"{MODEL}+").all()
    )


def build_scoring_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    @dg.multi_asset(
        name="conversion_model",
        specs=[
            dg.AssetSpec(
                key=[keys.CREDIT, table],
                deps=[
                    ["intermediate", "int_scoring__states"],
                    ["intermediate", "int_scoring__features"],
                    ["core", "fct_conversions"],
                ],
                group_name="attribution",
                kinds={"python", "scikitlearn"},
                owners=["team:attribution"],
                description=description,
            )
            for table, description in TABLES.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def conversion_model(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult]:
        kinds = warehouse.query(KINDS)["conversion_type"].tolist()
        now = pd.Timestamp(warehouse.query(NOW)["moment"].iloc[0])
        horizon = settings.attribution.score_horizon_days
        stored = warehouse.sample(keys.CREDIT, "conversion_model_quality", list(QUALITY_TYPES), 10_000)
        if stored is not None:
            stored = stored.sort_values("conversion_type", ignore_index=True)
        kept = is_current(stored, now, horizon, kinds)
        if not kept:
            terms, quality, reliability = score_tables(
                warehouse.query(STATES),
                warehouse.query(FEATURES),
                now,
                horizon,
                settings.attribution.data_driven_min_conversions,
                kinds,
            )
            warehouse.replace_table(keys.CREDIT, "conversion_model_terms", terms, TERM_TYPES)
            warehouse.replace_table(keys.CREDIT, "conversion_model_reliability", reliability, RELIABILITY_TYPES)
            warehouse.replace_table(keys.CREDIT, "conversion_model_quality", quality, QUALITY_TYPES)
        for table in TABLES:
            yield dg.MaterializeResult(
                asset_key=[keys.CREDIT, table], metadata=_facts(warehouse, table) | {"refitted": not kept}
            )

    return [conversion_model]


def _facts(warehouse: Warehouse, table: str) -> dict[str, Any]:
    facts: dict[str, Any] = {"dagster/row_count": warehouse.row_count(keys.CREDIT, table)}
    if table == "conversion_model_quality":
        quality = warehouse.query(f"select * from {keys.CREDIT}.{table} order by conversion_type")
        shown = quality[["conversion_type", "status", "model_version", "held_out_conversions", *METRICS]]
        facts["quality"] = dg.MetadataValue.md(shown.to_markdown(index=False))
    if table == "conversion_model_reliability":
        bins = warehouse.query(f"select * from {keys.CREDIT}.{table} order by conversion_type, bin")
        if len(bins):
            facts["reliability"] = dg.MetadataValue.md(as_markdown(reliability_chart(bins), "promised and observed"))
    return facts
