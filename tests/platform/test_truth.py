import pandas as pd
import pytest

from attribution_platform.truth import half_l1, score_identity, score_models

TRUTH = pd.DataFrame(
    [
        ("device_id", "d1", "ann"),
        ("device_id", "d2", "ann"),
        ("device_id", "d3", "bob"),
        ("device_id", "d4", "eve"),
        ("user_id", "u1", "ann"),
        ("user_id", "u2", "bob"),
    ],
    columns=["identifier_type", "identifier", "person_id"],
)


def resolution(**devices: str) -> pd.DataFrame:
    return pd.DataFrame(
        [("device_id", device, person) for device, person in devices.items()],
        columns=["identifier_type", "identifier", "canonical_user_id"],
    )


def test_all_right():
    score = score_identity(resolution(d1="u1", d2="u1", d3="u2", d4="device:d4"), TRUTH)
    assert (score.devices, score.coverage, score.accuracy, score.people_correct) == (3, 1.0, 1.0, 1.0)


def test_an_unresolved_device_costs_coverage_and_its_person():
    score = score_identity(resolution(d1="u1", d2="device:d2", d3="u2"), TRUTH)
    assert score.coverage == pytest.approx(2 / 3)
    assert score.accuracy == 1.0
    assert score.people_correct == 0.5


def test_a_stolen_device_costs_both_people():
    score = score_identity(resolution(d1="u1", d2="u1", d3="u1"), TRUTH)
    assert score.accuracy == pytest.approx(2 / 3)
    assert score.people_correct == 0.0


def test_half_l1_counts_channels_only_one_side_knows():
    assert half_l1(pd.Series({"a": 1.0}), pd.Series({"b": 1.0})) == 1.0
    assert half_l1(pd.Series({"a": 0.5, "b": 0.5}), pd.Series({"a": 0.5, "b": 0.5})) == 0.0


def test_models_are_ranked_by_distance():
    credit = pd.DataFrame(
        [("good", "a", 6.0), ("good", "b", 4.0), ("bad", "a", 0.0), ("bad", "b", 10.0)],
        columns=["model_type", "channel", "conversions"],
    )
    scores = score_models(credit, pd.Series({"a": 0.5, "b": 0.5}))
    assert list(scores.index) == ["good", "bad"]
    assert scores["good"] == pytest.approx(0.1)
