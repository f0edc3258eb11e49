"""How touches come about: latent intent, each person's taste for each channel, and touches that cause touches.

    rate of channel c = gate * (mu_c * taste_ic * exp(p_c z_i(t)) + sum over channels l and kernels q of theta_lqc X_lq(t))

z = u + w: a constant part on a grid of levels with free weights, and a visit to the market (0 or b) that starts and ends
at constant rates: a hidden Markov model whose forward pass gives P(z | all touches so far) for every person and day.
Taste is gamma distributed, so the rate given the past is that of a negative binomial. X are decayed traces of earlier
touches (a Hawkes process, with the branching EM of Veen & Schoenberg 2008); a gate is open only for so many days after a
touch of an ungated channel (retargeting). What moves several channels at once, before and after alike, is intent; what
only ever follows is caused; what stays within a channel is taste.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from attribution_platform.credit.hazard.people import PersonTime, draw_lots
from attribution_platform.credit.paths import Floats, Ints

Singles = NDArray[np.float32]
# Step; then for every person the filtered states, rates by level, and, by channel, the factor of the market and caused rates.
Visit = Callable[[int, Singles, Singles, Singles, Singles], None]

LEVELS = np.array([-1.6, -0.8, 0.0, 0.8, 1.6])
TRACE_HALF_LIVES = (1.5, 7.0)
SPARSE = 4.0  # touches a cause must explain before it counts as one
GATE_COVERAGE = 0.995
MAX_GATE_DAYS = 45.0


@dataclass(frozen=True)
class Arrivals:
    """Fitted touch rates, per grid step.

    Attributes:
        rate: mu. Shape (channels,).
        pull: p, response to intent. Shape (channels,).
        taste: Shape of the gamma distribution of taste. Shape (channels,).
        causes: theta. Shape (kernels, channels of the cause, channels of the touch).
        levels: Weights of the constant levels of intent. Shape (levels,).
        boost: Intent of somebody in the market, above their constant level.
        enter, leave: Chance per step.
        gate: Days for which a gate stays open; 0 for none. Shape (channels,).
        step: Length of a step in days.
    """

    rate: Floats
    pull: Floats
    taste: Floats
    causes: Floats
    levels: Floats
    boost: float
    enter: float
    leave: float
    gate: Floats
    step: float

    @property
    def z(self) -> Floats:
        """Intent of each state. Shape (levels, 2)."""
        return LEVELS[:, None] + np.array([0.0, self.boost])[None, :]

    @property
    def openers(self) -> NDArray[np.bool_]:
        """Channels whose touches open gates."""
        return self.gate == 0


@dataclass(frozen=True)
class Grid:
    """Touches on a grid of steps, at most one a step and channel, ordered by step.

    Attributes:
        person, channel: Of each cell. Shape (cells,).
        start: Cells of step d are `start[d]:start[d + 1]`.
        last: Last step in which a person is watched. Shape (people,).
        weight: How many people each stands for. Shape (people,).
    """

    person: Ints
    channel: Ints
    start: Ints
    last: Ints
    weight: Floats

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.start) - 1


def step_length(days: float) -> float:
    """A day, longer for long histories and shorter for short ones, so that there are 30 to 120 steps."""
    return 1.0 if 30 <= days <= 120 else days / (30 if days < 30 else 120)


def grid_of(people: PersonTime, chosen: Ints | None = None, unseen: bool = True) -> Grid:
    """Cells of the chosen people (default: all), one more standing for everybody unseen."""
    step = step_length(people.days)
    steps = max(int(np.ceil(people.days / step)), 1)
    place = np.full(people.people, -1)
    chosen = np.arange(people.people) if chosen is None else chosen
    place[chosen] = np.arange(len(chosen))
    mine = place[people.person] >= 0
    person, channel = place[people.person[mine]], people.channel[mine]
    day = np.minimum((people.time[mine] / step).astype(np.int64), steps - 1)
    count, channels = len(chosen), len(people.channels)
    key = np.unique((day * (count + 1) + person) * channels + channel)
    who, channel = np.divmod(key, channels)
    day, person = np.divmod(who, count + 1)
    last = np.minimum((people.exit[chosen] / step).astype(np.int64), steps - 1)
    share = people.unseen * len(chosen) / max(people.people, 1) if unseen else 0.0
    return Grid(
        person=person,
        channel=channel,
        start=np.searchsorted(day, np.arange(steps + 1)),
        last=np.append(last, steps - 1),
        weight=np.append(np.ones(count), share),
    )


def find_gates(people: PersonTime) -> Floats:
    """Days after a touch of another channel within which alone a channel touches; 0 where it needs none.

    A channel is gated when practically each of its touches has such a touch before it while most person-time has not.
    """
    channels = len(people.channels)
    step = step_length(people.days)
    # On the grid that the gate is used on: in hours, a reach of seven days ends anywhere in the eighth.
    people = replace(people, time=np.floor(people.time / step) * step)
    gates = np.zeros(channels)
    candidates = np.zeros(channels, bool)
    for attempt in range(2):
        openers = ~candidates
        found = np.zeros(channels)
        for c in range(channels):
            if attempt and not candidates[c]:
                continue
            opening = openers[people.channel] & (people.channel != c)
            wait = _since_last(people, opening)
            mine = (people.channel == c) & (people.time > min(MAX_GATE_DAYS, people.days / 3))
            # Idle time of the other channels' touches is what waiting looks like without a gate.
            rest = opening & (people.time > min(MAX_GATE_DAYS, people.days / 3))
            if mine.sum() < 50 or rest.sum() < 50:
                continue
            width = np.quantile(wait[mine], GATE_COVERAGE, method="higher")
            if np.isfinite(width) and width <= MAX_GATE_DAYS and (wait[rest] <= width).mean() < 0.9:
                found[c] = width
        candidates = found > 0
        gates = found
        if not candidates.any() or candidates.all():
            break
    return np.zeros(channels) if candidates.all() else gates


def _since_last(people: PersonTime, opening: NDArray[np.bool_]) -> Floats:
    """Days since the person's last opening touch on an earlier instant; infinite where there is none."""
    count = len(people.time)
    index = np.where(opening, np.arange(count), -1)
    before = np.concatenate([[-1], np.maximum.accumulate(index)[:-1]]) if count else index
    own = before >= people.first_touch[people.person]
    return np.where(own, people.time - people.time[np.maximum(before, 0)], np.inf)


