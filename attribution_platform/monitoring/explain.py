"""What an alarm is about: since when, how much, where, and what else happened then.

Pure: the coverage days, the signals and a list of upstream changes go in; one row an alarm comes out.

Since when: a change point with a flat prior over the days around the alarm (Smith 1975); the interval holds 95 % of the posterior.
Where: of every cut of the metric, the segment whose own change is the clearest. One that contains the fault is diluted, and one
inside it has fewer units, so the clearest one is the fault's own; it counts only where it changed unlike the rest of its cut, at
one per cent over all segments looked at, and makes up half of the change or more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from attribution_platform.monitoring.baseline import Floats
from attribution_platform.monitoring.detect import ALARM

__all__ = ["EXPLANATION_COLUMNS", "explain"]

EXPLANATION_COLUMNS = (
    "metric",
    "segment",
    "direction",
    "date",
    "first_bad_on",
    "first_bad_low",
    "first_bad_high",
    "expected",
    "observed",
    "size",
    "size_low",
    "size_high",
    "n",
    "likely_metric",
    "likely_segment",
    "likely_expected",
    "likely_observed",
    "likely_share",
    "likely_p",
    "also",
    "changed_upstream",
    "sentence",
)
BEFORE_DAYS, AFTER_DAYS, MARGIN = 56, 28, 10
CREDIBLE = 0.95
SIGNIFICANT = 0.01
# A fifth of the change is no explanation, however sure we are of it.
MOST = 0.5
# Where a metric has no cuts of its own, the one that would show the same fault has.
ASK_INSTEAD: Mapping[str, str] = {
    "click_id_capture_of_ad_clicks": "click_id_capture",
    "identity_tier_share": "authenticated_visits",
    "freshness": "",
}


@dataclass(frozen=True)
class _Change:
    """One segment before and after: figures a day or rates, the excess and its spread."""

    expected: float
    observed: float
    excess: float
    spread: float
    base: float

    @property
    def z(self) -> float:
        return self.excess / self.spread if self.spread > 0 else 0.0


def explain(days: pd.DataFrame, signals: pd.DataFrame, changes: pd.DataFrame | None = None) -> pd.DataFrame:
    """Explain every alarm of a table of signals.

    Args:
        days: metric, segment (`browser=Safari`), date, numerator, denominator, as given to `detect`.
        signals: what `detect` made of them.
        changes: occurred_on, kind, what: anything known to have changed upstream (contracts, deploys, calendar, runs).

    Returns:
        EXPLANATION_COLUMNS, one row an alarm. `likely_segment` is empty where no segment stands out; `also` lists other cuts'
        clearest segments; `changed_upstream` what happened inside the interval of the first bad day, a day either way.
    """
    alarms = signals[signals["status"] == ALARM]
    wanted = {*alarms["metric"], *(ASK_INSTEAD.get(name, "") for name in alarms["metric"])}
    by_metric = {str(name): own for name, own in days[days["metric"].isin(wanted)].groupby("metric")}
    rows = [_explain_one(by_metric, alarm, changes) for alarm in alarms.to_dict("records")]
    table = pd.DataFrame(rows, columns=list(EXPLANATION_COLUMNS))
    for column in ("date", "first_bad_on", "first_bad_low", "first_bad_high"):
        table[column] = pd.to_datetime(table[column]).astype("datetime64[s]")
    return table


def _explain_one(
    by_metric: Mapping[str, pd.DataFrame], alarm: Mapping[Any, Any], changes: pd.DataFrame | None
) -> dict[str, object]:
    metric, segment = str(alarm["metric"]), str(alarm["segment"])
    known = {name: alarm[name] for name in EXPLANATION_COLUMNS if name in alarm}
    first = pd.Timestamp(alarm["first_bad_on"])
    recovered = alarm.get("recovered_on")
    end = pd.Timestamp(recovered) if recovered is not None and not pd.isna(recovered) else pd.Timestamp.max
    low = high = first
    own = by_metric.get(metric)
    if own is not None:
        low, high = _since_when(own[own["segment"] == segment], first, end)
    asked = ASK_INSTEAD.get(metric, metric)
    where = _where(by_metric.get(asked), segment, first, end, str(alarm["direction"]))
    upstream = _upstream(changes, low, high)
    row = {**known, "first_bad_low": low, "first_bad_high": high, "changed_upstream": "; ".join(upstream)}
    row |= where | {"likely_metric": asked if where["likely_segment"] else ""}
    return row | {"sentence": _sentence(row, upstream)}


def _windows(own: pd.DataFrame, first: pd.Timestamp, end: pd.Timestamp) -> tuple[pd.DataFrame, pd.DataFrame]:
    date = own["date"]
    before = own[(date < first) & (date >= first - pd.Timedelta(days=BEFORE_DAYS))]
    after = own[(date >= first) & (date < end) & (date < first + pd.Timedelta(days=AFTER_DAYS))]
    return before, after


def _since_when(own: pd.DataFrame, first: pd.Timestamp, end: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Interval of the first bad day."""
    before, after = _windows(own.sort_values("date"), first, end)
    near = before["date"] >= first - pd.Timedelta(days=MARGIN)
    calm = before[~near]
    if len(calm) < 14 or after.empty:
        return first, first
    looked = pd.concat([before[near], after])
    value, weight = _deviation(looked, calm)
    count = len(looked)
    # Suffix sums: the best step of unknown size from each day on.
    total, mass = (value * weight)[::-1].cumsum()[::-1], weight[::-1].cumsum()[::-1]
    latest = min(count, int(near.sum()) + MARGIN)
    score = 0.5 * total**2 / np.maximum(mass, 1e-12)
    score = score[:latest] - score[:latest].max()
    chance = np.exp(score) / np.exp(score).sum()
    order = np.argsort(-chance, kind="stable")
    held = order[: int(np.searchsorted(chance[order].cumsum(), CREDIBLE)) + 1]
    day = looked["date"].to_numpy()
    return pd.Timestamp(day[held.min()]), pd.Timestamp(day[held.max()])


