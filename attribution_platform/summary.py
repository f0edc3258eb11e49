"""What a run amounts to, in figures: the same queries feed the terminal's summary and the HTML report."""

from dataclasses import dataclass

import pandas as pd

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


def summarise(warehouse: Warehouse) -> Summary:
    return Summary(
        totals=warehouse.query(TOTALS),
        credit=warehouse.query(CREDIT),
        coverage=warehouse.query(COVERAGE),
        roi=warehouse.query(ROI),
    )