class Forward:
    """One forward pass over the grid; `visit(step, ...)` sees each step before its touches are taken in."""

    def __init__(self, grid: Grid, model: Arrivals, keep: bool = False) -> None:
        self.grid, self.model, self.keep = grid, model, keep
        self.count = len(grid.last)
        self.log_likelihood = 0.0

    def run(self, visit: Visit | None = None) -> "Forward":
        grid, model, count = self.grid, self.model, self.count
        channels = len(model.rate)
        levels = len(LEVELS)
        up = np.exp(model.pull * model.boost).astype(np.float32)
        base = (model.rate[:, None] * np.exp(model.pull[:, None] * LEVELS[None, :])).astype(np.float32)
        taste = model.taste[:, None].astype(np.float32)
        seen = np.zeros((count, channels), np.float32)
        # Time at the base rate, by channel: what was expected at a level is this times the level's rate.
        spent = np.zeros((count, channels), np.float32)
        # From own factors to the rate of any touch in each state, as one matrix product: sums over short axes are slow.
        any_touch = np.zeros((channels, levels, levels, 2), np.float32)
        for level in range(levels):
            any_touch[:, level, level] = base[:, level, None] * np.stack([np.ones_like(up), up], axis=1)
        traces = np.zeros((len(TRACE_HALF_LIVES), count, channels), np.float32)
        fade = np.exp2(-model.step / np.array(TRACE_HALF_LIVES)).astype(np.float32)
        opened = np.full(count, -1e9, np.float32)
        market = model.enter / (model.enter + model.leave)
        alpha = np.empty((count, levels, 2), np.float32)
        alpha[:] = (model.levels[:, None] * np.array([1 - market, market])[None, :]).astype(np.float32)
        causes = model.causes.astype(np.float32)
        if self.keep:
            self.alphas: list[Singles] = []
            self.emissions: list[Singles] = []
            self.rates: list[Singles] = []
            self.parts: list[tuple[Ints, Ints, Singles, Singles, Singles]] = []
            self.trace_sum = np.zeros((len(TRACE_HALF_LIVES), channels, channels))
        gated = np.flatnonzero(model.gate > 0)
        for day in range(grid.steps):
            if day:
                stay, come = alpha[:, :, 0] * np.float32(model.enter), alpha[:, :, 1] * np.float32(model.leave)
                alpha[:, :, 0] += come - stay
                alpha[:, :, 1] += stay - come
            own = spent[:, :, None] * base
            own += taste
            np.divide(taste + seen[:, :, None], own, out=own)
            gate = np.ones((count, channels), np.float32)
            for c in gated:
                gate[:, c] = (day - opened) * model.step <= model.gate[c] + 0.5 * model.step
            if len(gated):
                own *= gate[:, :, None]
            trig = np.zeros((count, channels), np.float32)
            for q in range(len(TRACE_HALF_LIVES)):
                trig += traces[q] @ causes[q]
            if len(gated):
                trig *= gate
            if visit is not None:
                visit(day, alpha, own * base, up, trig)
            emission = (own.reshape(count, -1) @ any_touch.reshape(channels * levels, levels * 2)).reshape(
                count, levels, 2
            )
            np.exp(-emission, out=emission)
            low, high = grid.start[day], grid.start[day + 1]
            who, channel = grid.person[low:high], grid.channel[low:high]
            rates = (own[who, channel] * base[channel])[:, :, None] * np.stack([np.ones_like(up), up], axis=1)[channel][
                :, None, :
            ]
            caused = trig[who, channel]
            # A cell is one touch or more: 1 - exp(-rate), where exp(-rate) is in the emission already.
            total = np.minimum(rates + caused[:, None, None] + np.float32(1e-9), np.float32(20.0))
            # A person may have several cells in a step: channel by channel, indices are unique.
            for each in range(channels):
                mine = channel == each
                emission[who[mine]] *= np.expm1(total[mine])
            out = grid.last < day
            if out.any():
                emission[out] = 1.0
            if self.keep:
                self.alphas.append(alpha.copy())
                self.emissions.append(emission)
                self.rates.append(own)
                self.parts.append((who, channel, rates, -np.expm1(-total), traces[:, who].copy()))
                watched = (~out)[:, None] * gate * grid.weight[:, None].astype(np.float32)
                for q in range(len(TRACE_HALF_LIVES)):
                    self.trace_sum[q] += traces[q].T @ watched
            alpha = alpha * emission
            norm = _total(alpha)
            alpha /= norm[:, None, None]
            # Caused touches are as likely in every state, so only the likelihood, not the filter, needs their rate.
            self.log_likelihood += float(((np.log(norm) - trig.sum(axis=1) * ~out) * grid.weight).sum())
            inside = alpha[:, :, 1].sum(axis=1)
            grow = (1 + inside[:, None] * (up - 1)[None, :]) * gate
            grow[out] = 0
            spent += grow
            mean_rate = (rates * alpha[who]).sum(axis=(1, 2))
            seen[who, channel] += mean_rate / -np.expm1(-mean_rate - caused - np.float32(1e-9))
            for q in range(len(TRACE_HALF_LIVES)):
                traces[q] *= fade[q]
                traces[q][who, channel] += 1
            if len(gated):
                opened[who[model.openers[channel]]] = day
        self.last_alpha, self.seen = alpha, seen
        self.expected: Singles = (spent[:, :, None] * base).astype(np.float32)
        return self


