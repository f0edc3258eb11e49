"""Days that no single chart calls odd and that are odd all the same: an isolation forest over the day's metrics.

Each day is a vector of one figure a metric: how far the furthest of its series is off its daily chart, whichever way (|z|). A
forest (Liu, Ting and Zhou 2008) learns the first good days. A new day's score becomes a p-value among the scores those days got
from forests that had not seen them, and p-values are gathered into a Shiryaev-Roberts sum of bets on small ones: healthy days that
resemble the learned ones carry it past `1 / false_alarms_per_day` once in that many days on average, or less often (Vovk, Gammerman
and Shafer, "Algorithmic Learning in a Random World", chapter 8; Shiryaev-Roberts because a lasting fault may begin on any day).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from attribution_platform.monitoring.baseline import Floats

__all__ = ["ANOMALY_COLUMNS", "ForestOptions", "day_anomalies"]

ANOMALY_COLUMNS = ("date", "score", "p", "evidence", "status", "contributors")
ALARM, OK, SHORT_HISTORY, LEARNED = "alarm", "ok", "insufficient history", "learned"
# Bet e(p) = ε p^(ε-1): a p-value of one in 85 multiplies by seven, one of a half divides by three.
BET = 0.2
CLIP = 6.0
MOSTLY_JUDGED = 0.9
SEPARATOR = " · "


@dataclass(frozen=True)
class ForestOptions:
    """Attributes:
    baseline_days: Good days that are learned.
    false_alarms_a_year: What the alarm is calibrated to, at most.
    trees, folds, seed: Of the forests; a forest a fold scores the days it has not seen.
    named: How many contributing metrics are named.
    """

    baseline_days: int = 84
    false_alarms_a_year: float = 1.0
    trees: int = 200
    folds: int = 4
    seed: int = 0
    named: int = 3


def day_anomalies(z: pd.DataFrame, bad: pd.Series | None = None, options: ForestOptions | None = None) -> pd.DataFrame:
    """Judge every day's vector.

    Args:
        z: one row a day (index: date, in order), one column a series, `metric · segment`; NaN where that day was not judged.
        bad: days that stood in an alarm of some chart, by date; they are not learned.
        options: Calibration.

    Returns:
        ANOMALY_COLUMNS, one row a day. `contributors` names the series without which the day would be least odd.
    """
    from sklearn.ensemble import IsolationForest

    options = options or ForestOptions()
    is_bad = (
        np.zeros(len(z), dtype=bool) if bad is None else bad.reindex(z.index, fill_value=False).to_numpy(dtype=bool)
    )
    learned = np.flatnonzero(~is_bad)[: options.baseline_days]
    # By the learned days alone: what came later must not change what was said before it.
    z = z.loc[:, z.iloc[learned].notna().mean() >= MOSTLY_JUDGED].clip(-CLIP, CLIP).fillna(0.0)
    furthest, labels = _furthest(z)
    vectors = np.abs(furthest)
    status = np.full(len(z), SHORT_HISTORY, dtype=object)
    score, p, evidence = (np.full(len(z), np.nan) for _ in range(3))
    names: list[str] = [""] * len(z)
    if len(learned) < options.baseline_days or not z.shape[1]:
        return _table(z, score, p, evidence, status, names)
    fold = np.arange(len(learned)) % options.folds
    forests = [
        IsolationForest(n_estimators=options.trees, random_state=options.seed + k).fit(vectors[learned[fold != k]])
        for k in range(options.folds)
    ]
    known = np.empty(len(learned))
    for k, forest in enumerate(forests):
        known[fold == k] = -forest.score_samples(vectors[learned[fold == k]])
    later = np.arange(int(learned[-1]) + 1, len(z))
    status[learned] = LEARNED
    score[learned] = known
    if not len(later):
        return _table(z, score, p, evidence, status, names)

    def scored(rows: Floats) -> Floats:
        return np.asarray(-np.mean([forest.score_samples(rows) for forest in forests], axis=0))

    score[later] = scored(vectors[later])
    p[later] = (1 + (known[None, :] >= score[later, None]).sum(axis=1)) / (len(known) + 1)
    limit = 365 / options.false_alarms_a_year
    running, is_open = 0.0, False
    for t in later:
        running = (1 + running) * BET * p[t] ** (BET - 1)
        evidence[t] = running
        is_open = running >= limit
        status[t] = ALARM if is_open else OK
        # Evidence without bound would keep an alarm open for as long again after the repair.
        running = min(running, 2 * limit)
    for t in later[[status[t] == ALARM for t in later]]:
        names[t] = _contributors(furthest[t], labels[t], scored, options.named)
    return _table(z, score, p, evidence, status, names)


def _furthest(z: pd.DataFrame) -> tuple[Floats, list[list[str]]]:
    """Per day and metric the z of the series that is furthest off, and its name.

    With every series a dimension of its own, and both directions told apart, none of eight faults in the sandbox was seen: one bad
    metric is then one split in forty. Folded like this four of five worlds with faults were, the quiet year as before in none.
    """
    by_metric: dict[str, list[int]] = {}
    for position, name in enumerate(z.columns):
        by_metric.setdefault(str(name).partition(SEPARATOR)[0], []).append(position)
    values = z.to_numpy(dtype=np.float64)
    days = np.arange(len(z))
    chosen = [np.array(own)[np.abs(values[:, own]).argmax(axis=1)] for own in by_metric.values()]
    furthest = np.array([values[days, own] for own in chosen]).T.reshape(len(z), len(chosen))
    return furthest, [[str(z.columns[own[day]]) for own in chosen] for day in days]


def _contributors(signed: Floats, series: list[str], scored: object, named: int) -> str:
    """Mean of what a series takes away when it alone is put right and what it adds when it alone is wrong: the first and the
    last term of its Shapley value."""
    vector = np.abs(signed)
    count = len(vector)
    without = np.tile(vector, (count, 1))
    np.fill_diagonal(without, 0.0)
    alone = np.diag(vector)
    whole, calm = vector[None, :], np.zeros((1, count))
    values = scored(np.vstack([whole, calm, without, alone]))  # type: ignore[operator]
    share = (values[0] - values[2 : 2 + count] + values[2 + count :] - values[1]) / 2
    order = np.argsort(-share, kind="stable")[:named]
    return ", ".join(f"{series[i]} (z {signed[i]:+.1f})" for i in order if share[i] > 0)


def _table(
    z: pd.DataFrame, score: Floats, p: Floats, evidence: Floats, status: object, names: list[str]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "date": pd.to_datetime(z.index).astype("datetime64[s]"),
            "score": score,
            "p": p,
            "evidence": evidence,
            "status": status,
            "contributors": names,
        },
        columns=list(ANOMALY_COLUMNS),
    )
