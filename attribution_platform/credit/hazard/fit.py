"""The hazard of conversion and its posterior.

    log relative hazard = link(sum_c b_c G_c(h_c, k_c) + sum_ab q_ab P_a P_b) + sum_c d_c F_c
                          + log E[exp(g z) | what was seen before]

b_c >= 0 is the response to one fresh touch, h_c its half-life, k_c its saturation, q_ab >= 0 what two channels do together
and neither alone (P = 1 - exp(-exposure), most pairs having none), d_c >= 0 the excess of touches in the
last day over what the decay explains (a symptom of the conversion, never credited), g the pull of intent. The link runs
from exp (k = 0: effects multiply) to 1 + x (k = 1: effects add), log(1 + k x) / k between them (Box & Cox 1964).

Half-life, saturation and link are not chosen but averaged over, by Metropolis-within-Gibbs on Cox's partial likelihood.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attribution_platform.credit.hazard.exposures import HALF_LIVES, SATURATIONS, Exposures, saturate
from attribution_platform.credit.paths import Floats

Singles = NDArray[np.float32]
LINKS = (0.0, 0.33, 0.67, 1.0)
NO_SYMPTOM = 0.7
PAIRS_EXPECTED = 0.5  # interactions, before the data speak
PAIR_SCALE = 1.5  # mean log response to both channels fully present, where there is one
PAIR_MOVES = 3
MAX_EFFECT = 6.0  # log response to one touch, 400-fold; little data would let the walk run into overflow


@dataclass(frozen=True)
class Draw:
    """One draw of the posterior. Arrays have shape (channels,)."""

    effect: NDArray[np.float64]
    half_life: NDArray[np.int64]
    saturation: NDArray[np.int64]
    symptom: NDArray[np.float64]
    pairs: dict[tuple[int, int], float]
    link: float
    intent: int
    log_likelihood: float


def response(e: float, link: float) -> float:
    """What a log response of e adds before the link."""
    return e if link == 0 else float(np.expm1(link * e) / link)


class Sampler:
    """Posterior draws for given rows.

    Args:
        rows: Exposures of the rows of risk sets, case first.
        size: Rows a set.
        intent: Log mean intent of each row for each strength of its pull. Shape (strengths, rows).
        intent_prior: Log prior of each strength. Shape (strengths,).
        expected: Touches expected in the step of each row. Shape (rows, channels).
        null_prior: Prior probability that a channel has no effect of its own. Shape (channels,).
    """

    def __init__(
        self,
        rows: Exposures,
        size: int,
        intent: Singles,
        intent_prior: Floats,
        expected: Singles,
        null_prior: Floats,
        seed: int,
    ) -> None:
        self.rng = np.random.default_rng([seed, 23])
        channels, _, count = rows.levels.shape
        self.size, self.sets, self.channels = size, count // size, channels
        self.intent, self.intent_prior = intent, intent_prior
        self.fresh = [np.flatnonzero(row) for row in rows.fresh]
        self.expected = [np.clip(expected[rows_, c], 1e-5, 0.9) for c, rows_ in enumerate(self.fresh)]
        self.null_prior = null_prior
        # Stored as (channel, half-life, saturation) -> response to the exposure, 1 for a single fresh touch.
        self.shape = np.empty((channels, len(HALF_LIVES), len(SATURATIONS), count), np.float32)
        for k, limit in enumerate(SATURATIONS):
            unit = float(saturate(np.ones(1), limit)[0])
            self.shape[:, :, k] = saturate(rows.levels, limit) / np.float32(unit)
        self.levels = rows.levels
        self._presence: dict[tuple[int, int], NDArray[np.float32]] = {}
        able = np.flatnonzero(null_prior < 0.5).tolist()
        self.all_pairs = [(a, b) for a in able for b in able if a < b]
        chance = min(PAIRS_EXPECTED / max(len(self.all_pairs), 1), 0.3)
        self.pair_odds = np.log(chance / (1 - chance))
        self.pairs: dict[tuple[int, int], float] = {}
        self.e = np.full(channels, 0.3)  # log response to one fresh touch
        self.h = np.full(channels, 4)
        self.k = np.full(channels, 2)
        self.d = np.zeros(channels)
        self.common = 0.0
        self.any_fresh = rows.fresh.sum(axis=0)
        self.link = 0.0
        self.g = len(intent_prior) // 2 if len(intent_prior) > 1 else 0
        self.scale = 1.0
        self.step = np.full(channels, 0.4)
        self.offset = intent[self.g].copy()
        self.lift = np.zeros(count, np.float32)
        for c in range(channels):
            self.lift += self._part(c, self.e[c], self.h[c], self.k[c], self.link)
        self.ll = self._ll(self.lift, self.offset, self.link)

    def _part(self, c: int, e: float, h: int, k: int, link: float) -> NDArray[np.float32]:
        return np.float32(response(e, link)) * self.shape[c, h, k]

    def _present(self, c: int, h: int) -> NDArray[np.float32]:
        if (c, h) not in self._presence:
            self._presence[c, h] = -np.expm1(-self.levels[c, h])
        return self._presence[c, h]

    def _joint(self, pair: tuple[int, int], q: float, link: float) -> NDArray[np.float32]:
        a, b = pair
        return np.float32(response(q, link)) * self._present(a, self.h[a]) * self._present(b, self.h[b])

    def _ll(self, lift: Singles, offset: Singles, link: float) -> float:
        eta = lift if link == 0 else np.log1p(np.float32(link) * lift) * np.float32(1 / link)
        eta = (eta + offset).reshape(self.sets, self.size)
        top = eta[:, 0]
        return -float(
            np.log(np.exp(np.minimum(eta - top[:, None], 60)).sum(axis=1, dtype=np.float32)).sum(dtype=np.float64)
        )

    def _accept(self, log_ratio: float) -> bool:
        return bool(np.log(self.rng.random()) < log_ratio)

    def _try_channel(self, c: int, e: float, h: int, k: int, log_ratio: float) -> bool:
        if e > MAX_EFFECT:
            return False
        lift = self.lift + (
            self._part(c, e, h, k, self.link) - self._part(c, self.e[c], self.h[c], self.k[c], self.link)
        )
        if h != self.h[c]:
            change = self._present(c, h) - self._present(c, self.h[c])
            for (a, b), q in self.pairs.items():
                if c in (a, b):
                    other = b if c == a else a
                    lift += np.float32(response(q, self.link)) * change * self._present(other, self.h[other])
        np.maximum(lift, 0, out=lift)
        ll = self._ll(lift, self.offset, self.link)
        if not self._accept(ll - self.ll + log_ratio):
            return False
        self.lift, self.ll, self.e[c], self.h[c], self.k[c] = lift, ll, e, h, k
        return True

    def _prior(self, c: int, e: float) -> float:
        null = self.null_prior[c]
        return np.log(null) if e == 0 else np.log(1 - null) - e / self.scale - np.log(self.scale)

    def sweep(self, adapt: bool) -> None:
        rng = self.rng
        for c in range(self.channels):
            old = self.e[c]
            # In and out of "no effect": the new effect comes from an exponential of its own width.
            width = 0.3
            if old == 0:
                e = rng.exponential(width)
                ratio = self._prior(c, e) - self._prior(c, 0) + e / width + np.log(width)
                self._try_channel(c, e, int(rng.integers(len(HALF_LIVES))), int(rng.integers(len(SATURATIONS))), ratio)
            elif rng.random() < 0.5 or old < 0.2:
                self._try_channel(
                    c, 0.0, self.h[c], self.k[c], self._prior(c, 0) - self._prior(c, old) - old / width - np.log(width)
                )
            old = self.e[c]
            if old > 0:
                e = old * np.exp(self.step[c] * rng.standard_normal())
                done = self._try_channel(
                    c, e, self.h[c], self.k[c], self._prior(c, e) - self._prior(c, old) + np.log(e / old)
                )
                if adapt:
                    self.step[c] = np.clip(self.step[c] * np.exp(0.1 * (done - 0.35)), 0.03, 2.0)
                # A longer half-life goes with a smaller response, so that the total stays near.
                h = self.h[c] + (1 if rng.random() < 0.5 else -1)
                k = int(np.clip(self.k[c] + rng.integers(-1, 2), 0, len(SATURATIONS) - 1))
                if 0 <= h < len(HALF_LIVES):
                    factor = (HALF_LIVES[self.h[c]] / HALF_LIVES[h]) ** rng.choice([0.3, 0.7, 1.0])
                    e = self.e[c] * factor
                    # The power is drawn symmetrically for the way back, so only the scaling's Jacobian remains.
                    self._try_channel(c, e, h, k, self._prior(c, e) - self._prior(c, self.e[c]) + np.log(factor))
                k = int(rng.integers(len(SATURATIONS)))
                if k != self.k[c]:
                    self._try_channel(c, self.e[c], self.h[c], k, 0.0)
        for c in range(self.channels):
            self._try_symptom(c)
        for _ in range(min(PAIR_MOVES, len(self.all_pairs))):
            self._try_pair()
        self._try_common()
        self._try_link()
        self._try_intent()
        active = self.e[self.e > 0]
        self.scale = 1.0 / rng.gamma(2.0 + len(active), 1.0 / (1.0 + active.sum()))

    def _try_pair(self) -> None:
        """Birth of an interaction from its prior, death, or a step in its strength."""
        rng = self.rng
        pair = self.all_pairs[int(rng.integers(len(self.all_pairs)))]
        old = self.pairs.get(pair, 0.0)
        if old == 0:
            new, ratio = rng.exponential(PAIR_SCALE), self.pair_odds + np.log(0.5)
        elif rng.random() < 0.5:
            new, ratio = 0.0, -self.pair_odds - np.log(0.5)
        else:
            new = old * np.exp(0.3 * rng.standard_normal())
            ratio = (old - new) / PAIR_SCALE + np.log(new / old)
        if new > MAX_EFFECT:
            return
        lift = self.lift + self._joint(pair, new, self.link) - self._joint(pair, old, self.link)
        np.maximum(lift, 0, out=lift)
        ll = self._ll(lift, self.offset, self.link)
        if self._accept(ll - self.ll + ratio):
            self.lift, self.ll = lift, ll
            self.pairs = {**self.pairs, pair: new}
            if new == 0:
                del self.pairs[pair]

    def _symptom(self, c: int, s: float) -> NDArray[np.float32]:
        """Log likelihood ratio of a fresh touch, conversions bringing one of their own with probability s."""
        p = self.expected[c]
        return np.log1p(s * (1 - p) / p) - np.float32(np.log1p(-s))

    def _try_symptom(self, c: int) -> None:
        rng, old = self.rng, self.d[c]
        if not len(self.fresh[c]):
            return
        # Prior: none with probability NO_SYMPTOM, else Beta(1, 6).
        if old == 0:
            new = rng.beta(1, 6)
            ratio = np.log((1 - NO_SYMPTOM) / NO_SYMPTOM * 0.3)
        elif rng.random() < 0.3:
            new, ratio = 0.0, np.log(NO_SYMPTOM / (1 - NO_SYMPTOM) / 0.3)
        else:
            new = abs(old + 0.03 * rng.standard_normal())
            if new >= 0.9:
                return
            ratio = 5 * (np.log1p(-new) - np.log1p(-old))
        offset = self.offset.copy()
        offset[self.fresh[c]] += self._symptom(c, new) - self._symptom(c, old)
        ll = self._ll(self.lift, offset, self.link)
        if self._accept(ll - self.ll + ratio):
            self.offset, self.ll, self.d[c] = offset, ll, new

    def _try_common(self) -> None:
        new = self.common + 0.08 * self.rng.standard_normal()
        offset = self.offset + np.float32(new - self.common) * self.any_fresh
        ll = self._ll(self.lift, offset, self.link)
        if self._accept(ll - self.ll + (self.common**2 - new**2) / (2 * 0.3**2)):
            self.offset, self.ll, self.common = offset, ll, new

    def _try_link(self) -> None:
        place = LINKS.index(self.link) + (1 if self.rng.random() < 0.5 else -1)
        if not 0 <= place < len(LINKS):
            return
        link = LINKS[place]
        lift = np.zeros_like(self.lift)
        for c in np.flatnonzero(self.e > 0).tolist():
            lift += self._part(c, self.e[c], self.h[c], self.k[c], link)
        for pair, q in self.pairs.items():
            lift += self._joint(pair, q, link)
        ll = self._ll(lift, self.offset, link)
        if self._accept(ll - self.ll):
            self.lift, self.ll, self.link = lift, ll, link

    def _try_intent(self) -> None:
        if len(self.intent_prior) < 2:
            return
        g = self.g + (1 if self.rng.random() < 0.5 else -1)
        if not 0 <= g < len(self.intent_prior):
            return
        offset = self.offset + (self.intent[g] - self.intent[self.g])
        ll = self._ll(self.lift, offset, self.link)
        if self._accept(ll - self.ll + self.intent_prior[g] - self.intent_prior[self.g]):
            self.offset, self.ll, self.g = offset, ll, g

    def run(self, burn: int, keep: int, thin: int) -> list[Draw]:
        draws = []
        for _ in range(15):
            for c in range(self.channels):
                self._try_symptom(c)
        for number in range(burn + keep * thin):
            self.sweep(adapt=number < burn)
            if number >= burn and (number - burn) % thin == thin - 1:
                draws.append(self._draw())
        return draws

    def _draw(self) -> Draw:
        now = (self.e.copy(), self.h.copy(), self.k.copy(), self.d.copy(), dict(self.pairs))
        return Draw(*now, self.link, self.g, self.ll)
