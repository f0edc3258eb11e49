"""The hazard model from end to end: `fit_hazard(touches, conversions).credit()`."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from attribution_platform.credit.hazard.arrivals import TRACE_HALF_LIVES, Arrivals, fit_arrivals
from attribution_platform.credit.hazard.exposures import HALF_LIVES, Exposures, exposures, remaining
from attribution_platform.credit.hazard.fit import Draw, Sampler
from attribution_platform.credit.hazard.game import Game, coalitions
from attribution_platform.credit.hazard.people import HazardInputError, PersonTime, person_time
from attribution_platform.credit.hazard.risk import RiskSets, draw_risk_sets
from attribution_platform.credit.hazard.states import PULLS, moments, survival
from attribution_platform.credit.paths import Floats, Ints

REST = "(all other channels)"
NO_EFFECT = 0.1  # chance that a channel does nothing, before the data speak
# Draws know the luck of the conversions, not that the model is wrong. What they miss was measured where the truth is known
# (docs/credit-models.md): 90 % intervals of the draws alone held it in 69 % of 140 channels.
DRAWS_SPREAD = 1.3
MODEL_ERROR = 0.07  # standard deviations of sqrt(share (1 - share))


@dataclass(frozen=True)
class HazardOptions:
    """What a user may set.

    Attributes:
        people: How many people were watched, whether or not anything touched them; None estimates it.
        markers: Channels that are taken to have no effect of their own unless the data insist (names in any case).
        controls: People each conversion is compared with.
        max_cases: Conversions the fit and the game look at; past it, a random sample.
        max_people: People whose touches the arrival model is fitted to; past it, a random sample.
        max_channels: The most touched channels are players of their own; the rest play as one and share by touch.
        draws: Draws of the posterior that are kept.
        level: Coverage of the intervals.
        seed: Of everything random.
    """

    people: int | None = None
    markers: tuple[str, ...] = ("direct", "(direct)", "(none)")
    controls: int = 25
    max_cases: int = 6000
    max_people: int = 8000
    max_channels: int = 12
    draws: int = 60
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True)
class HazardFit:
    """A fitted model.

    Attributes:
        people: The person-time it was fitted to.
        players: Players of the game; `player_of[c]` is the player of channel c of `people`.
        arrivals: How touches come about.
        draws: The posterior of the hazard.
        caused: Caused conversions of each player in each draw, summed over the cases. Shape (draws, players).
        per_case: Caused share of each case by player, mean over the draws. Shape (cases, players).
        case: Conversion of each case. Shape (cases,).
    """

    people: PersonTime
    players: tuple[str, ...]
    player_of: Ints
    arrivals: Arrivals
    draws: list[Draw]
    caused: Floats
    per_case: Floats
    case: Ints
    options: HazardOptions = field(default_factory=HazardOptions)

    @property
    def conversions(self) -> int:
        """Conversions in the window."""
        return len(self.people.case_time)

    @property
    def shares(self) -> Floats:
        """Share of the caused conversions by player in each draw that has any. Shape (draws, players)."""
        caused = self.caused[self.caused.sum(axis=1) > 0]
        return caused / caused.sum(axis=1, keepdims=True) if len(caused) else np.zeros((1, len(self.players)))

    @property
    def share(self) -> Floats:
        """Share of the caused conversions by player: the mean of what each caused over the mean of what all did."""
        caused = self.caused.mean(axis=0)
        return caused / caused.sum() if caused.sum() > 0 else caused

    @property
    def baseline_share(self) -> float:
        """Share of the conversions that would have happened without any channel."""
        return float(1.0 - self.caused.sum(axis=1).mean() / max(len(self.case), 1))

    @property
    def intent_pull(self) -> float:
        """Posterior mean of how strongly intent raises the hazard, per standard deviation of its constant part."""
        return float(np.mean(PULLS[[draw.intent for draw in self.draws]]))

    def credit(self) -> pd.DataFrame:
        """Channels with `share` of the caused conversions, its interval, `conversions` (that share of all conversions) and
        `caused` (the conversions that would not have happened)."""
        share = self.share
        low, high = share_interval(share, self.shares, self.options.level)
        frame = pd.DataFrame(
            {
                "channel": self.players,
                "share": share,
                "share_low": low,
                "share_high": high,
                "conversions": share * self.conversions,
                "caused": self.caused.mean(axis=0) * self.conversions / max(len(self.case), 1),
            }
        )
        return frame.sort_values("channel", ignore_index=True)

    def diagnostics(self) -> pd.DataFrame:
        """By player: posterior means of the response, half-life, symptom and chance of having an effect; pull of intent."""
        effect = np.array([draw.effect for draw in self.draws])
        life = np.log(np.array(HALF_LIVES))[np.array([draw.half_life for draw in self.draws])]
        weight = effect + 1e-9
        return pd.DataFrame(
            {
                "channel": self.players,
                "response": effect.mean(axis=0),
                "half_life_days": np.exp((life * weight).sum(axis=0) / weight.sum(axis=0)),
                "chance_of_effect": (effect > 0).mean(axis=0),
                "closing": np.array([draw.symptom for draw in self.draws]).mean(axis=0),
                "intent_pull": self.arrivals.pull,
                "gate_days": self.arrivals.gate,
                "caused_by_others": _caused_by_others(self.arrivals),
            }
        ).sort_values("channel", ignore_index=True)

    def touch_strengths(self, channel: Ints, age: Floats) -> Floats:
        """Relative credit of touches in players' codes, `age` days before the conversion; comparable within a journey."""
        effect = np.array([draw.effect for draw in self.draws])
        present = np.maximum((self.per_case > 1e-6).sum(axis=0), 1)
        mean_credit = self.per_case.sum(axis=0) / present
        life = np.log(np.array(HALF_LIVES))[np.array([draw.half_life for draw in self.draws])]
        life = np.exp((life * (effect + 1e-9)).sum(axis=0) / (effect + 1e-9).sum(axis=0))
        out = np.zeros(len(channel))
        for c in range(len(self.players)):
            mine = channel == c
            out[mine] = mean_credit[c] * remaining(age[mine], float(life[c]))
        return out


