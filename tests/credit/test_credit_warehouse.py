"""The tables the warehouse reads, and the recommendation rule."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from attribution_platform.credit.assets_api import CHANNEL_WEIGHT_TYPES, PATH_WEIGHT_TYPES, credit_from_paths
from attribution_platform.credit.recommend import recommend
from attribution_platform.credit.registry import MODELS, Model, register


@pytest.fixture
def paths_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "conversion_type": ["signup", "signup", "signup", "deal"],
            "path_id": ["p1", "p2", "p3", "p4"],
            "path": ["Email > Direct", "Direct", "Email", "Email > Email > Display"],
            "path_length": [2, 1, 1, 3],
            "conversions": [600, 500, 0, 5],
            "non_conversions": [100, 900, 300, 20],
            "revenue": [Decimal("600.50"), None, Decimal(0), Decimal("7.25")],
        }
    )


def test_weights_follow_the_table_contract(paths_frame):
    channels, paths = credit_from_paths(paths_frame, n_bootstrap=50)
    assert list(channels.columns) == list(CHANNEL_WEIGHT_TYPES)
    assert list(paths.columns) == list(PATH_WEIGHT_TYPES)
    enough = channels[channels["status"] == "ok"]
    assert set(enough["conversion_type"]) == {"signup"}
    totals = enough.groupby("model_type")[["weight", "conversions", "revenue"]].sum()
    np.testing.assert_allclose(totals.to_numpy(float), [[1, 1100, 600.5]] * 2)
    withheld = channels[channels["conversion_type"] == "deal"]
    assert withheld["status"].str.fullmatch("insufficient data: needs 1,000 conversions, has 5").all()
    assert withheld[["weight", "conversions", "ci_low", "removal_effect"]].isna().to_numpy().all()
    assert set(paths["path_id"]) == {"p1", "p2"}
    sums = paths.groupby(["model_type", "path_id"])["weight"].sum()
    np.testing.assert_allclose(sums.to_numpy(float), 1.0)
    assert sorted(paths[paths["path_id"] == "p1"]["position"].unique()) == [1, 2]


def test_no_paths_give_empty_typed_tables(paths_frame):
    channels, paths = credit_from_paths(paths_frame.head(0))
    assert len(channels) == len(paths) == 0
    assert list(channels.columns) == list(CHANNEL_WEIGHT_TYPES)


def test_the_order_of_paths_does_not_matter(paths_frame):
    one = credit_from_paths(paths_frame, min_conversions=1, n_bootstrap=50)
    two = credit_from_paths(paths_frame.iloc[::-1], min_conversions=1, n_bootstrap=50)
    pd.testing.assert_frame_equal(one[0], two[0])
    keys = ["model_type", "path_id", "position"]
    pd.testing.assert_frame_equal(
        one[1].sort_values(keys, ignore_index=True), two[1].sort_values(keys, ignore_index=True)
    )


def test_a_model_is_added_by_name_once():
    model = Model("tests_only", MODELS["linear"].run)
    register(model)
    try:
        with pytest.raises(ValueError, match="registered already"):
            register(model)
    finally:
        MODELS.pop("tests_only")


@pytest.mark.parametrize(
    ("per_month", "cycle", "b2b", "model"),
    [
        (99, 60, True, "last_touch"),
        (100, 31, True, "time_decay"),
        (5000, 31, False, "time_decay"),
        (5000, 30, True, "position_based"),
        (1001, 30, False, "markov"),
        (1000, 30, False, "linear"),
        (500, None, False, "linear"),
    ],
)
def test_recommendation_follows_the_rule_and_says_why(per_month, cycle, b2b, model):
    advice = recommend(per_month, cycle, b2b)
    assert advice.model == model
    assert f"{per_month:,} conversions a month" in " ".join(advice.reasons)