def _total(states: Singles) -> Singles:
    """Sum over the states. Shape (people,)."""
    flat = states.reshape(len(states), -1)
    return flat @ np.ones(flat.shape[1], np.float32)


def _smooth(run: Forward, model: Arrivals) -> Iterator[tuple[int, Singles]]:
    """Backward pass: step and posterior of the states, last step first. Shape (people, levels, 2)."""
    steps = run.grid.steps
    beta = np.ones_like(run.last_alpha)
    for day in range(steps - 1, -1, -1):
        ahead = run.emissions[day] * beta
        post = run.alphas[day] * ahead
        post /= _total(post)[:, None, None]
        yield day, post
        back = np.empty_like(ahead)
        back[:, :, 0] = ahead[:, :, 0] * (1 - model.enter) + ahead[:, :, 1] * model.enter
        back[:, :, 1] = ahead[:, :, 1] * (1 - model.leave) + ahead[:, :, 0] * model.leave
        back /= _total(back)[:, None, None]
        beta = back


def _m_step(run: Forward, model: Arrivals) -> Arrivals:
    grid = run.grid
    channels, levels = len(model.rate), len(LEVELS)
    touches = np.zeros((channels, levels, 2))
    exposure = np.zeros((channels, levels, 2))
    fired = np.zeros_like(model.causes)
    weight = grid.weight.astype(np.float32)
    first = run.last_alpha
    flips = np.zeros(2)
    time_in = np.zeros(2)
    later: Singles | None = None
    for day, post in _smooth(run, model):
        watched = (weight * (grid.last >= day))[:, None, None]
        held = post * watched
        exposure += np.einsum("icu,iuw->cuw", run.rates[day], held, optimize=True)
        who, channel, rates, chance, traces = run.parts[day]
        state = post[who]
        by_base = state * rates / chance
        for c in range(channels):
            mine = channel == c
            touches[c] += by_base[mine].sum(axis=0)
            if mine.any() and model.causes[:, :, c].any():
                # Share of each touch that each cause explains.
                scaled = (state[mine] / chance[mine]).sum(axis=(1, 2))
                fired[:, :, c] += np.einsum("qil,i->ql", traces[:, mine], scaled) * model.causes[:, :, c]
        if later is not None:
            # Expected switches between this step and the next.
            pair = run.alphas[day] * run.emissions[day]
            pair /= _total(pair)[:, None, None]
            out_of, within = pair[:, :, 0], pair[:, :, 1]
            outside = later[:, :, 0] / np.maximum(out_of * (1 - model.enter) + within * model.leave, 1e-30)
            inside = later[:, :, 1] / np.maximum(out_of * model.enter + within * (1 - model.leave), 1e-30)
            live = weight * (grid.last > day)
            flips[0] += model.enter * float(np.einsum("i,iu,iu->", live, out_of, inside))
            flips[1] += model.leave * float(np.einsum("i,iu,iu->", live, within, outside))
            time_in += np.einsum("i,iuw->w", live, post)
        later = post
        first = post
    z = model.z
    rate, pull = model.rate.copy(), model.pull.copy()
    for c in range(channels):
        rate[c], pull[c] = _two_rates(touches[c], exposure[c], z, pull[c])
    boost = _boost(touches, exposure, rate, pull, model.boost)
    prior = np.array([0.06, 0.24, 0.4, 0.24, 0.06]) * 20
    share = (first.sum(axis=2) * weight[:, None]).sum(axis=0) + prior
    theta = np.maximum(fired - SPARSE, 0.0) / np.maximum(run.trace_sum, 1e-9)
    for c in range(channels):
        theta[:, c, c] = np.minimum(theta[:, c, c], 0.5)
    people = grid.weight.sum()
    return replace(
        model,
        rate=rate,
        pull=pull,
        taste=_taste_shape(run, grid.weight, model.taste),
        causes=theta,
        levels=share / share.sum(),
        boost=boost,
        enter=float(np.clip((flips[0] + 0.002 * people) / (time_in[0] + 0.4 * people), 1e-4, 0.2)),
        leave=float(np.clip((flips[1] + 0.02 * people) / (time_in[1] + 0.2 * people), 0.02, 0.7)),
    )


