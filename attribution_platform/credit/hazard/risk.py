"""Risk sets: each conversion beside people who could have converted at that very moment and did not.

Nested case-control sampling (Thomas 1977; Goldstein & Langholz 1992): the partial likelihood of Cox's model with each
risk set cut down to the case and m controls drawn from it. Trend, season, weekday and hour are the same for everybody in
a set and drop out without being modelled. The variance is that of the full cohort times about (m + 1) / m at the null.
"""

from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.hazard.people import Lots, PersonTime, draw_lots
from attribution_platform.credit.paths import Floats, Ints

DRAWS = 1000  # where nobody else is left after so many, somebody who has left stands in


@dataclass(frozen=True)
class RiskSets:
    """Rows of person and moment; set s owns rows `s * size : (s + 1) * size`, the case first.

    Attributes:
        case: Conversion of each set. Shape (sets,).
        person: Of each row; `people.people` stands for anyone unseen. Shape (rows,).
        time: Moment of each row. Shape (rows,).
        size: Rows a set.
    """

    case: Ints
    person: Ints
    time: Floats
    size: int


def draw_risk_sets(people: PersonTime, controls: int, max_sets: int, seed: int) -> RiskSets:
    """Draw `controls` for each of at most `max_sets` conversions.

    Conversions and controls are chosen by lots of their own: when people and conversions join or leave, most of the others
    keep what they had. Drawn anew every day, shares of a demo world moved by .020 a day; now they move by .008
    (mean over eight channels and eleven days, another person in 200 left out each day).
    """
    cases = np.lexsort((people.case_person, people.case_time))
    lots = draw_lots(people.lot[people.case_person[cases]] + people.case_time[cases].view(np.uint64), seed, 11)
    if len(cases) > max_sets:
        kept = np.sort(np.argsort(lots)[:max_sets])
        cases, lots = cases[kept], lots[kept]
    own, when = people.case_person[cases], people.case_time[cases]
    person = np.concatenate([own[:, None], _controls(people, own, when, lots, controls)], axis=1)
    return RiskSets(cases, person.ravel(), np.repeat(when, controls + 1), controls + 1)


def _controls(people: PersonTime, own: Ints, when: Floats, lots: Lots, controls: int) -> Ints:
    """People drawn for each case, who did not leave before it. Shape (cases, controls)."""
    keys = (lots[:, None] + draw_lots(np.arange(controls, dtype=np.uint64), 0)).ravel()
    own, when = own.repeat(controls), when.repeat(controls)
    # Everybody sits in the seat of their lot; who draws an empty seat draws again. At most 1 in 16 finds theirs taken.
    seats = np.full(1 << (8 * people.people).bit_length(), -1, np.int32)
    seats[people.lot % np.uint64(len(seats))] = np.arange(people.people)
    everyone = people.people + people.unseen
    drawn = np.full(len(keys), people.people)
    open_ = np.flatnonzero(draw_lots(keys, 0) >= np.uint64(2**64 / everyone * people.unseen))
    for attempt in range(1, DRAWS):
        found = seats[draw_lots(keys[open_], attempt) % np.uint64(len(seats))]
        there = found >= 0
        drawn[open_[there]] = found[there]
        fits = there & (people.exit[found] >= when[open_]) & (found != own[open_])
        open_ = open_[~fits]
        if not len(open_):
            break
    return drawn.reshape(-1, controls)


def touches_before(people: PersonTime, person: Ints, time: Floats, reach: float = np.inf) -> tuple[Ints, Ints]:
    """Pairs (row, touch) of every touch of the row's person at or before the row's moment, at most `reach` days old."""
    first = np.append(people.first_touch, people.first_touch[-1])
    low, high = first[person], first[np.minimum(person + 1, people.people)]
    high = np.maximum(high, low)
    counts = high - low
    row = np.repeat(np.arange(len(person)), counts)
    touch = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
    age = time[row] - people.time[touch]
    keep = (age >= 0) & (age <= reach)
    return row[keep], touch[keep]
