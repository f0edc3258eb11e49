"""Journey states, their terms and their scores in SQL against the same written in pandas. Two dbt runs, about 25 s."""

import numpy as np
import pandas as pd
import pytest

from attribution_platform.assets.scoring import FEATURES, STATES
from attribution_platform.credit.scoring import INTERCEPT, fit_scoring, read_states
from tests.dbt_credit.chain import LOOKBACK, build, draw, fill, make_chain
from tests.dbt_marts.upstream import Layer

HORIZON = 10


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    layer = make_chain(tmp_path_factory.mktemp("scores") / "project")
    fill(layer, draw(people=300, seed=5).tables())
    build(layer, "+int_scoring__features", score_horizon_days=HORIZON)
    return layer


def by_hand(chain: Layer, kind: str, step: int) -> pd.DataFrame:
    touches = chain.query("select * from core.fct_touchpoints")
    sold = chain.query(f"select * from core.fct_conversions where conversion_type = '{kind}'")
    now = max(touches["occurred_at"].max(), chain.query("select max(converted_at) m from core.fct_conversions")["m"][0])
    moment = now - pd.Timedelta(days=HORIZON + 14 * (step - 1) if step else 0)
    rows = []
    for person, mine in touches.groupby("canonical_user_id"):
        own = sold[sold["canonical_user_id"] == person]
        before = own[own["converted_at"] <= moment]["converted_at"].max()
        seen = mine[
            (mine["occurred_at"] <= moment) & (mine["occurred_at"] > moment - pd.Timedelta(days=LOOKBACK[kind]))
        ]
        if pd.notna(before):
            seen = seen[seen["occurred_at"] > before]
        if not len(seen):
            continue
        after = own[(own["converted_at"] > moment) & (own["converted_at"] <= moment + pd.Timedelta(days=HORIZON))]
        rows.append(
            (person, len(seen), seen["occurred_at"].min(), pd.notna(before), bool(len(after)) if step else None)
        )
    return pd.DataFrame(rows, columns=["person", "touches", "first", "returning", "converts"])


@pytest.mark.parametrize(("kind", "step"), [("buy", 0), ("buy", 1), ("buy", 3), ("call", 2)])
def test_states_are_journeys_as_they_stood(chain, kind, step):
    expected = by_hand(chain, kind, step)
    found = chain.query(
        "select * from intermediate.int_scoring__states "
        f"where conversion_type = '{kind}' and step = {step} order by canonical_user_id"
    )
    assert found["canonical_user_id"].tolist() == expected["person"].tolist()
    assert found["touches"].tolist() == expected["touches"].tolist()
    assert found["first_touch_at"].tolist() == expected["first"].tolist()
    assert found["is_returning"].tolist() == expected["returning"].tolist()
    if step:
        assert found["converts"].astype(bool).tolist() == expected["converts"].tolist()
        assert (found["conversion_id"].notna() == found["converts"].astype(bool)).all()
    else:
        assert found["converts"].isna().all()


def test_terms_count_every_touch_once(chain):
    counted = chain.query(
        "select states.touches, "
        "sum(case when term like 'last 7 days:%' or term like 'earlier:%' then exp(value) - 1 end) as counted, "
        "sum(case when term like 'last touch:%' then 1 else 0 end) as lasts "
        "from intermediate.int_scoring__states as states "
        "inner join intermediate.int_scoring__features as features on states.state_id = features.state_id "
        "group by states.state_id, states.touches"
    )
    np.testing.assert_allclose(counted["counted"], counted["touches"], atol=1e-6)
    assert (counted["lasts"] == 1).all()


def test_scores_are_the_models_chances_and_say_why_there_are_none(chain):
    states, features = chain.query(STATES), chain.query(FEATURES)
    read = read_states(states[states["conversion_type"] == "buy"], features)
    rng = np.random.default_rng(0)
    coefficients = rng.normal(size=len(read.terms))
    terms = pd.DataFrame(
        {"conversion_type": "buy", "term": [INTERCEPT, *read.terms], "coefficient": [-1.5, *coefficients]}
    )
    quality = pd.DataFrame(
        {
            "conversion_type": ["buy", "call"],
            "status": ["ok", "insufficient data: needs 1,000 conversions, has 7"],
            "model_version": ["logistic.1+2026-05-01", None],
            "fitted_at": pd.Timestamp("2026-05-01"),
            "horizon_days": HORIZON,
        }
    )
    chain.execute("create schema if not exists credit")
    for name, frame in (("conversion_model_terms", terms), ("conversion_model_quality", quality)):
        file = chain.folder / f"{name}.parquet"
        frame.to_parquet(file)
        chain.execute(f"create or replace table credit.{name} as select * from read_parquet('{file}')")
    build(chain, "fct_journey_scores", score_horizon_days=HORIZON)
    scores = chain.query("select * from core.fct_journey_scores order by conversion_type, canonical_user_id")
    live = chain.query("select * from intermediate.int_scoring__states where step = 0")
    assert len(scores) == len(live)
    values = chain.query(
        "select states.canonical_user_id, term, value from intermediate.int_scoring__features as features "
        "inner join intermediate.int_scoring__states as states on features.state_id = states.state_id "
        "where step = 0 and conversion_type = 'buy'"
    )
    known = terms.set_index("term")["coefficient"]
    total = (values["value"] * values["term"].map(known).fillna(0.0)).groupby(values["canonical_user_id"]).sum()
    mine = scores[scores["conversion_type"] == "buy"].set_index("canonical_user_id")
    np.testing.assert_allclose(mine["conversion_probability"], 1 / (1 + np.exp(-(-1.5 + total[mine.index]))), atol=1e-8)
    assert (mine["model_version"] == "logistic.1+2026-05-01").all()
    rest = scores[scores["conversion_type"] != "buy"]
    assert rest["conversion_probability"].isna().all()
    assert rest.groupby("conversion_type")["status"].first().to_dict() == {
        "call": "insufficient data: needs 1,000 conversions, has 7",
        "rare": "insufficient data: no conversion model was fitted yet",
    }


def test_a_real_fit_runs_on_what_sql_hands_over(chain):
    states, features = chain.query(STATES), chain.query(FEATURES)
    found = fit_scoring(read_states(states[states["conversion_type"] == "buy"], features), HORIZON, 10**6)
    assert found.status.startswith("insufficient data: needs 1,000,000 conversions, has ")
