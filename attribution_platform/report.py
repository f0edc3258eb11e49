"""One self-contained HTML page: no script, no outside host, mailable."""

import os
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from attribution_platform.charts import coverage_chart, credit_chart, reliability_chart
from attribution_platform.recommendation import recommendations
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.summary import summarise

TEMPLATES = Path(__file__).parent / "templates"


def _svg(chart: Any) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def _cell(value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return f"{value:,}" if isinstance(value, int) else str(value)


def _section(title: str, frame: pd.DataFrame | None = None, note: str = "", chart: Any = None) -> dict[str, Any]:
    frame = pd.DataFrame() if frame is None else frame
    return {
        "title": title,
        "note": note,
        "svg": _svg(chart) if chart is not None else "",
        "columns": [str(name).replace("_", " ") for name in frame.columns],
        "aligned": ["words" if any(isinstance(value, str) for value in frame[name]) else "" for name in frame.columns],
        "rows": [[_cell(value) for value in row] for row in frame.itertuples(index=False)],
    }


PATHS = """
    select conversion_type, path, conversions, conversion_rate, revenue, share_of_conversions, median_days_to_conversion
    from marts.mart_attribution__conversion_paths
    where path_rank <= 10 and conversions > 0
    order by conversion_type, path_rank
"""
LENGTHS = """
    select
        conversion_type,
        case when path_length >= 10 then '10 or more' else cast(path_length as varchar) end as touches,
        sum(conversions) as conversions,
        sum(conversions * days_to_conversion) / sum(conversions) as mean_days_to_conversion
    from marts.mart_attribution__conversion_paths
    where conversions > 0
    group by 1, 2
    order by 1, min(path_length)
"""
ROLES = """
    select
        conversion_type, channel, conversions_present, conversions_opened, conversions_assisted, conversions_closed, assist_ratio
    from marts.mart_attribution__channel_assists
    order by conversion_type, conversions_present desc, channel
"""


def render_report(warehouse: Warehouse) -> str:
    summary = summarise(warehouse)
    weights = warehouse.query(
        "select * from credit.credit_channel_weights order by model_type, conversion_type, channel"
    )
    usable = weights[weights["status"] == "ok"]
    withheld = weights[weights["status"] != "ok"][
        ["model_type", "conversion_type", "n_conversions", "status"]
    ].drop_duplicates()
    scoring = warehouse.query(
        "select conversion_type, status, model_version, held_out_conversions, base_rate, brier, brier_skill, brier_skill_low, "
        "brier_skill_high, calibration_error, calibration_error_low, calibration_error_high "
        "from credit.conversion_model_quality order by conversion_type"
    )
    reliability = warehouse.query("select * from credit.conversion_model_reliability order by conversion_type, bin")
    weekly = warehouse.query(
        "select * from marts.mart_attribution__coverage_weekly where segment_type = 'all' order by metric, week_on"
    ).dropna(subset=["rate"])
    sections = [
        _section("Conversions", summary.totals),
        _section(
            "Which model to read first",
            recommendations(warehouse),
            "By rule: from volume and sales cycle. Measured: the model nearest to the truth in simulated worlds that look alike.",
        ),
        _section(
            "Credited conversions",
            summary.pivot("conversions").reset_index(),
            "Every column sums to the conversions above, less the types a data-driven model withholds.",
        ),
        _section("Credited revenue", summary.pivot("revenue").reset_index(), "In the reporting currency."),
        _section(
            "Data-driven models with 95 % intervals",
            note="" if len(usable) else "No data-driven model has enough conversions yet; the reasons are below.",
            chart=credit_chart(usable) if len(usable) else None,
        ),
        _section("Withheld for lack of data", withheld) if len(withheld) else None,
        _section("Return on spend", summary.roi),
        _section(
            "Chance of a conversion: how good it is",
            scoring,
            "On the last journeys whose outcome is known, which the judged model had not seen. Intervals are 95 %.",
            reliability_chart(reliability) if len(reliability) else None,
        ),
        _section("Top paths to conversion", warehouse.query(PATHS), "The ten most frequent of each conversion."),
        _section("Touches and days to conversion", warehouse.query(LENGTHS)),
        _section(
            "Opening, assisting, closing",
            warehouse.query(ROLES),
            "A channel assists where it was touched before the last touch. Presence never adds up across channels.",
        ),
        _section("Tracking coverage, last complete week", summary.coverage),
        _section("Tracking coverage by week", chart=coverage_chart(weekly)) if len(weekly) else None,
    ]
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    return environment.get_template("report.html.j2").render(
        title="Attribution report",
        subtitle="Credit by channel under every model, how sure we are, and whether the tracking can be trusted.",
        sections=[section for section in sections if section],
    )


def write_report(warehouse: Warehouse, path: Path) -> Path:
    """Write the page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(render_report(warehouse), encoding="utf-8")
    os.replace(draft, path)
    return path
