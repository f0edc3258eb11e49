"""The watch on the tracking, as the warehouse sees it: coverage days in, signals and chart phases out.

What is decided is in `monitoring`; this module reads and writes the tables, and turns attribution.toml into thresholds.
"""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from attribution_platform import keys
from attribution_platform.monitoring.cusum import CusumOptions
from attribution_platform.monitoring.detect import (
    ALARM,
    ANY,
    DetectOptions,
    daily_z,
    detect,
    is_fine_cut,
    segment_label,
)
from attribution_platform.monitoring.explain import explain
from attribution_platform.monitoring.forest import day_anomalies
from attribution_platform.monitoring.phases import (
    BY_PERSON,
    PHASE_COLUMNS,
    SERIES,
    baselines_of_people,
    decision,
    phases_to_record,
)
from attribution_platform.monitoring.silence import FRESHNESS, detect_silence
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import FOLLOWED_METRICS, HISTORY_METRICS, Settings, Thresholds

SIGNALS, PHASES, EXPLANATIONS, ANOMALIES = "drift_signals", "chart_phase", "drift_explanations", "day_anomalies"
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
EXPLANATION_TYPES = {
    "metric": "varchar",
    "segment": "varchar",
    "direction": "varchar",
    "date": "date",
    "first_bad_on": "date",
    "first_bad_low": "date",
    "first_bad_high": "date",
    "expected": "double",
    "observed": "double",
    "size": "double",
    "size_low": "double",
    "size_high": "double",
    "n": "double",
    "likely_metric": "varchar",
    "likely_segment": "varchar",
    "likely_expected": "double",
    "likely_observed": "double",
    "likely_share": "double",
    "likely_p": "double",
    "also": "varchar",
    "changed_upstream": "varchar",
    "sentence": "varchar",
}
ANOMALY_TYPES = {
    "date": "date",
    "score": "double",
    "p": "double",
    "evidence": "double",
    "status": "varchar",
    "contributors": "varchar",
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
CHANGES = "contract_changes"
# A day that half of the series do not speak of is no day to compare.
MOST_SERIES = 0.5
# One chart that stands in an alarm for months does not make each of those days a bad one to learn from.
FEW_ALARMS = 0.05
# Metric of mart_attribution__coverage_daily -> what it says, in one line.
METRICS = {
    "behavioural_coverage": "Conversions with at least one real touch before them.",
    "direct_only_rate": "Conversions before which only Direct was seen.",
    "click_id_capture": "Visits from ads that carry a click id.",
    "click_id_capture_of_ad_clicks": "Captured ad clicks for each click the platform reports.",
    "utm_completeness": "Tagged visits with source, medium and campaign.",
    "ad_visit_tagging": "Visits from ads with source, medium and campaign: a tag under a wrong name is no tag.",
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
        default=of(""),
        metrics={metric: of(metric) for metric in sorted({*thresholds.metrics, *FOLLOWED_METRICS, *HISTORY_METRICS})},
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


def explanations(warehouse: Warehouse, settings: Settings, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row an alarm of drift_signals: since when, where, and what changed upstream.

    Args:
        runs: occurred_on, kind, what: runs worth knowing about.
    """
    days = coverage_days(warehouse, last_whole_day(settings))
    signals = warehouse.query(f"select * from {keys.MONITORING}.{SIGNALS} order by metric, segment, date, scheme")
    changes = [upstream_changes(warehouse), *([] if runs is None else [runs])]
    return explain(days, signals, pd.concat([each for each in changes if len(each)] or changes[:1], ignore_index=True))


def upstream_changes(warehouse: Warehouse) -> pd.DataFrame:
    """What people and vendors are known to have changed: occurred_on, kind, what."""
    parts = [pd.DataFrame(columns=["occurred_on", "kind", "what"])]
    phases = known_phases(warehouse)
    said = phases[phases["decided_by"] == BY_PERSON]
    parts.append(pd.DataFrame({"occurred_on": said["phase_start_on"], "kind": "phase", "what": said["reason"]}))
    found = warehouse.sample(keys.MONITORING, CHANGES, ["seen_on", "raw_table", "change"], 100_000)
    if found is not None:
        what = found["raw_table"] + ": " + found["change"]
        parts.append(pd.DataFrame({"occurred_on": found["seen_on"], "kind": "contract", "what": what}))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def anomalies(warehouse: Warehouse, settings: Settings) -> pd.DataFrame:
    """The isolation forest's verdict on every day."""
    days = coverage_days(warehouse, last_whole_day(settings))
    return anomalies_of(days, detect_options(settings.alerts.thresholds), baselines_of_people(known_phases(warehouse)))


def anomalies_of(days: pd.DataFrame, options: DetectOptions, phases: pd.DataFrame | None = None) -> pd.DataFrame:
    """As `anomalies`, of the rows of `coverage_days`. Fine cuts stay out: their noise would hide what all metrics share."""
    coarse = days[~is_fine_cut(days["segment"])]
    signals = detect(coarse, options, phases)
    z = daily_z(coarse, options, phases)
    z = z.loc[z.notna().mean(axis=1) >= MOST_SERIES]
    alarms = signals[signals["status"] == ALARM]
    standing = pd.Series(0, index=z.index)
    for begun, ended in zip(alarms["first_bad_on"], alarms["recovered_on"], strict=True):
        standing += (z.index >= begun) & ((z.index < ended) if not pd.isna(ended) else True)
    return day_anomalies(z, standing > FEW_ALARMS * z.shape[1])


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