def share_interval(share: Floats, draws: Floats, level: float) -> tuple[Floats, Floats]:
    """Ends of the interval of each share: the spread of the draws, widened by what they do not know.

    Args:
        share: Shape (channels,).
        draws: Shape (draws, channels).
        level: Coverage.
    """
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(draws, [tail, 100.0 - tail], axis=0)
    wrong = MODEL_ERROR * norm.ppf(0.5 + level / 2) * np.sqrt(np.clip(share * (1 - share), 0.0, None))
    below = np.hypot(DRAWS_SPREAD * np.maximum(share - low, 0.0), wrong)
    above = np.hypot(DRAWS_SPREAD * np.maximum(high - share, 0.0), wrong)
    return np.clip(share - below, 0.0, 1.0), np.clip(share + above, 0.0, 1.0)


def _caused_by_others(model: Arrivals) -> Floats:
    """Mean number of touches of a channel that one touch of each other channel brings about, summed over those channels."""
    mass = 1.0 / (1.0 - np.exp2(-model.step / np.array(TRACE_HALF_LIVES)))
    total = np.einsum("q,qlc->lc", mass, model.causes)
    np.fill_diagonal(total, 0.0)
    return np.asarray(total.sum(axis=0))


def _days(values: pd.Series, what: str) -> Floats:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64)
    try:
        stamps = pd.to_datetime(values, utc=True)
    except (ValueError, TypeError) as error:
        raise HazardInputError(f"{what}: time is neither a number of days nor a date ({error})") from None
    return stamps.astype("datetime64[us, UTC]").astype(np.int64).to_numpy() / 86_400e6