def _deviation(looked: pd.DataFrame, calm: pd.DataFrame) -> tuple[Floats, Floats]:
    """Deviation of each day from the calm days' level, and its weight (one over the variance)."""
    if calm["denominator"].isna().all():
        usual, seen = np.log(calm["numerator"].to_numpy() + 0.5), np.log(looked["numerator"].to_numpy() + 0.5)
        variance = max(float(usual.var(ddof=1)), 1e-6)
        return np.asarray(seen - usual.mean()), np.full(len(seen), 1 / variance)
    calm = calm[calm["denominator"] > 0]
    hits, units = calm["numerator"].to_numpy(), calm["denominator"].to_numpy()
    level = hits.sum() / units.sum()
    unit = _unit_variance(level, units.sum())
    over = max(float((((hits - units * level) ** 2) / (units * unit)).mean()), 1.0)
    n = np.maximum(looked["denominator"].fillna(0).to_numpy(), 1e-9)
    return np.asarray(looked["numerator"].to_numpy() / n - level), np.asarray(n / (unit * over))


def _unit_variance(level: float, units: float) -> float:
    edge = 0.5 / max(units, 1.0)
    return level if level > 1 else max(level, edge) * max(1 - level, edge)


def _where(
    siblings: pd.DataFrame | None, segment: str, first: pd.Timestamp, end: pd.Timestamp, direction: str
) -> dict[str, object]:
    nowhere: dict[str, object] = {
        "likely_segment": "",
        "likely_expected": None,
        "likely_observed": None,
        "likely_share": None,
        "likely_p": None,
        "also": "",
    }
    if siblings is None or siblings.empty:
        return nowhere
    is_count = bool(siblings["denominator"].isna().all())
    cuts = siblings[siblings["segment"].str.contains("=", regex=False)]
    before, after = _windows(cuts, first, end)
    kind = cuts["segment"].str.partition("=")[0]
    sign = -1.0 if direction == "down" else 1.0
    found: list[tuple[float, str, _Change, float, float]] = []
    looked = 0
    for cut, names in cuts.groupby(kind)["segment"]:
        if cut == segment.partition("=")[0]:
            continue
        changes = {}
        for name in sorted(set(names)):
            own = (before[before["segment"] == name], after[after["segment"] == name])
            change = _change(*own, first, is_count)
            if change is not None:
                changes[name] = change
        looked += len(changes)
        everything = sum(max(sign * each.excess, 0.0) for each in changes.values())
        for name, each in changes.items():
            others = [other for label, other in changes.items() if label != name]
            p = _unlike(each, others)
            share = sign * each.excess / everything if everything > 0 else 0.0
            if sign * each.z > 0 and share >= MOST:
                found.append((abs(each.z), name, each, p, share))
    found = [(z, name, each, min(p * looked, 1.0), share) for z, name, each, p, share in found]
    found = sorted((each for each in found if each[3] < SIGNIFICANT), key=lambda each: (-each[0], each[1]))
    if not found:
        return nowhere
    _, name, change, p, share = found[0]
    seen, also = {name.partition("=")[0]}, []
    for _, other, _, _, part in found[1:]:
        if other.partition("=")[0] not in seen:
            seen.add(other.partition("=")[0])
            also.append(f"{other} ({part:.0%})")
    return {
        "likely_segment": name,
        "likely_expected": change.expected,
        "likely_observed": change.observed,
        "likely_share": share,
        "likely_p": p,
        "also": ", ".join(also),
    }


