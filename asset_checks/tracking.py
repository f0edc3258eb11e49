"""Is the tracking still there? Judgements over the coverage mart, with thresholds from attribution.toml.

The predicates are plain functions over frames; the checks only wrap them. Few units are "insufficient volume": where no segment has
enough, the check has no result and Dagster shows it as skipped, neither green nor a warning.
"""

from collections.abc import Iterator
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
    """What a rate check found; `passed` is None where nobody can tell. `low` and `thin` name segments under the minimum, and those
    with too few units to tell."""

    passed: bool | None
    low: tuple[str, ...]
    thin: tuple[str, ...]

    @property
    def sentence(self) -> str:
        parts = []
        if self.low:
            parts.append(f"under the minimum: {', '.join(self.low)}")
        if self.thin:
            parts.append(f"insufficient volume: {', '.join(self.thin)}")
        if not parts:
            return "all segments at or above the minimum" if self.passed else "no complete week yet"
        return "; ".join(parts)


def judge_rates(latest: pd.DataFrame, minimum: float) -> Verdict:
    """Compare each segment's rate with the minimum.

    Args:
        latest: segment, rate, status; one row a segment. Of `insufficient volume` no verdict is given.
        minimum: lowest acceptable rate, 0 to 1.
    """
    enough = latest["status"] != LOW_VOLUME
    low = latest[enough & (latest["rate"] < minimum)]["segment"]
    thin = latest[~enough]["segment"]
    return Verdict(passed=low.empty if enough.any() else None, low=tuple(low), thin=tuple(thin))


def _result(name: str, latest: pd.DataFrame, minimum: float, verdict: Verdict) -> dg.AssetCheckResult:
    sample = latest.assign(week_on=latest["week_on"].astype(str)).round(4)
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(COVERAGE_MART),
        check_name=name,
        passed=bool(verdict.passed),
        severity=dg.AssetCheckSeverity.WARN,
        description=verdict.sentence,
        metadata={
            "minimum": minimum,
            "latest_week": dg.MetadataValue.md(sample.to_markdown(index=False) or "no rows"),
        },
    )


def build_tracking_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    thresholds = settings.alerts.thresholds
    # Name of the check: metric, cut, minimum, what it says.
    rates = {
        "click_ids_are_captured": (
            "click_id_capture",
            "platform",
            thresholds.click_id_capture_min,
            "Sessions that an ad platform sent still carry its click id, platform by platform.",
        ),
        "conversions_have_touches": (
            "behavioural_coverage",
            "all",
            thresholds.behavioural_coverage_min,
            "Enough conversions have at least one real touch before them.",
        ),
    }

    @dg.multi_asset_check(
        name="tracking",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(name=name, asset=dg.AssetKey(COVERAGE_MART), description=description)
            for name, (*_, description) in rates.items()
        ],
        pool=WAREHOUSE_POOL,
    )
    def _checks(
        context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.name for key in context.selected_asset_check_keys}
        for name, (metric, segment_type, minimum, _) in rates.items():
            if name not in wanted:
                continue
            latest = warehouse.query(LATEST_WEEK.format(metric=metric, segment_type=segment_type))
            verdict = judge_rates(latest, minimum)
            if verdict.passed is None:
                context.log.info(f"{name}: no verdict, {verdict.sentence}")
            else:
                yield _result(name, latest, minimum, verdict)

    return [_checks]
