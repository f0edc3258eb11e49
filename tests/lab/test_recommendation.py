"""The measured recommendation: from the shipped table, with its match in words. About 5 s."""

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.paths import parse_paths
from attribution_platform.credit.recommend import recommend, recommend_measured
from attribution_platform.credit.registry import MODELS
from attribution_platform.credit.resemblance import FEATURES, journey_features
from attribution_platform.lab.results import provenance, shipped_looks, shipped_scores
from attribution_platform.lab.score import journeys_of
from attribution_platform.lab.worlds import WORLDS
from attribution_platform.recommendation import recommendations
from dlt_pipelines.sandbox.behaviour import simulate


@pytest.fixture(scope="module")
def harvesting():
    return journeys_of(simulate(WORLDS["demand_harvesting"].draw(12_000, 7)), 90).paths


def test_the_shipped_table_says_where_it_comes_from_and_has_every_world_apart():
    scores = shipped_scores()
    assert set(scores["world"]) <= set(WORLDS)
    assert set(scores["kind"]) == {world.kind for world in WORLDS.values()}
    assert (scores.groupby("kind")["model"].nunique() > 20).all()
    for world, seen in scores.groupby("world")["seen"].first().items():
        assert WORLDS[str(world)].seen == seen
    assert {"hazard", "markov", "shapley", "last_touch", "linear"} <= set(scores["model"]) & set(MODELS)
    # A game that is not monotone can be any distance off: only the sign is sure.
    assert (scores["half_l1"] >= 0).all()
    source = provenance(scores)
    assert (source.people, source.worlds) == (60_000, scores["world"].nunique())
    assert "simulated worlds of 60,000 people, version " in str(source)
    looks = shipped_looks()
    assert set(FEATURES) <= set(looks.columns)
    assert looks["kind"].value_counts().min() >= 2


def test_a_world_is_recognised_and_gets_what_was_best_there(harvesting):
    scores = shipped_scores()
    found = recommend_measured(harvesting, scores, shipped_looks(), ["linear", "markov", "hazard"], "here")
    assert "`demand_harvesting`" in str(found)
    kind = scores[(scores["kind"] == "demand_harvesting") & scores["model"].isin(["linear", "markov", "hazard"])]
    assert found.model == kind.sort_values("half_l1")["model"].iloc[0]
    assert "the nearest kind is the right one" in str(found)
    assert str(found).endswith("Measured on here.")
    few = recommend_measured(harvesting, scores, shipped_looks(), ["linear"], "here")
    assert few.model == "linear"
    assert recommend_measured(harvesting, scores, shipped_looks(), [], "here") is None


def test_what_looks_like_no_world_says_so(harvesting):
    far = shipped_looks().copy()
    far[list(FEATURES)] += 100 * far[list(FEATURES)].std() + 100
    found = recommend_measured(harvesting, shipped_scores(), far, ["linear", "markov"], "here")
    assert "look like no world of the lab" in str(found)


def test_paths_without_times_get_no_measured_recommendation():
    paths = parse_paths(["a > b"], [10.0])
    assert recommend_measured(paths, shipped_scores(), shipped_looks(), ["linear"], "here") is None
    with pytest.raises(ValueError, match="when they were touched"):
        journey_features(paths)


class Tables:
    """Answers the queries of the recommendation from one set of journeys."""

    def __init__(self, paths, organisation=None):
        self.touches = pd.DataFrame(
            {
                "journey_id": [f"{row:032x}" for row in paths.row_of_touch],
                "conversion_type": "buy",
                "channel": [paths.channels[code] for code in paths.codes],
                "position": paths.position + 1,
                "hours_before_conversion": paths.hours,
                "origin": "session",
                "is_converting": paths.conversions[paths.row_of_touch] > 0,
            }
        )
        self.count = int(paths.total_conversions)
        self.organisations = self.count if organisation else 0

    def query(self, sql):
        if "distinct journey_id" in sql:
            return pd.DataFrame({"conversion_type": ["buy"], "journeys": [self.touches["journey_id"].nunique()]})
        if "fct_journey_touchpoints" in sql:
            assert "journey_id < 'g'" in sql
            return self.touches
        if "fct_conversions" in sql:
            days = (pd.Timestamp("2026-01-01"), pd.Timestamp("2026-04-01"))
            columns = ["conversion_type", "conversions", "first_at", "last_at", "organisations"]
            return pd.DataFrame([["buy", self.count, *days, self.organisations]], columns=columns)
        return pd.DataFrame({"conversion_type": "buy", "model_type": ["linear", "last_touch"]})


def test_the_warehouses_journeys_give_what_the_files_do(harvesting):
    (row,) = recommendations(Tables(harvesting)).itertuples()
    usable = ["linear", "last_touch"]
    direct = recommend_measured(
        harvesting, shipped_scores(), shipped_looks(), usable, str(provenance(shipped_scores()))
    )
    assert row.measured == str(direct)
    firsts = harvesting.offsets[:-1][harvesting.conversions > 0]
    days = float(np.median(harvesting.hours[firsts])) / 24
    months = 90 / 30.4375
    assert row.by_rule == str(recommend(harvesting.total_conversions / months, days))
    (account,) = recommendations(Tables(harvesting, organisation=True)).itertuples()
    assert account.by_rule == str(recommend(harvesting.total_conversions / months, days, b2b=True))