def _change(before: pd.DataFrame, after: pd.DataFrame, first: pd.Timestamp, is_count: bool) -> _Change | None:
    if len(before) < 14 or (after.empty and not is_count):
        return None
    hits = before["numerator"].to_numpy(dtype=np.float64)
    if is_count:
        # A segment that vanished has no rows left to say so.
        days = max(len(after), 1)
        mean, variance = float(hits.mean()), max(float(hits.var(ddof=1)), float(hits.mean()), 0.25)
        observed = float(after["numerator"].sum())
        spread = np.sqrt(variance * days * (1 + days / len(before)))
        return _Change(mean, observed / days, observed - days * mean, float(spread), max(days * mean, 0.5))
    units = before["denominator"].to_numpy(dtype=np.float64)
    n, x = float(after["denominator"].sum()), float(after["numerator"].sum())
    if units.sum() <= 0 or n <= 0:
        return None
    level = hits.sum() / units.sum()
    unit = _unit_variance(level, units.sum())
    on = units > 0
    over = max(float((((hits - units * level)[on] ** 2) / (units[on] * unit)).mean()), 1.0)
    # At the observed rate where that is wider: a baseline of all or nothing has hardly any variance.
    unit = max(unit, _unit_variance(x / n, n) if x <= n else x / n)
    spread = np.sqrt(over * unit * n * (1 + n / units.sum()))
    return _Change(level, x / n, x - n * level, float(spread), n)


def _unlike(own: _Change, others: list[_Change]) -> float:
    """Two-sided p that a segment changed by as much, per unit of its own, as the rest of its cut."""
    if not others:
        return 1.0
    base = sum(other.base for other in others)
    rest = sum(other.excess for other in others) / base
    spread = np.sqrt((own.spread / own.base) ** 2 + sum(other.spread**2 for other in others) / base**2)
    return float(2 * norm.sf(abs(own.excess / own.base - rest) / spread)) if spread > 0 else 1.0


def _upstream(changes: pd.DataFrame | None, low: pd.Timestamp, high: pd.Timestamp) -> list[str]:
    if changes is None or changes.empty:
        return []
    on = pd.to_datetime(changes["occurred_on"])
    day = pd.Timedelta(days=1)
    near = changes[(on >= low - day) & (on <= high + day)].assign(on=on).sort_values(["on", "kind", "what"])
    return [f"{row['on']:%Y-%m-%d} {row['kind']}: {row['what']}" for row in near.to_dict("records")]


def _sentence(row: Mapping[str, Any], upstream: list[str]) -> str:
    def day(name: str) -> str:
        return f"{pd.Timestamp(row[name]):%Y-%m-%d}"

    span = day("first_bad_low") if row["first_bad_low"] == row["first_bad_high"] else ""
    since = span or f"{day('first_bad_on')} ({day('first_bad_low')} to {day('first_bad_high')})"
    text = f"{row['metric']} of {row['segment']} {row['expected']:.4g} → {row['observed']:.4g} since {since}"
    if row["likely_segment"]:
        text += (
            f"; {row['likely_share']:.0%} of it in {row['likely_segment']} "
            f"({row['likely_expected']:.3g} → {row['likely_observed']:.3g})"
        )
    return text + (f"; {'; '.join(upstream)}" if upstream else "")
