"""What readers see: coverage charts, the report, and the published copy of the finished tables."""

from pathlib import Path

import dagster as dg

from attribution_platform import keys
from attribution_platform.charts import as_markdown, coverage_chart
from attribution_platform.report import write_report
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

WEEKLY_COVERAGE = """
    select * from marts.mart_attribution__coverage_weekly
    where segment_type = 'all' order by metric, week_on
"""


def build_serving_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    @dg.asset(
        key=[keys.SERVING, "coverage_charts"],
        deps=[["marts", "mart_attribution__coverage_weekly"]],
        group_name="coverage",
        kinds={"python"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="Weekly process-behaviour charts of every coverage metric, with frozen natural limits.",
    )
    def coverage_charts(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        weekly = warehouse.query(WEEKLY_COVERAGE)
        charted = weekly.dropna(subset=["rate"])
        chart = (
            {"coverage": dg.MetadataValue.md(as_markdown(coverage_chart(charted), "weekly coverage"))}
            if len(charted)
            else {}
        )
        return dg.MaterializeResult(metadata={"dagster/row_count": len(weekly), **chart})

    @dg.asset(
        key=[keys.SERVING, "report"],
        deps=[
            ["marts", "mart_attribution__model_comparison"],
            ["marts", "mart_attribution__roi"],
            ["marts", "mart_attribution__coverage_weekly"],
            [keys.CREDIT, "credit_channel_weights"],
            ["marts", "mart_attribution__conversion_paths"],
            ["marts", "mart_attribution__channel_assists"],
            [keys.CREDIT, "conversion_model_quality"],
            [keys.CREDIT, "conversion_model_reliability"],
        ],
        group_name="serving",
        kinds={"python", "html"},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="One self-contained HTML page: channels by model, intervals, ROI, coverage.",
    )
    def report(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        path = write_report(warehouse, settings.data_dir / "reports" / "attribution.html")
        return dg.MaterializeResult(metadata={"report": dg.MetadataValue.path(path), "bytes": path.stat().st_size})

    @dg.asset(
        key=[keys.SERVING, "published_marts"],
        deps=[
            ["marts", "mart_attribution__model_comparison"],
            ["marts", "mart_attribution__roi"],
            ["marts", "mart_attribution__channel_daily"],
            ["marts", "mart_attribution__campaign_daily"],
            ["marts", "mart_attribution__artifact_daily"],
            ["marts", "mart_attribution__coverage_weekly"],
            ["core", "canonical_users"],
            ["core", "fct_journey_scores"],
            [keys.MONITORING, "drift_signals"],
            [keys.MONITORING, "chart_phase"],
            [keys.MONITORING, "drift_explanations"],
            [keys.MONITORING, "day_anomalies"],
            [keys.MONITORING, "alert_history"],
            [keys.SERVING, "coverage_charts"],
            [keys.SERVING, "report"],
        ],
        group_name="serving",
        kinds={settings.warehouse.target},
        owners=["team:attribution"],
        pool=WAREHOUSE_POOL,
        description="The finished tables as readers see them: a read-only copy, swapped in whole.",
    )
    def published_marts(warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult:
        published = warehouse.publish(Path(settings.serving_path))
        return dg.MaterializeResult(metadata={"bytes": published, "path": str(settings.serving_path)})

    return [coverage_charts, report, published_marts]
