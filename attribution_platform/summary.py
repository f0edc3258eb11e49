"""What a run amounts to, in figures: the same queries feed the terminal's summary and the HTML report."""

from dataclasses import dataclass

import pandas as pd

from attribution_platform.monitoring.detect import ALARM, OK, is_fine_cut
from attribution_platform.resources.warehouse import Warehouse

CREDIT = """
    select model_type, channel, sum(credit) as conversions, sum(credited_revenue) as revenue
    from core.fct_attribution_credit
    group by model_type, channel
"""
TOTALS = """
    select conversion_type, count(*) as conversions, sum(revenue) as revenue
    from core.fct_conversions group by conversion_type order by conversion_type
"""
ROI = """
    select channel, model_type, spend, conversions, ci_low, ci_high, revenue, cac, roas, roi
    from marts.mart_attribution__roi
    where spend > 0 and conversion_type = 'all' order by channel, model_type
"""
# The last complete week of every metric over all segments.
COVERAGE = """
    select metric, week_on, numerator, denominator, rate, status
    from (
        select *, row_number() over (partition by metric order by week_on desc) as recency
        from marts.mart_attribution__coverage_weekly
        where segment_type = 'all'
    ) as weeks
    where recency = 1
    order by metric
"""
SIGNALS = "select metric, segment, status, recovered_on from monitoring.drift_signals"
# Open alarms of what a person is responsible for, with what is known of each; fine cuts say where and stand in these sentences.
ALARMS = """
    select explained.metric, explained.segment, explained.date, explained.sentence
    from monitoring.drift_explanations as explained
    inner join monitoring.drift_signals as signals
        on explained.metric = signals.metric and explained.segment = signals.segment and explained.date = signals.date
    where signals.status = 'alarm' and signals.recovered_on is null
    order by explained.date, explained.metric, explained.segment
"""
MODEL_ORDER = [
    "first_touch",
    "last_touch",
    "last_non_direct",
    "linear",
    "time_decay",
    "position_based",
    "markov",
    "shapley",
]


@dataclass(frozen=True)
class Summary:
    """Frames ready to print. `credit` is long: model_type, channel, conversions, revenue."""

    totals: pd.DataFrame
    credit: pd.DataFrame
    coverage: pd.DataFrame
    roi: pd.DataFrame

    def pivot(self, value: str) -> pd.DataFrame:
        """Channels × models of `conversions` or `revenue`, largest channel first."""
        if self.credit.empty:
            return pd.DataFrame()
        wide = self.credit.pivot_table(
            index="channel", columns="model_type", values=value, aggfunc="sum", fill_value=0.0
        )
        known = [name for name in MODEL_ORDER if name in wide.columns]
        wide = wide[known + sorted(set(wide.columns) - set(known))]
        return wide.loc[wide.mean(axis=1).sort_values(ascending=False).index]


@dataclass(frozen=True)
class WatchSummary:
    """What the drift detection says of totals and of what a person is responsible for.

    Attributes:
        judged: series with a verdict. unjudged: reason to number of series without one.
        sentences: one an open alarm, oldest first.
    """

    judged: int
    unjudged: dict[str, int]
    sentences: tuple[str, ...]


def watch_summary(warehouse: Warehouse) -> WatchSummary:
    signals, alarms = warehouse.query(SIGNALS), warehouse.query(ALARMS)
    signals, alarms = (each[~is_fine_cut(each["segment"])] for each in (signals, alarms))
    has_verdict = signals["status"].isin([OK, ALARM])
    reasons = signals.loc[~has_verdict, "status"].value_counts()
    return WatchSummary(
        judged=len(signals.loc[has_verdict, ["metric", "segment"]].drop_duplicates()),
        unjudged={str(reason): int(count) for reason, count in reasons.items()},
        sentences=tuple(alarms["sentence"].astype(str)),
    )


def summarise(warehouse: Warehouse) -> Summary:
    return Summary(
        totals=warehouse.query(TOTALS),
        credit=warehouse.query(CREDIT),
        coverage=warehouse.query(COVERAGE),
        roi=warehouse.query(ROI),
    )
