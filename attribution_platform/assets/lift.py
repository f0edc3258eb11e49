"""Lift calibration: the experiments on record, and every model's credit with them in place."""

from collections.abc import Iterator

import dagster as dg
import pandas as pd

from attribution_platform import keys
from attribution_platform.lift_calibration import (
    CALIBRATION_TYPES,
    DAILY_TYPES,
    EXPERIMENT_TYPES,
    calibration_tables,
    read_calibration,
    typed,
)
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

TABLES = {
    "lift_experiments": "Geo and holdout experiments with interval, window, source, file and checksum.",
    "lift_calibration": "Credit of every model with the experiments in place, with intervals; sums to the conversions.",
    "lift_calibration_daily": "The same by day of the conversion; every day keeps its conversions and revenue.",
}
DAILY = """
    select
        model_type, conversion_type, channel, converted_on,
        sum(credit) as conversions, cast(sum(credited_revenue) as double) as revenue
    from core.fct_attribution_credit
    group by model_type, conversion_type, channel, converted_on
    order by model_type, conversion_type, channel, converted_on
"""
INTERVALS = """
    select model_type, conversion_type, channel, ci_low, ci_high
    from credit.credit_channel_weights where status = 'ok'
"""


def build_lift_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    chosen = settings.attribution

    @dg.multi_asset(
        name="lift",
        specs=[
            dg.AssetSpec(
                key=[keys.CREDIT, table],
                deps=[["core", "fct_attribution_credit"], [keys.CREDIT, "credit_channel_weights"]],
                group_name="attribution",
                kinds={"python"},
                owners=["team:attribution"],
                description=description,
            )
            for table, description in TABLES.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def lift(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult]:
        records, totals, daily = (pd.DataFrame(), pd.DataFrame(), pd.DataFrame())
        if chosen.experiments is not None:
            calibration = read_calibration(
                settings.path(chosen.experiments), chosen.residual_policy, chosen.residual_channels
            )
            records = calibration.records
            totals, daily = calibration_tables(warehouse.query(DAILY), warehouse.query(INTERVALS), calibration)
        written = (
            ("lift_experiments", typed(records, EXPERIMENT_TYPES), EXPERIMENT_TYPES),
            ("lift_calibration", typed(totals, CALIBRATION_TYPES), CALIBRATION_TYPES),
            ("lift_calibration_daily", typed(daily, DAILY_TYPES), DAILY_TYPES),
        )
        for table, frame, types in written:
            warehouse.replace_table(keys.CREDIT, table, frame, types)
            metadata = {"dagster/row_count": len(frame)}
            yield dg.MaterializeResult(asset_key=[keys.CREDIT, table], metadata=metadata)

    return [lift]
