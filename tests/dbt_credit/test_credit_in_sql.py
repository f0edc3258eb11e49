"""Journeys and credit in SQL against the Python models, on one drawn world. Ten dbt runs, about 60 s."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attribution_platform.assets.credit import CONVERSIONS, JOURNEYS, TOUCHES
from attribution_platform.credit.assets_api import credit_from_paths, credit_from_people
from attribution_platform.credit.eligibility import ALL_TOUCHES, Eligibility, keep_eligible
from attribution_platform.credit.journeys import Conversions, Touches, build_journeys
from attribution_platform.credit.paths import Paths
from attribution_platform.credit.rules import CustomWeights, RuleOptions, rule_weights
from tests.dbt_credit.chain import (
    CHANNELS,
    LONGEST_PATH,
    LOOKBACK,
    VARIABLES,
    Drawn,
    build,
    draw,
    fill,
    make_chain,
    seeds_as_frame,
)
from tests.dbt_marts.upstream import Layer

RULES = tuple(VARIABLES["rule_models"])
MIN_CONVERSIONS = 20


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw()


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, drawn: Drawn) -> Layer:
    """Built as the platform does it: journeys and paths, Python's weights, credit."""
    layer = make_chain(tmp_path_factory.mktemp("credit") / "project")
    fill(layer, drawn.tables())
    build(layer, "+touchpoints +conversions")
    paths = layer.query("select * from core.credit_paths order by path_id")
    channel_weights, path_weights = credit_from_paths(paths, min_conversions=MIN_CONVERSIONS, n_bootstrap=50)
    touches, conversions, journeys = (layer.query(sql) for sql in (TOUCHES, CONVERSIONS, JOURNEYS))
    hazard, touch_weights = credit_from_people(touches, conversions, journeys, min_conversions=MIN_CONVERSIONS)
    write_weights(layer, "credit_channel_weights", pd.concat([channel_weights, hazard]))
    write_weights(layer, "credit_path_weights", path_weights)
    write_weights(layer, "credit_touch_weights", touch_weights)
    build(layer, "attribution")
    return layer


def write_weights(layer: Layer, name: str, frame: pd.DataFrame) -> None:
    layer.execute("create schema if not exists credit")
    file = layer.folder / f"{name}.parquet"
    frame.to_parquet(file)
    layer.execute(f"create or replace table credit.{name} as select * from read_parquet('{file}')")


@pytest.fixture(scope="module")
def journeys(chain: Layer) -> pd.DataFrame:
    return chain.query("select * from core.fct_journey_touchpoints order by journey_id, position")


@pytest.fixture(scope="module")
def credit(chain: Layer) -> pd.DataFrame:
    return chain.query("select *, credited_revenue::double as revenue from core.fct_attribution_credit")


def as_paths(rows: pd.DataFrame) -> Paths:
    """Journeys in SQL's own order, for the Python rules."""
    lengths = rows.groupby("journey_id", sort=False).size().to_numpy()
    ones = np.ones(len(lengths))
    return Paths(
        channels=CHANNELS,
        codes=np.searchsorted(CHANNELS, rows["channel"].to_numpy(str)).astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        conversions=ones,
        nulls=0 * ones,
        revenue=ones,
        hours=rows["hours_before_conversion"].to_numpy(float),
    )


def python_journeys(drawn: Drawn, conversion_type: str, eligibility: Eligibility) -> pd.DataFrame:
    """One row a touch of every journey, as the Python builder finds them."""
    sessions = drawn.sessions[drawn.sessions["channel"] != "Internal"]
    bought = drawn.conversions[drawn.conversions["type"] == conversion_type]
    people = sorted({*sessions["person"], *bought["person"]})
    campaign, campaigns = pd.factorize(sessions["campaign"].fillna(""))

    def micros(moments: pd.Series) -> np.ndarray:
        return moments.astype("datetime64[us]").astype("int64").to_numpy()

    built = build_journeys(
        Touches(
            np.searchsorted(people, sessions["person"]),
            micros(sessions["at"]),
            np.searchsorted(CHANNELS, sessions["channel"].to_numpy(str)),
            np.zeros(len(sessions), np.int64),
        ),
        Conversions(np.searchsorted(people, bought["person"]), micros(bought["at"]), bought["revenue"].to_numpy(float)),
        list(CHANNELS),
        LOOKBACK[conversion_type],
    )
    expected = keep_eligible(built, campaign.astype(np.int64), list(campaigns), eligibility)
    rows = expected.paths.row_of_touch
    converts = rows < len(expected.conversion)
    conversion = np.full(len(rows), "open", dtype=object)
    conversion[converts] = bought["conversion_id"].to_numpy()[expected.conversion[rows[converts]]]
    return pd.DataFrame(
        {
            "person": np.array(people)[expected.paths.person[rows]],
            "conversion": conversion,
            "session": np.where(expected.touch < 0, "none", sessions["session_id"].to_numpy()[expected.touch]),
            "channel": np.array(expected.paths.channels)[expected.paths.codes],
            "hours": np.where(converts, expected.paths.hours, np.nan),
        }
    )


