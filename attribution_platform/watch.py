"""The watch on the tracking, as the warehouse sees it: coverage days in, signals and chart phases out.

What is decided is in `monitoring`; this module reads and writes the tables, and turns attribution.toml into thresholds.
"""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from attribution_platform import keys
from attribution_platform.monitoring.cusum import CusumOptions
from attribution_platform.monitoring.detect import ANY, DetectOptions, detect, segment_label
from attribution_platform.monitoring.phases import (
    PHASE_COLUMNS,
    SERIES,
    baselines_of_people,
    decision,
    phases_to_record,
)
from attribution_platform.monitoring.silence import FRESHNESS, detect_silence
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import FOLLOWED_METRICS, Settings, Thresholds

SIGNALS, PHASES = "drift_signals", "chart_phase"
SIGNAL_TYPES = {
    "metric": "varchar",
    "segment": "varchar",
    "date": "date",
    "scheme": "varchar",
    "direction": "varchar",
    "z": "double",
    "first_bad_on": "date",
    "status": "varchar",
    "recovered_on": "date",
    "expected": "double",
    "observed": "double",
    "size": "double",
    "size_low": "double",
    "size_high": "double",
    "n": "double",
}
PHASE_TYPES = {
    "metric": "varchar",
    "segment_type": "varchar",
    "segment": "varchar",
    "phase_start_on": "date",
    "reason": "varchar",
    "decided_by": "varchar",
    "decided_at": "timestamp",
    "centre": "double",
    "mean_moving_range": "double",
    "baseline_points": "bigint",
}
# Metric of mart_attribution__coverage_daily -> what it says, in one line.
METRICS = {
    "behavioural_coverage": "Conversions with at least one real touch before them.",
    "direct_only_rate": "Conversions before which only Direct was seen.",
    "click_id_capture": "Visits from ads that carry a click id.",
    "click_id_capture_of_ad_clicks": "Captured ad clicks for each click the platform reports.",
    "utm_completeness": "Tagged visits with source, medium and campaign.",
    "utm_taxonomy": "Tagged visits whose tags a channel rule understands.",
    "cookie_user_coverage": "Devices whose user is known by that day.",
    "authenticated_visits": "Visits that say themselves who is logged in.",
    "identity_tier_share": "Visits by how surely we knew on that day whose they are.",
    "bot_share": "Events that a machine made.",
    "event_volume": "Events, visits from ads by platform, and records of every source.",
    "freshness": "Days since a source last spoke, by the data's own clock.",
    "survey_agreement": "Answers that agree with what was seen.",
    "spend_reconciliation": "Spend in the marts for each unit of spend the platforms report.",
    "cost_per_click": "Spend for each click the platform reports.",
    "model_divergence": "How far the credit models are apart.",
}
# Days of silence have a rule of their own.
NOT_JUDGED = (FRESHNESS,)
DAYS = """
    select metric, segment_type, segment, date_on, numerator, denominator
    from marts.mart_attribution__coverage_daily
    where date_on <= cast('{last_on}' as date) and metric not in ({excluded})
    order by metric, segment_type, segment, date_on
"""
WEEKS = """
    select
        metric, segment_type, segment, week_on, coalesce(rate, numerator) as rate_or_count, centre, mean_moving_range,
        baseline_points, are_limits_frozen, phase_on, phase_reason, run_length
    from marts.mart_attribution__coverage_weekly
"""


class WatchError(ValueError):
    """Something asked of the watch cannot be done; the message says what and how."""


def detect_options(thresholds: Thresholds) -> DetectOptions:
    """attribution.toml's thresholds in the detection's words."""

    def of(metric: str) -> CusumOptions:
        return CusumOptions(**thresholds.of(metric))

    return DetectOptions(
        default=of(""), metrics={metric: of(metric) for metric in sorted({*thresholds.metrics, *FOLLOWED_METRICS})}
    )


def last_whole_day(settings: Settings) -> date:
    """The newest day that can be judged: yesterday in the reporting time zone, less what still comes in."""
    today = settings.now().astimezone(ZoneInfo(settings.project.reporting_time_zone)).date()
    return today - timedelta(days=1 + settings.alerts.thresholds.settling_days)


