"""Is the tracking still there? Judgements over the coverage mart, with thresholds from attribution.toml.

The predicates are plain functions over frames; the checks only wrap them. Few units are "insufficient volume": a warning, never
green.
"""

from dataclasses import dataclass

import dagster as dg
import pandas as pd

from attribution_platform.monitoring.detect import LOW_VOLUME
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

COVERAGE_MART = ["marts", "mart_attribution__coverage_weekly"]
# The newest complete week of one metric, by segment.
LATEST_WEEK = """
    select segment, week_on, numerator, denominator, rate, status
    from (
        select *, row_number() over (partition by segment order by week_on desc) as recency
        from marts.mart_attribution__coverage_weekly
        where metric = '{metric}' and segment_type = '{segment_type}'
    ) as weeks
    where recency = 1
    order by segment
"""


@dataclass(frozen=True)
class Verdict:
    """What a rate check found. `low` and `thin` name segments under the minimum, and those with too few units to tell."""

    passed: bool
    low: tuple[str, ...]
    thin: tuple[str, ...]

    @property
    def sentence(self) -> str:
        parts = []
        if self.low:
            parts.append(f"under the minimum: {', '.join(self.low)}")
        if self.thin:
            parts.append(f"insufficient volume: {', '.join(self.thin)}")
        return "; ".join(parts) or "all segments at or above the minimum"


def judge_rates(latest: pd.DataFrame, minimum: float) -> Verdict:
    """Compare each segment's rate with the minimum.

    Args:
        latest: segment, rate, status; one row a segment. Of `insufficient volume` no verdict is given.
        minimum: lowest acceptable rate, 0 to 1.
    """
    enough = latest["status"] != LOW_VOLUME
    low = latest[enough & (latest["rate"] < minimum)]["segment"]
    thin = latest[~enough]["segment"]
    return Verdict(passed=low.empty and thin.empty and not latest.empty, low=tuple(low), thin=tuple(thin))


def _result(latest: pd.DataFrame, minimum: float) -> dg.AssetCheckResult:
    verdict = judge_rates(latest, minimum)
    sample = latest.assign(week_on=latest["week_on"].astype(str)).round(4)
    return dg.AssetCheckResult(
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence if len(latest) else "no complete week yet",
        metadata={
            "minimum": minimum,
            "latest_week": dg.MetadataValue.md(sample.to_markdown(index=False) or "no rows"),
        },
    )


def build_tracking_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    thresholds = settings.alerts.thresholds

    @dg.asset_check(
        asset=COVERAGE_MART,
        pool=WAREHOUSE_POOL,
        description="Sessions that an ad platform sent still carry its click id, platform by platform.",
    )
    def click_ids_are_captured(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        latest = warehouse.query(LATEST_WEEK.format(metric="click_id_capture", segment_type="platform"))
        return _result(latest, thresholds.click_id_capture_min)

    @dg.asset_check(
        asset=COVERAGE_MART,
        pool=WAREHOUSE_POOL,
        description="Enough conversions have at least one real touch before them.",
    )
    def conversions_have_touches(warehouse: dg.ResourceParam[Warehouse]) -> dg.AssetCheckResult:
        latest = warehouse.query(LATEST_WEEK.format(metric="behavioural_coverage", segment_type="all"))
        return _result(latest, thresholds.behavioural_coverage_min)

    return [click_ids_are_captured, conversions_have_touches]