def sql_journeys(chain: Layer, conversion_type: str) -> pd.DataFrame:
    return chain.query(
        f"""select j.canonical_user_id as person, coalesce(c.source_id, 'open') as conversion,
            coalesce(t.session_id, 'none') as session, j.channel, j.hours_before_conversion as hours
        from core.fct_journey_touchpoints as j
        left join core.fct_touchpoints as t using (touchpoint_id)
        left join core.fct_conversions as c using (conversion_id)
        where j.conversion_type = '{conversion_type}'"""
    )


def assert_same_journeys(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    keys = ["person", "conversion", "session"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), wanted.sort_values(keys, ignore_index=True), check_dtype=False
    )


@pytest.mark.parametrize("conversion_type", sorted(LOOKBACK))
def test_journeys_hold_the_touches_the_python_builder_finds(chain, drawn, conversion_type):
    found = sql_journeys(chain, conversion_type)
    assert len(found) > 20
    assert_same_journeys(found, python_journeys(drawn, conversion_type, ALL_TOUCHES))


FILTERS: dict[str, dict[str, Any]] = {
    "no direct, two steps": {"exclude_channels": ["direct"], "lookback_steps": 2},
    "two channels, first of each": {"include_channels": ["Email", "Paid Search"], "path_transform": "first"},
    "campaigns, runs merged": {
        "include_campaigns": ["^brand", "sale"],
        "exclude_campaigns": ["4$"],
        "path_transform": "exposure",
    },
}


@pytest.mark.parametrize("asked", FILTERS.values(), ids=FILTERS)
def test_left_out_touches_earn_nothing_and_no_conversion_is_lost(chain, drawn, tmp_path, asked):
    layer = chain.copy_to(tmp_path / "project")
    layer.execute("drop table credit.credit_path_weights")
    layer.execute("drop table credit.credit_touch_weights")
    # The two sides order touches of one instant differently, and which of them is among the last two would differ.
    moments = drawn.sessions["at"] + pd.to_timedelta(np.arange(len(drawn.sessions)), unit="s")
    drawn = Drawn(drawn.sessions.assign(at=moments), drawn.conversions)
    fill(layer, drawn.tables())
    build(layer, "fct_touchpoints+", **asked)
    wanted = dict(asked)
    transform = wanted.pop("path_transform", "unique")
    steps = wanted.pop("lookback_steps", None)
    eligibility = Eligibility(
        **{name: tuple(values) for name, values in wanted.items()}, lookback_steps=steps, transform=transform
    )
    for conversion_type in LOOKBACK:
        expected = python_journeys(drawn, conversion_type, eligibility)
        assert "Unattributed" in set(expected["channel"]) or conversion_type == "rare"
        assert_same_journeys(sql_journeys(layer, conversion_type), expected)
    sums = layer.query(
        """select model_type, sum(credit) as credit, sum(credited_revenue) - (select sum(revenue) from core.fct_conversions)
            as revenue_lost, (select count(*) from core.fct_conversions) as conversions
        from core.fct_attribution_credit group by model_type"""
    )
    assert set(sums["model_type"]) == set(RULES)
    np.testing.assert_allclose(sums["credit"], sums["conversions"], rtol=1e-12)
    assert (sums["revenue_lost"].astype(float) == 0).all()


def test_a_frequency_path_names_how_often(chain, tmp_path):
    layer = chain.copy_to(tmp_path / "project")
    build(layer, "fct_journey_touchpoints int_credit__journey_paths credit_paths", path_transform="frequency")
    counted = layer.query(
        """with steps as (select conversion_type, unnest(string_split(path, ' > ')) as step, conversions + non_conversions as n
            from core.credit_paths)
        select conversion_type, sum(n * regexp_extract(step, '[(]([0-9]+)[)]$', 1)::int) as touches from steps group by 1"""
    ).set_index("conversion_type")["touches"]
    before = chain.query("select conversion_type, count(*) as n from core.fct_journey_touchpoints group by 1")
    assert counted.to_dict() == before.set_index("conversion_type")["n"].to_dict()


