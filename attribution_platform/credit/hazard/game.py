"""Who caused the conversions: the Shapley value of the counterfactual game that a fitted hazard implies.

Under a coalition S, only its touches exist, and of those only the ones that would have come about without the others. The
hazard at the moment of an observed conversion would have been lower; v(S) sums its ratio to what it was. v(nobody) is
what would have happened anyway and belongs to no channel.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from attribution_platform.credit.hazard.exposures import FRESH_DAYS, HALF_LIVES, SATURATIONS, remaining, saturate
from attribution_platform.credit.hazard.fit import Draw, response
from attribution_platform.credit.hazard.people import PersonTime
from attribution_platform.credit.hazard.risk import touches_before
from attribution_platform.credit.paths import Floats, Ints

EXACT_CHANNELS = 8
PERMUTATIONS = 12


@dataclass(frozen=True)
class Coalitions:
    """Coalitions to evaluate and the linear map from their worths to credit.

    Attributes:
        member: Whether a channel is in a coalition. Shape (coalitions, channels).
        weights: Credit is `weights @ worths`. Shape (channels, coalitions).
    """

    member: NDArray[np.bool_]
    weights: Floats


def coalitions(channels: int, seed: int) -> Coalitions:
    """All of them up to EXACT_CHANNELS; else those along random orders and their reverses (Castro et al. 2009)."""
    if channels <= EXACT_CHANNELS:
        masks = np.arange(1 << channels)
        member = (masks[:, None] >> np.arange(channels) & 1).astype(bool)
        size = member.sum(axis=1)
        weights = np.zeros((channels, len(masks)))
        for c in range(channels):
            without = masks[~member[:, c]]
            gain = np.array([factorial(s) * factorial(channels - s - 1) / factorial(channels) for s in size[without]])
            weights[c, without] -= gain
            weights[c, without | 1 << c] += gain
        return Coalitions(member, weights)
    rng = np.random.default_rng([seed, 37])
    rows, entries = [], []
    for _ in range(PERMUTATIONS // 2):
        order = rng.permutation(channels)
        for way in (order, order[::-1]):
            inside = np.zeros(channels, bool)
            rows.append(inside.copy())
            for c in way:
                inside[c] = True
                rows.append(inside.copy())
                entries.append((c, len(rows) - 1, len(rows) - 2))
    weights = np.zeros((channels, len(rows)))
    for c, after, before in entries:
        weights[c, after] += 1.0 / PERMUTATIONS
        weights[c, before] -= 1.0 / PERMUTATIONS
    return Coalitions(np.array(rows), weights)


class Game:
    """The game over the observed conversions."""

    def __init__(
        self,
        people: PersonTime,
        case_person: Ints,
        case_time: Floats,
        exists: NDArray[np.float32],
        seat: Ints,
        table: Coalitions,
        expected: NDArray[np.float32],
    ) -> None:
        """Prepare the cases.

        Args:
            case_person, case_time: The conversions.
            exists: Chance that a touch exists, by coalition; `seat[touch]` is its row.
            expected: Touches expected at each case. Shape (cases, channels).
        """
        self.table, self.expected = table, expected
        self.case, touch = touches_before(people, case_person, case_time)
        self.age = case_time[self.case] - people.time[touch]
        self.channel = people.channel[touch]
        self.exists = exists[seat[touch]]
        self.cases = len(case_time)

    def credit(self, draw: Draw) -> Floats:
        """Caused share of each conversion by channel. Shape (cases, channels)."""
        count = len(self.table.member)
        lift = np.zeros((self.cases, count), np.float32)
        paired = {c for pair in draw.pairs for c in pair}
        presence: dict[int, tuple[Ints, NDArray[np.float32]]] = {}
        for c in sorted(paired.union(np.flatnonzero(draw.effect > 0).tolist())):
            mine = np.flatnonzero(self.channel == c)
            if not len(mine):
                continue
            who, row = np.unique(self.case[mine], return_inverse=True)
            kept = remaining(self.age[mine], HALF_LIVES[draw.half_life[c]]).astype(np.float32)
            if draw.symptom[c] > 0:
                # A fresh touch may be the conversion's own doing; that part of it never worked.
                p = np.clip(self.expected[self.case[mine], c], 1e-5, 0.9)
                real = np.where(self.age[mine] < FRESH_DAYS, p / (p + draw.symptom[c] * (1 - p)), 1.0)
                kept = kept * real.astype(np.float32)
            level = sp.csr_matrix((kept, (row, np.arange(len(mine)))), shape=(len(who), len(mine))) @ self.exists[mine]
            if c in paired:
                presence[c] = who, -np.expm1(-level)
            limit = SATURATIONS[draw.saturation[c]]
            unit = float(saturate(np.ones(1), limit)[0])
            lift[who] += np.float32(response(draw.effect[c], draw.link) / unit) * saturate(level, limit)
        for (a, b), strength in draw.pairs.items():
            if a in presence and b in presence:
                both, first, second = np.intersect1d(presence[a][0], presence[b][0], return_indices=True)
                together = presence[a][1][first] * presence[b][1][second]
                lift[both] += np.float32(response(strength, draw.link)) * together
        eta = lift if draw.link == 0 else np.log1p(draw.link * lift) / draw.link
        full = np.argmax(self.table.member.sum(axis=1))
        worth = np.exp(eta - eta[:, full : full + 1]).astype(np.float64)
        return worth @ self.table.weights.T
