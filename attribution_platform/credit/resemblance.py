"""What can be seen of a set of journeys, in numbers that know neither channel names nor volume.

The truth lab measures them on its worlds; whoever has data of their own measures them there, and the nearest kind of world
says which model to expect most of. Seeing is not knowing: worlds with different causes can look alike, which is why a
match states its distance and how often such a match was right in the lab.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from attribution_platform.credit.paths import Floats, Paths

FEATURES = (
    "log_length",
    "longer_if_converting",
    "repeat_rate",
    "concentration",
    "direct_closing",
    "closing_shift",
    "opening_shift",
    "log_days_since_last",
    "last_day_share",
    "last_week_share",
    "log_days_between",
    "untouched",
)


def journey_features(paths: Paths) -> dict[str, float]:
    """Features of journeys that know the hours from each touch to their end.

    Args:
        paths: Rows of `build_journeys`; converting and lost. Needs `hours`.

    Returns:
        `log_length` mean touches of a converting journey (log); `longer_if_converting` its ratio to a lost one (log);
        `repeat_rate` share of steps that stay on a channel; `concentration` share of the most used channel;
        `direct_closing` how much more often Direct comes last than at all; `closing_shift`, `opening_shift` distance of
        the last (first) channels of converting journeys to all their touches; `log_days_since_last` median days from last
        touch to conversion; `last_day_share`, `last_week_share` of the touches of converting journeys;
        `log_days_between` median days between their touches; `untouched` share of conversions without a touch.

    Raises:
        ValueError: No journey converts, or times are unknown.
    """
    if paths.hours is None or not (paths.conversions > 0).any():
        raise ValueError("resemblance needs converting journeys that know when they were touched")
    won = paths.converting()
    assert won.hours is not None
    lost = paths.lengths[paths.conversions <= 0]
    count = len(paths.channels)
    ends = won.offsets[1:] - 1
    # A conversion that nothing preceded is one touch of Direct at its own instant.
    untouched = (won.lengths == 1) & (won.hours[ends] == 0.0)
    real = ~untouched[won.row_of_touch]
    mix = _shares(won.codes[real], count)
    last, first = _shares(won.codes[ends[~untouched]], count), _shares(won.codes[won.offsets[:-1][~untouched]], count)
    direct = np.array([name.casefold() in ("direct", "(direct)") for name in paths.channels])
    inner = np.flatnonzero(won.row_of_touch[1:] == won.row_of_touch[:-1]) + 1
    gaps = (won.hours[inner - 1] - won.hours[inner]) / 24.0
    days = won.hours[real] / 24.0
    since = won.hours[ends[~untouched]] / 24.0
    length = won.lengths[~untouched]
    own = float(length.mean()) if len(length) else 1.0
    return {
        "log_length": float(np.log(own)),
        "longer_if_converting": float(np.log(own / max(float(lost.mean()), 1e-9))) if len(lost) else 0.0,
        "repeat_rate": float((won.codes[inner] == won.codes[inner - 1]).mean()) if len(inner) else 0.0,
        "concentration": float(mix.max(initial=0.0)),
        "direct_closing": float((last - mix)[direct].sum()),
        "closing_shift": float(np.abs(last - mix).sum() / 2),
        "opening_shift": float(np.abs(first - mix).sum() / 2),
        "log_days_since_last": float(np.log1p(np.median(since))) if len(since) else 0.0,
        "last_day_share": float((days < 1.0).mean()) if len(days) else 0.0,
        "last_week_share": float((days < 7.0).mean()) if len(days) else 0.0,
        "log_days_between": float(np.log1p(np.median(gaps))) if len(gaps) else 0.0,
        "untouched": float(untouched.mean()),
    }


def _shares(codes: np.ndarray, count: int) -> Floats:
    found = np.bincount(codes, minlength=count).astype(np.float64)
    return found / max(float(found.sum()), 1.0)


@dataclass(frozen=True)
class Match:
    """The kind of lab world that journeys look most like.

    Attributes:
        kind: Its name.
        distance: Root mean squared difference of the features, each in units of its spread over the lab's worlds.
        typical: The same between a world of this kind and the centre of the others of its kind.
        hit_rate: How often the nearest kind was the right one when each world of the lab was looked up among the others.
        worlds: Worlds of this kind in the lab.
    """

    kind: str
    distance: float
    typical: float
    hit_rate: float
    worlds: int

    @property
    def close(self) -> bool:
        """Whether the journeys lie about as near as the kind's own worlds do; small data lie further off by chance."""
        return self.distance <= 3.0 * self.typical


def nearest_kind(features: dict[str, float], lab: pd.DataFrame) -> Match:
    """Find the kind of world whose centre is nearest.

    Args:
        features: Of `journey_features`.
        lab: One row a world: kind, and a column for each of `FEATURES`.
    """
    names = [name for name in FEATURES if name in lab.columns]
    table = lab[names].to_numpy(np.float64)
    spread = table.std(axis=0)
    names = [name for name, wide in zip(names, spread, strict=True) if wide > 1e-9]
    table, spread = table[:, spread > 1e-9], spread[spread > 1e-9]
    scaled = table / spread
    kinds = lab["kind"].to_numpy(dtype=object)
    mine = np.array([features[name] for name in names]) / spread
    centres = _centres(scaled, kinds)
    distance = {kind: _distance(mine, centre) for kind, centre in centres.items()}
    kind = min(distance, key=lambda name: (distance[name], name))
    hits, own = [], []
    for row in range(len(lab)):
        if (kinds == kinds[row]).sum() < 2:
            continue
        others = np.arange(len(lab)) != row
        away = {
            name: _distance(scaled[row], centre) for name, centre in _centres(scaled[others], kinds[others]).items()
        }
        hits.append(min(away, key=lambda name: (away[name], name)) == kinds[row])
        if kinds[row] == kind:
            own.append(away[kind])
    typical = float(np.mean(own)) if own else float("nan")
    return Match(
        kind, distance[kind], typical, float(np.mean(hits)) if hits else float("nan"), int((kinds == kind).sum())
    )


def _centres(scaled: Floats, kinds: np.ndarray) -> dict[str, Floats]:
    return {str(kind): scaled[kinds == kind].mean(axis=0) for kind in sorted(set(kinds))}


def _distance(left: Floats, right: Floats) -> float:
    return float(np.sqrt(np.mean((left - right) ** 2)))


def best_models(scores: pd.DataFrame, kind: str, usable: Sequence[str]) -> pd.Series:
    """Mean distance to the truth of each usable model in the worlds of one kind, best first.

    Args:
        scores: kind, model, half_l1.
    """
    rows = scores[(scores["kind"] == kind) & scores["model"].isin(list(usable)) & scores["half_l1"].notna()]
    return rows.groupby("model")["half_l1"].mean().sort_values(kind="stable")