def fit_hazard(
    touches: pd.DataFrame,
    conversions: pd.DataFrame,
    *,
    start: float | pd.Timestamp | None = None,
    end: float | pd.Timestamp | None = None,
    options: HazardOptions = HazardOptions(),
) -> HazardFit:
    """Fit the incremental credit model.

    Args:
        touches: person, time (timestamps, or days as numbers), channel.
        conversions: person, time.
        start, end: Window in which both were recorded; by default that of the rows.
        options: See `HazardOptions`.

    Raises:
        HazardInputError: A column is missing, a time is none, or there are no touches or conversions.
    """
    for frame, needed, what in (
        (touches, ("person", "time", "channel"), "touches"),
        (conversions, ("person", "time"), "conversions"),
    ):
        missing = [name for name in needed if name not in frame.columns]
        if missing:
            raise HazardInputError(f"{what}: missing column {missing[0]!r}; the hazard model needs person and time")
    if not len(touches) or not len(conversions):
        raise HazardInputError("the hazard model needs touches and conversions, and one of the tables is empty")
    touches = touches.assign(time=_days(touches["time"], "touches"))
    conversions = conversions.assign(time=_days(conversions["time"], "conversions"))
    both = np.concatenate([touches["time"].to_numpy(), conversions["time"].to_numpy()])
    if not np.isfinite(both).all():
        raise HazardInputError("touches and conversions: every time must be a finite number of days or a date")
    first = float(np.floor(both.min())) if start is None else _moment(start)
    last = float(np.floor(both.max()) + 1.0) if end is None else _moment(end)
    people = person_time(touches, conversions, first, last, options.people)
    if not len(people.case_time) or not len(people.time):
        raise HazardInputError("there is no touch or no conversion between start and end")
    return fit_person_time(people, options)


def _moment(value: float | pd.Timestamp) -> float:
    return float(value) if isinstance(value, (int, float)) else float(_days(pd.Series([value]), "start and end")[0])


def fit_person_time(people: PersonTime, options: HazardOptions) -> HazardFit:
    """Fit to person-time in canonical form."""
    everything = people
    people, players, player_of = _merge_rare(people, options.max_channels)
    sets = draw_risk_sets(people, options.controls, options.max_cases, options.seed)
    rows = exposures(people, sets.person, sets.time)
    arrivals = fit_arrivals(people, sample=options.max_people, seed=options.seed)
    table = coalitions(len(players), options.seed)

    buyers = np.unique(people.case_person[sets.case])
    mine = np.flatnonzero(np.isin(people.person, buyers))
    case_person, case_time = people.case_person[sets.case], people.case_time[sets.case]
    seen = moments(
        people,
        arrivals,
        np.concatenate([sets.person, people.person[mine], case_person]),
        np.concatenate([sets.time, np.maximum(people.time[mine] - 1e-9, 0.0), case_time]),
    )
    count = len(sets.person)
    own = seen.expected[count : count + len(mine)][np.arange(len(mine)), people.channel[mine]]
    exists = survival(people, arrivals, mine, own, table.member)
    seat = np.full(len(people.person), -1)
    seat[mine] = np.arange(len(mine))

    draws = _posterior(people, sets, rows, seen.intent[:, :count], seen.expected[:count], players, options)
    game = Game(people, case_person, case_time, exists, seat, table, seen.expected[count + len(mine) :])
    per_case = np.zeros((len(sets.case), len(players)))
    caused = np.empty((len(draws), len(players)))
    for i, draw in enumerate(draws):
        credit = game.credit(draw)
        caused[i] = credit.sum(axis=0)
        per_case += credit / len(draws)
    return HazardFit(everything, players, player_of, arrivals, draws, caused, per_case, sets.case, options)


def _posterior(
    people: PersonTime,
    sets: RiskSets,
    rows: Exposures,
    intent: NDArray[np.float32],
    expected: NDArray[np.float32],
    players: tuple[str, ...],
    options: HazardOptions,
) -> list[Draw]:
    markers = {name.casefold() for name in options.markers}
    null = np.array([0.9 if name.casefold() in markers else NO_EFFECT for name in players])
    sampler = Sampler(rows, sets.size, intent, np.zeros(len(PULLS)), expected, null, options.seed)
    return sampler.run(burn=250, keep=options.draws, thin=5)


def _merge_rare(people: PersonTime, most: int) -> tuple[PersonTime, tuple[str, ...], Ints]:
    """Channels past the `most` used ones become one player. Channels come ordered by use."""
    count = len(people.channels)
    if count <= most:
        return people, people.channels, np.arange(count)
    player_of = np.minimum(np.arange(count), most - 1)
    players = (*people.channels[: most - 1], REST)
    return replace(people, channels=players, channel=player_of[people.channel]), players, player_of