def _two_rates(touches: Floats, exposure: Floats, z: Floats, pull: float) -> tuple[float, float]:
    """Poisson regression of touches on intent over the states: rate and pull, the pull with an exponential prior."""
    z, n, e = z.ravel(), touches.ravel(), exposure.ravel()
    total = n.sum()
    for _ in range(12):
        w = e * np.exp(pull * z)
        mean = (w * z).sum() / w.sum()
        variance = (w * z * z).sum() / w.sum() - mean**2
        # Profile likelihood in the pull; prior exp(-pull * SPARSE).
        slope = (n * z).sum() - total * mean - SPARSE
        pull = float(
            np.clip(pull + slope / (total * max(variance, 1e-3) + 1e-9), max(pull - 0.5, 0.0), min(pull + 0.5, 3.0))
        )
    rate = (total + 0.5) / ((e * np.exp(pull * z)).sum() + 1e-9)
    return float(rate), pull


def _taste_shape(run: Forward, weight: Floats, taste: Floats) -> Floats:
    """EM for the gamma shape: a person's taste given their level is gamma, and log t - psi(t) = E x - E log x - 1."""
    level = run.last_alpha.sum(axis=2)
    shape = taste + run.seen.astype(np.float64)
    scale = taste[:, None] + run.expected
    mean = shape * np.einsum("il,icl->ic", level, 1.0 / scale)
    mean_log = digamma(shape) - np.einsum("il,icl->ic", level, np.log(scale))
    k = np.maximum((weight @ (mean - mean_log)) / weight.sum() - 1.0, 1e-4)
    found = (3.0 - k + np.sqrt((k - 3.0) ** 2 + 24.0 * k)) / (12.0 * k)  # Minka (2002), then Newton
    for _ in range(3):
        found -= (np.log(found) - digamma(found) - k) / (1.0 / found - polygamma(1, found))
    return np.clip(found, 0.25, 60.0)


