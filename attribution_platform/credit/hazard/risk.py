"""Risk sets: each conversion beside people who could have converted at that very moment and did not.

Nested case-control sampling (Thomas 1977; Goldstein & Langholz 1992): the partial likelihood of Cox's model with each
risk set cut down to the case and m controls drawn from it. Trend, season, weekday and hour are the same for everybody in
a set and drop out without being modelled. The variance is that of the full cohort times about (m + 1) / m at the null.
"""

from dataclasses import dataclass

import numpy as np

from attribution_platform.credit.hazard.people import PersonTime
from attribution_platform.credit.paths import Floats, Ints


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
    """Draw `controls` for each of at most `max_sets` conversions, evenly spaced over their order in time."""
    rng = np.random.default_rng([seed, 11])
    cases = np.lexsort((people.case_person, people.case_time))
    if len(cases) > max_sets:
        cases = cases[np.linspace(0, len(cases) - 1, max_sets).round().astype(np.int64)]
    when = people.case_time[cases][:, None]
    own = people.case_person[cases][:, None]
    everyone = people.people + people.unseen
    leave = np.append(people.exit, np.inf)
    shape = (len(cases), controls)
    drawn = np.minimum(rng.integers(0, max(everyone, 1), shape), people.people)
    for _ in range(50):
        bad = (leave[drawn] < when) | (drawn == own)
        if not bad.any():
            break
        drawn[bad] = np.minimum(rng.integers(0, max(everyone, 1), int(bad.sum())), people.people)
    person = np.concatenate([own, drawn], axis=1)
    return RiskSets(cases, person.ravel(), np.repeat(when.ravel(), controls + 1), controls + 1)


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