@pytest.mark.parametrize("model", RULES)
def test_rules_in_sql_and_python_agree(journeys, credit, model):
    rows = journeys[journeys["is_converting"]]
    options = RuleOptions(
        half_life_days=VARIABLES["half_life_days"], custom=CustomWeights(**VARIABLES["custom_weights"])
    )
    wanted = rows[["conversion_id", "touchpoint_id"]].assign(weight=rule_weights(model, as_paths(rows), options))
    found = credit[credit["model_type"] == model]
    both = wanted.merge(found, on=["conversion_id", "touchpoint_id"], how="outer", indicator=True)
    assert (both["_merge"] != "right_only").all()
    # Touches without credit have no row.
    np.testing.assert_allclose(both["credit"].fillna(0), both["weight"], atol=1e-12)


def test_data_driven_credit_is_the_path_weights(chain, journeys, credit):
    weights = chain.query("select * from credit.credit_path_weights where weight > 0")
    paths = chain.query("select journey_id, path_id, skipped from intermediate.int_credit__journey_paths")
    rows = journeys[journeys["is_converting"]].merge(paths, on="journey_id")
    rows["position"] -= rows["skipped"]
    wanted = rows.merge(weights, on=["path_id", "position"])
    found = credit[credit["model_type"].isin(["markov", "shapley"])]
    both = wanted.merge(found, on=["conversion_id", "touchpoint_id", "model_type"], how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    np.testing.assert_allclose(both["credit"], both["weight"], atol=1e-12)
    # Too few conversions of this type: the models said so, and neither guessed.
    assert set(found["conversion_type"]) == {"buy", "call"}


def test_touch_weights_reach_the_touches_and_their_totals_the_channels(chain, credit):
    weights = chain.query("select * from credit.credit_touch_weights where weight > 0")
    found = credit[credit["model_type"] == "hazard"]
    both = weights.merge(found, on=["conversion_id", "touchpoint_id", "model_type"], how="outer", indicator=True)
    assert (both["_merge"] == "both").all()
    np.testing.assert_allclose(both["credit"], both["weight"], atol=1e-12)
    assert set(found["conversion_type"]) == {"buy", "call"}
    totals = chain.query(
        "select conversion_type, channel, conversions::double as n from credit.credit_channel_weights "
        "where model_type = 'hazard' and status = 'ok'"
    ).set_index(["conversion_type", "channel"])["n"]
    sums = found.groupby(["conversion_type", "channel"])["credit"].sum().reindex(totals.index).fillna(0.0)
    assert sums.groupby("conversion_type").sum().round(6).equals(totals.groupby("conversion_type").sum().round(6))
    withheld = chain.query("select status from credit.credit_channel_weights where conversion_type = 'rare'")
    assert withheld["status"].str.startswith("insufficient data: needs 20 conversions, has ").all()


def test_credit_and_revenue_add_up_under_every_model(chain, credit):
    happened = chain.query("select conversion_id, revenue::double as wanted from core.fct_conversions")
    sums = credit.groupby(["model_type", "conversion_id"], as_index=False)[["credit", "revenue"]].sum()
    np.testing.assert_allclose(sums["credit"], 1, atol=1e-12)
    exact = chain.query(
        """select sum(c.credited_revenue) - any_value(f.revenue) as left_over
        from core.fct_attribution_credit as c join core.fct_conversions as f using (conversion_id)
        group by c.conversion_id, c.model_type"""
    )
    assert (exact["left_over"] == 0).all()
    per_model = sums.groupby("model_type").size()
    assert (per_model[list(RULES)] == len(happened)).all()
    enough = chain.query("select count(*) as n from core.fct_conversions where conversion_type <> 'rare'")["n"][0]
    assert (per_model[["markov", "shapley"]] == enough).all()
    assert (happened["wanted"] < 0).any(), "a refund is among the drawn conversions"


def test_a_long_journey_keeps_its_last_hundred_touches_in_paths_and_all_of_them_in_rules(chain, credit):
    longest = chain.query("select max(journey_length) as n from core.fct_journey_touchpoints where is_converting")["n"][
        0
    ]
    paths = chain.query("select path, path_length from core.credit_paths order by path_length desc")
    assert longest > LONGEST_PATH
    assert paths["path_length"][0] == LONGEST_PATH
    assert (paths["path"].str.count(" > ") + 1 == paths["path_length"]).all()
    assert (credit[credit["model_type"] == "linear"].groupby("conversion_id").size()).max() == longest


def test_paths_count_every_journey_once(chain, journeys):
    paths = chain.query(
        "select conversion_type, conversions, non_conversions, revenue::double as revenue from core.credit_paths"
    )
    found = paths.groupby("conversion_type").sum()
    each = journeys.drop_duplicates("journey_id").groupby("conversion_type")["is_converting"]
    assert found["conversions"].to_dict() == each.sum().to_dict()
    assert found["non_conversions"].to_dict() == (each.size() - each.sum()).to_dict()
    revenue = chain.query("select sum(revenue)::double as revenue from core.fct_conversions")["revenue"][0]
    assert found["revenue"].sum() == pytest.approx(revenue, abs=1e-6)


def test_revenue_is_converted_at_the_last_rate_known(chain, drawn):
    rates = seeds_as_frame()
    rates = rates[rates["currency"] == "USD"].rename(columns={"rate_to_eur": "rate"})
    rows = drawn.conversions.sort_values("at")
    rows = pd.merge_asof(rows, rates[["rate_on", "rate"]], left_on="at", right_on="rate_on")
    wanted = (rows["revenue"] * rows["rate"].where(rows["currency"] == "USD", 1.0)).round(6)
    found = chain.query("select source_id, revenue::double as revenue, product from core.fct_conversions")
    found = found.set_index("source_id").loc[rows["conversion_id"]]
    np.testing.assert_allclose(found["revenue"], wanted, atol=1e-6)
    assert set(found["product"][(rows["type"] == "call").to_numpy()]) == {"phone"}


def test_the_comparison_has_every_model_and_its_distance(chain, credit):
    mart = chain.query("select * from marts.mart_attribution__model_comparison")
    cells = credit.assign(product=credit["product"].fillna("(none)")).pivot_table(
        index=["converted_on", "channel", "product", "conversion_type"],
        columns="model_type",
        values="credit",
        aggfunc="sum",
        fill_value=0,
    )
    # Where a model was silent on a type, its zeros are nulls.
    cells.loc[cells.index.get_level_values("conversion_type") == "rare", ["markov", "shapley", "hazard"]] = np.nan
    mart = mart.set_index(["date_on", "channel", "product", "conversion_type"]).loc[cells.index]
    np.testing.assert_allclose(mart[cells.columns].to_numpy(float), cells.to_numpy(float), atol=1e-8)
    wanted = (cells.max(axis=1) - cells.min(axis=1)) / cells.mean(axis=1)
    np.testing.assert_allclose(mart["divergence_score"], wanted, atol=1e-6)


def test_without_a_row_everything_builds_and_credits_nothing(tmp_path):
    layer = make_chain(tmp_path / "project")
    fill(layer, {})
    build(layer, "+attribution")
    for table in ("core.fct_attribution_credit", "core.credit_paths", "marts.mart_attribution__model_comparison"):
        assert layer.query(f"select count(*) as n from {table}")["n"][0] == 0


def test_every_invariant_notices_its_breach(chain, tmp_path):
    broken = chain.copy_to(tmp_path / "project")
    for sql in (
        "update core.fct_conversions set revenue = null, original_currency = 'XAU' where source_id = 'c1'",
        "delete from core.fct_journey_touchpoints where conversion_id = (select conversion_id from "
        "core.fct_conversions where source_id = 'c2')",
        "update core.fct_journey_touchpoints set hours_before_conversion = -1 where conversion_id = (select "
        "conversion_id from core.fct_conversions where source_id = 'c3')",
        "update core.fct_journey_touchpoints set position = position + 1 where conversion_id is null",
        "update core.fct_attribution_credit set credit = credit + 0.001 where model_type = 'linear'",
        "update core.fct_attribution_credit set credit = -0.1, credited_revenue = credited_revenue + 0.000001 "
        "where model_type = 'time_decay'",
        "delete from core.fct_attribution_credit where model_type = 'first_touch' and conversion_id = (select "
        "min(conversion_id) from core.fct_attribution_credit)",
        "update credit.credit_path_weights set weight = weight * 0.9",
    ):
        broken.execute(sql)
    outcome = broken.dbt("test", "test_type:singular", VARIABLES)
    assert outcome.code != 0
    failed = set(re.findall(r"Failure in test (\w+)", outcome.text))
    assert failed == {
        "assert_comparison_mart_conserves_credit_and_revenue",
        "assert_credit_sums_to_one_per_conversion_and_model",
        "assert_credited_revenue_equals_revenue",
        "assert_every_conversion_has_a_journey",
        "assert_every_currency_has_a_rate",
        "assert_every_model_credits_all_conversions_of_a_type_or_none",
        "assert_no_credit_is_negative",
        "assert_no_touchpoint_after_its_conversion",
        "assert_path_weights_sum_to_one",
        "assert_positions_of_a_journey_have_no_gap",
    }, outcome.text[-3000:]