def coverage_days(warehouse: Warehouse, last_on: date) -> pd.DataFrame:
    """Every judged series as the detection takes it: metric, segment, date, numerator, denominator."""
    excluded = ", ".join(f"'{name}'" for name in NOT_JUDGED)
    days = warehouse.query(DAYS.format(last_on=last_on, excluded=excluded))
    labels = [
        segment_label(str(kind), str(name)) for kind, name in zip(days["segment_type"], days["segment"], strict=True)
    ]
    return pd.DataFrame(
        {
            "metric": days["metric"].astype(object),
            "segment": pd.Series(labels, dtype=object),
            "date": pd.to_datetime(days["date_on"]),
            "numerator": days["numerator"].astype(float),
            "denominator": days["denominator"].astype(float),
        }
    )


def known_phases(warehouse: Warehouse) -> pd.DataFrame:
    """monitoring.chart_phase, or no rows before the first."""
    found = warehouse.sample(keys.MONITORING, PHASES, list(PHASE_TYPES), 1_000_000)
    table = pd.DataFrame(columns=list(PHASE_COLUMNS)) if found is None else found
    return table.sort_values(["decided_at", *SERIES, "phase_start_on"], kind="stable", ignore_index=True)


def judge(warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    """Signals of the coverage table: those of `attribution drift` on the same rows, and silent sources."""
    days = coverage_days(warehouse, last_whole_day(settings))
    return judge_days(days, detect_options(settings.alerts.thresholds), baselines_of_people(known_phases(warehouse)))


def judge_days(days: pd.DataFrame, options: DetectOptions, phases: pd.DataFrame | None = None) -> pd.DataFrame:
    """Signals of the rows of `coverage_days`."""
    sources = days[(days["metric"] == "event_volume") & days["segment"].str.startswith("source=")]
    parts = [detect(days, options, phases), detect_silence(sources, options.of(FRESHNESS, "all"))]
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return table.sort_values(["metric", "segment", "date", "scheme", "status"], kind="stable", ignore_index=True)


def record_phases(warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    """Add what the weekly charts decide today; returns all phases."""
    known = known_phases(warehouse)
    new = phases_to_record(warehouse.query(WEEKS), known, settings.now().replace(tzinfo=None))
    warehouse.append_rows(keys.MONITORING, PHASES, new, PHASE_TYPES)
    return new if known.empty else pd.concat([known, new], ignore_index=True)


def start_phase(
    warehouse: Warehouse, settings: Settings, metric: str, segment: str, start_on: date, reason: str
) -> int:
    """Begin a new phase by a person's word; returns the number of charts it concerns.

    Args:
        segment: `all`, `browser=Safari`, `browser=*` or `*`.

    Raises:
        WatchError: there is no such chart, or the reason is missing.
    """
    kind, _, name = segment.rpartition("=")
    kind, name = (kind or name, name) if kind or name == ANY else ("all", name)
    charts = warehouse.query(
        "select distinct metric, segment_type, segment from marts.mart_attribution__coverage_daily"
    )
    kept = charts[(charts["metric"] == metric) | (metric == ANY)]
    if kept.empty:
        known = ", ".join(sorted(set(charts["metric"])))
        raise WatchError(f"no metric named {metric}; known: {known}; `*` for every one.")
    labels = [segment_label(*pair) for pair in zip(kept["segment_type"], kept["segment"], strict=True)]
    kept = kept[((kept["segment_type"] == kind) | (kind == ANY)) & ((kept["segment"] == name) | (name == ANY))]
    if kept.empty:
        some = ", ".join(sorted(set(labels))[:20])
        raise WatchError(f"{metric} has no segment {segment}; it has {some}. `*` stands for every one.")
    try:
        row = decision(metric, kind, name, start_on, reason, settings.now().replace(tzinfo=None))
    except ValueError as error:
        raise WatchError(str(error)) from None
    warehouse.append_rows(keys.MONITORING, PHASES, row, PHASE_TYPES)
    return len(kept)
