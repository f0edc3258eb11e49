"""The lab's scores, files and messages. About 20 s."""

import importlib

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from attribution_platform.cli import app
from attribution_platform.credit.journeys import Conversions, Touches, build_journeys
from attribution_platform.credit.resemblance import FEATURES, best_models, journey_features, nearest_kind
from attribution_platform.lab import peers
from attribution_platform.lab.run import LabError, lab_table, run_lab, withheld
from attribution_platform.lab.score import LabOptions, half_l1, journeys_of, truth_of
from attribution_platform.lab.worlds import WORLDS, choose_worlds
from dlt_pipelines.sandbox.behaviour import simulate

SMALL = LabOptions(people=2000, replicates=50)
HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def scores(tmp_path_factory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("lab")
    found = run_lab(
        worlds=["plain", "annoyance"],
        models=["linear", "markov", "participation"],
        options=LabOptions(people=2000, replicates=50, min_conversions=1),
        out=folder / "scores.csv",
        plot=folder / "scores.html",
    )
    pd.testing.assert_frame_equal(pd.read_csv(folder / "scores.csv"), found, check_dtype=False)
    page = (folder / "scores.html").read_text()
    assert "<script src=" not in page
    return found


def test_scores_are_distances_of_shares_to_the_worlds_own_truth(scores):
    config = WORLDS["plain"].draw(2000, 0)
    journeys = journeys_of(simulate(config), 90)
    shares, caused = truth_of(config, journeys.paths.channels)
    row = scores[(scores["world"] == "plain") & (scores["model"] == "linear")].iloc[0]
    weight = 1.0 / journeys.paths.lengths[journeys.paths.row_of_touch]
    by_hand = journeys.paths.credit_totals(weight, journeys.paths.conversions)
    assert row["half_l1"] == pytest.approx(half_l1(by_hand, shares), abs=1e-5)
    assert row["caused"] == pytest.approx(caused, abs=0.1)
    assert row["conversions"] == len(journeys.conversion)
    assert 0 <= row["coverage"] <= 1
    assert set(FEATURES) <= set(scores.columns)


def test_what_does_not_add_up_has_no_shares_to_score(scores):
    assert set(scores["model"]) == {"linear", "markov"}
    assert set(scores[~scores["seen"]]["world"]) == {"annoyance"}


def test_the_table_has_mean_and_largest_and_the_best_first(scores):
    table = lab_table(scores)
    assert list(table.columns[:3]) == ["mean", "max", "coverage"]
    assert table["mean"].is_monotonic_increasing
    np.testing.assert_allclose(table["max"], table[["plain", "annoyance"]].max(axis=1))


def test_the_same_run_gives_the_same_numbers(scores):
    again = run_lab(worlds=["plain"], models=["markov"], options=SMALL)
    before = scores[(scores["world"] == "plain") & (scores["model"] == "markov")]
    for column in ("half_l1", "coverage", "interval_width", *FEATURES):
        assert again[column].iloc[0] == before[column].iloc[0]


def test_draws_of_a_world_differ():
    first, second = (simulate(WORLDS["plain"].draw(1000, draw)).touches for draw in (0, 1))
    assert not first.equals(second)
    assert WORLDS["mixture_5000"].draw(1000, 1).channels != WORLDS["mixture_5000"].draw(1000, 0).channels


def test_the_default_is_what_models_were_developed_on():
    assert all(world.seen for world in choose_worlds([], unseen=False))
    assert {world.name for world in choose_worlds([], unseen=True)} == set(WORLDS)


def test_perfect_credit_scores_zero_and_disjoint_credit_one():
    truth = np.array([0.25, 0.75, 0.0])
    assert half_l1(4.0 * truth, truth) == 0.0
    assert half_l1(np.array([0.0, 0.0, 9.0]), truth) == 1.0


def test_a_withheld_number_says_why():
    found = run_lab(worlds=["plain"], models=["markov"], options=LabOptions(people=1000, min_conversions=1000))
    assert found["half_l1"].isna().all()
    assert withheld(found)[0].startswith("markov in plain: insufficient data: needs 1,000 conversions, has ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"worlds": ["plan"]}, "no world 'plan'; there are: plain, "),
        ({"models": ["markow"]}, "no credit model 'markow'"),
        ({"plot": "chart.gif"}, "ending in .png or .html"),
        ({"out": "nowhere/x.csv"}, "there is no folder"),
    ],
)
def test_a_wrong_request_says_what_to_change(arguments, message, tmp_path):
    given = {key: tmp_path / value if key in ("out", "plot") else value for key, value in arguments.items()}
    with pytest.raises(LabError, match=message):
        run_lab(options=SMALL, **given)