def _boost(touches: Floats, exposure: Floats, rate: Floats, pull: Floats, boost: float) -> float:
    n = touches[:, :, 1]
    for _ in range(8):
        m = exposure[:, :, 1] * rate[:, None] * np.exp(pull[:, None] * (LEVELS[None, :] + boost))
        slope = float((pull[:, None] * (n - m)).sum()) - 4.0 * (boost - 1.5)
        curve = float((pull[:, None] ** 2 * m).sum()) + 4.0
        boost = float(np.clip(boost + np.clip(slope / curve, -0.4, 0.4), 0.3, 4.0))
    return boost


def fit_arrivals(people: PersonTime, sample: int = 12_000, seed: int = 0) -> Arrivals:
    """Fit by EM on at most `sample` people, accelerated: SQUAREM, scheme S3 (Varadhan & Roland 2008).

    Intent shows itself slowly: plain EM was still moving the pulls after 60 steps. A cycle is three steps of EM, two to see
    where they lead and one from the point they point at. Most cycles run on a quarter of the people: the way is long, and
    few suffice to walk it.
    """
    order = np.argsort(draw_lots(people.lot, seed, 51))
    chosen = np.sort(order[:sample])
    grid = grid_of(people, chosen)
    channels = len(people.channels)
    step = step_length(people.days)
    watched = float(((grid.last + 1) * grid.weight).sum())
    cells = np.bincount(grid.channel, minlength=channels)
    gate = find_gates(people)
    rate = np.maximum(cells / watched, 1e-6)
    model = Arrivals(
        rate=np.where(gate > 0, np.minimum(rate * 5, 0.1), rate * 0.7),
        pull=np.full(channels, 0.5),
        taste=np.full(channels, 6.0),
        causes=np.full((len(TRACE_HALF_LIVES), channels, channels), 0.004) * step,
        levels=np.array([0.06, 0.24, 0.4, 0.24, 0.06]),
        boost=2.5,
        enter=0.006 * step,
        leave=min(0.1 * step, 0.5),
        gate=gate,
        step=step,
    )
    model = _climb(grid_of(people, np.sort(order[: max(len(chosen) // 4, 500)])), model, 6)
    # A cause too weak to show in a quarter gets another chance; EM never leaves zero.
    return _climb(grid, replace(model, causes=np.maximum(model.causes, 0.001 * step)), 4)


def _climb(grid: Grid, model: Arrivals, cycles: int) -> Arrivals:
    longest = 4.0
    for _ in range(cycles):
        one, _ = _em_step(grid, model)
        two, reached = _em_step(grid, one)
        start, first, second = _pack(model), _pack(one), _pack(two)
        change = first - start
        bend = second - first - change
        length = float(np.linalg.norm(change) / max(float(np.linalg.norm(bend)), 1e-9))
        length = min(max(length, 1.0), longest)
        ahead = _unpack(two, start + 2 * length * change + length**2 * bend)
        model, likelihood = _em_step(grid, ahead)
        if not likelihood > reached:
            model, longest = two, max(longest / 2, 1.0)
        elif length == longest:
            longest *= 4
    return model


def _em_step(grid: Grid, model: Arrivals) -> tuple[Arrivals, float]:
    """The next model, and the log likelihood of this one."""
    run = Forward(grid, model, keep=True).run()
    return _m_step(run, model), run.log_likelihood


def _pack(model: Arrivals) -> Floats:
    """What the acceleration moves, without bounds."""
    chances = np.array([model.enter, model.leave])
    return np.concatenate(
        [
            np.log(model.rate),
            model.pull,
            np.log(model.taste),
            np.log(model.levels),
            [np.log(model.boost)],
            np.log(chances / (1 - chances)),
        ]
    )


def _unpack(model: Arrivals, values: Floats) -> Arrivals:
    count, levels = len(model.rate), len(LEVELS)
    rate, pull, taste, share, rest = np.split(values, np.cumsum([count, count, count, levels]))
    share = np.exp(share - share.max())
    chances = 1 / (1 + np.exp(-rest[1:]))
    return replace(
        model,
        rate=np.exp(np.clip(rate, -16.0, 1.0)),
        # What EM holds at nothing stays there.
        pull=np.where(model.pull > 0, np.clip(pull, 0.0, 3.0), 0.0),
        taste=np.exp(np.clip(taste, -2.0, 4.0)),
        levels=share / share.sum(),
        boost=float(np.clip(np.exp(rest[0]), 0.3, 4.0)),
        enter=float(np.clip(chances[0], 1e-4, 0.2)),
        leave=float(np.clip(chances[1], 0.02, 0.7)),
    )
