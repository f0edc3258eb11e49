"""The quality report's figures: what the rules say of devices whose logins were hidden from them, and the shape of the clusters.

Pure: frames in, one long frame out. A rule is judged on devices whose user is known, which log in more than others do; on
those that never do it may fare worse.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from attribution_platform.identity.quality import Agreement, b_cubed, pairwise, wilson

COLUMN_TYPES: dict[str, str] = {
    "measure": "varchar",
    "match_tier": "varchar",
    "value": "double",
    "ci_low": "double",
    "ci_high": "double",
    "n": "bigint",
}
# Under this many held-out logins a share is printed nowhere without its interval, and no verdict is given.
MIN_HELD_OUT = 30
_GROUPS = 20


def quality_report(
    items: pd.DataFrame, tiers: pd.DataFrame, clusters: pd.DataFrame, churn: pd.DataFrame
) -> pd.DataFrame:
    """All figures in one frame of the columns of `COLUMN_TYPES`; `match_tier` is `all` where a figure is of no one tier.

    Args:
        items: devices: known_user_id, inferred_user_id, match_tier, is_held_out. Those not held out complete the clusters.
        tiers: match_tier, devices, of_users: all devices by the tier that decides them, and how many of them have a user.
        clusters: one row: largest, several_users, persons.
        churn: one row: compared, moved, found, separated identifiers since the last run; no row where there was none.
    """
    rows = [*_agreement(items), *_accuracy(items), *_coverage(tiers)]
    shape = clusters.iloc[0]
    persons = int(shape["persons"] or 0)
    rows.append(("largest_cluster", "all", float(shape["largest"] or 0), None, None, persons))
    rows.append(("clusters_with_two_users", "all", float(shape["several_users"] or 0), None, None, persons))
    for change in churn.to_dict("records"):
        compared = int(change["compared"] or 0)
        for name in ("moved", "found", "separated"):
            rows.append(_share(f"churn_{name}", "all", int(change[name] or 0), compared))
    return pd.DataFrame(rows, columns=list(COLUMN_TYPES))


def _share(measure: str, tier: str, successes: int, trials: int) -> tuple[str, str, float, float, float, int]:
    low, high = wilson(successes, trials)
    return measure, tier, successes / trials if trials else float("nan"), low, high, trials


def _accuracy(items: pd.DataFrame) -> list[tuple[str, str, float, float, float, int]]:
    held = items[items["is_held_out"]]
    named = held[~held["match_tier"].str.startswith("unresolved")]
    right = named["known_user_id"] == named["inferred_user_id"]
    rows = [
        _share("held_out_coverage", "all", len(named), len(held)),
        _share("held_out_accuracy", "all", int(right.sum()), len(named)),
    ]
    for tier, those in right.groupby(named["match_tier"]):
        rows.append(_share("held_out_accuracy", str(tier), int(those.sum()), len(those)))
    return rows


def _coverage(tiers: pd.DataFrame) -> list[tuple[str, str, float, float, float, int]]:
    devices = int(tiers["devices"].sum())
    rows = [_share("coverage", "all", int(tiers["of_users"].sum()), devices)]
    for tier, count in zip(tiers["match_tier"], tiers["devices"], strict=True):
        rows.append(_share("tier_share", str(tier), int(count), devices))
    return rows


def _agreement(items: pd.DataFrame) -> list[tuple[str, str, float, float | None, float | None, int]]:
    rows: list[tuple[str, str, float, float | None, float | None, int]] = []
    truth = items["known_user_id"].to_numpy()
    guess = items["inferred_user_id"].to_numpy()
    counted = items["is_held_out"].to_numpy(dtype=bool)
    group = pd.factorize(truth)[0] % _GROUPS
    for name, measure in (("pairwise", pairwise), ("b_cubed", b_cubed)):
        whole = measure(truth, guess, counted)
        spread = _standard_errors(measure, truth, guess, counted, group)
        for side, error, n in (
            ("precision", spread[0], whole.predicted),
            ("recall", spread[1], whole.actual),
        ):
            value = getattr(whole, side)
            known = np.isfinite(value) and np.isfinite(error)
            low = max(0.0, value - 1.96 * error) if known else None
            high = min(1.0, value + 1.96 * error) if known else None
            rows.append((f"{name}_{side}", "all", value, low, high, n))
    return rows


def _standard_errors(
    measure: Callable[..., Agreement], truth: np.ndarray, guess: np.ndarray, counted: np.ndarray, group: np.ndarray
) -> tuple[float, float]:
    """Delete-a-group jackknife over persons: pairs of one person are not independent, so counts alone give no interval."""
    if len(np.unique(group)) < _GROUPS:
        return float("nan"), float("nan")
    left_out = [measure(truth[group != g], guess[group != g], counted[group != g]) for g in range(_GROUPS)]
    sides = np.array([[one.precision, one.recall] for one in left_out])
    errors = np.sqrt((_GROUPS - 1) / _GROUPS * ((sides - sides.mean(axis=0)) ** 2).sum(axis=0))
    return float(errors[0]), float(errors[1])