def test_peers_are_optional_and_scored_when_there(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(LabError, match="pip install ChannelAttribution"):
        run_lab(worlds=["plain"], peers=True, options=SMALL)

    class FakeChannelAttribution:
        @staticmethod
        def markov_model(table, *names, **settings):
            channels = sorted({name for path in table["path"] for name in path.split(" > ")})
            return pd.DataFrame({"channel_name": channels, "total_conversions": 1.0})

    monkeypatch.setattr(peers, "PACKAGES", {"ChannelAttribution": "ChannelAttribution"})
    monkeypatch.setattr(importlib, "import_module", lambda name: FakeChannelAttribution)
    found = run_lab(worlds=["plain"], models=["linear"], peers=True, options=SMALL)
    theirs = found[found["model"] == "ChannelAttribution_markov_1"].iloc[0]
    truth, _ = truth_of(WORLDS["plain"].draw(2000, 0), sorted(WORLDS["plain"].draw(2000, 0).channel_names))
    assert theirs["half_l1"] == pytest.approx(half_l1(np.ones(7), truth), abs=1e-5)


def test_the_command_prints_seen_and_kept_apart_worlds_in_tables_of_their_own():
    result = CliRunner().invoke(
        app, ["lab", "--worlds", "plain,seasonal", "--people", "1000", "--models", "linear,last_touch"]
    )
    assert result.exit_code == 0
    seen, apart = result.stdout.split("Worlds kept apart")
    assert "plain" in seen
    assert "seasonal" in apart
    assert "90% interval" in seen
    wrong = CliRunner().invoke(app, ["lab", "--worlds", "plan"])
    assert wrong.exit_code == 2


def journeys(rows, sold):
    """rows: person, hour, channel; sold: person, hour."""
    names = sorted({*(name for *_, name in rows), "Direct"})
    table = np.array([(person, hour, names.index(name)) for person, hour, name in rows])
    touches = Touches(table[:, 0], table[:, 1] * HOUR, table[:, 2], np.zeros(len(table), np.int64))
    bought = np.array(sold)
    conversions = Conversions(bought[:, 0], bought[:, 1] * HOUR, np.zeros(len(bought)))
    return build_journeys(touches, conversions, names, 90)


def test_features_of_journeys_by_hand():
    found = journey_features(
        journeys(
            [(1, 0, "A"), (1, 24, "A"), (1, 48, "Direct"), (2, 0, "B"), (3, 0, "B"), (3, 1, "A")],
            [(1, 60), (2, 240), (4, 5)],
        ).paths
    )
    assert set(found) == set(FEATURES)
    assert found["log_length"] == pytest.approx(np.log(2.0))
    assert found["repeat_rate"] == pytest.approx(0.5)
    assert found["concentration"] == pytest.approx(0.5)
    assert found["direct_closing"] == pytest.approx(0.5 - 0.25)
    assert found["untouched"] == pytest.approx(1 / 3)
    assert found["last_day_share"] == pytest.approx(1 / 4)
    assert found["log_days_since_last"] == pytest.approx(np.log1p(np.median([0.5, 10.0])))


def test_the_nearest_kind_is_found_with_its_distance_and_how_often_that_is_right():
    rng = np.random.default_rng(0)
    centres = {"calm": 0.0, "loud": 5.0}
    lab = pd.DataFrame(
        [
            {"kind": k, **dict.fromkeys(FEATURES, c) | {"log_length": c + rng.normal()}}
            for k, c in centres.items()
            for _ in "abc"
        ]
    )
    match = nearest_kind(dict.fromkeys(FEATURES, 4.5), lab)
    assert (match.kind, match.worlds, match.hit_rate) == ("loud", 3, 1.0)
    assert 0 < match.distance < 1
    scores = pd.DataFrame({"kind": "loud", "model": ["a", "b", "a", "c"], "half_l1": [0.2, 0.1, 0.4, 0.01]})
    assert best_models(scores, "loud", ["a", "b"]).to_dict() == {"b": 0.1, "a": pytest.approx(0.3)}
