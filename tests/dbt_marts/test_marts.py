"""The marts and coverage layer on drawn data, against the same figures worked out in pandas. Two dbt projects, about 35 s."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from attribution_platform.report import LENGTHS, PATHS, ROLES
from tests.dbt_marts.scenario import FIRST_DAY, MODELS, USD_RATE, Scenario, make_scenario
from tests.dbt_marts.upstream import Layer, make_layer

WEEKLY = "marts.mart_attribution__coverage_weekly"
DAILY = "marts.mart_attribution__coverage_daily"


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return make_scenario()


@pytest.fixture(scope="module")
def built(layer: Layer, scenario: Scenario) -> Layer:
    layer.fill(scenario.rows)
    layer.build()
    return layer


def unified_spend(scenario: Scenario) -> pd.DataFrame:
    """Spend in EUR by platform and day."""
    google = scenario.rows["stg_google_ads__campaign_daily"].assign(platform="google_ads", rate=1.0)
    meta = scenario.rows["stg_meta_ads__ad_daily"].assign(platform="meta_ads", rate=USD_RATE)
    files = scenario.rows["stg_files__spend"].assign(rate=1.0)
    rows = pd.concat([google, meta, files])[["platform", "spend_on", "cost", "rate"]]
    rows["spend"] = rows["cost"] * rows["rate"]
    return rows.groupby(["platform", "spend_on"])[["spend"]].sum()


def test_everything_builds_without_a_row_and_spend_shows_before_the_first_conversion(tmp_path, scenario):
    layer = make_layer(tmp_path / "project")
    layer.build()
    assert layer.query(f"select count(*) as n from {WEEKLY}")["n"][0] == 0
    assert layer.query("select * from marts.mart_attribution__channel_daily").empty
    spend_tables = {name: rows for name, rows in scenario.rows.items() if "spend" in name or "_ads__" in name}
    layer.fill({**spend_tables, "int_fx__rates": scenario.rows["int_fx__rates"]})
    layer.build()
    found = layer.query(
        "select sum(spend) as spend, max(cac) as cac, max(roi) as roi from marts.paid_budget__weekly_performance"
    )
    assert found["spend"][0] == pytest.approx(unified_spend(scenario)["spend"].sum())
    assert pd.isna(found["cac"][0])
    assert found["roi"][0] == -1


@pytest.mark.parametrize("model", MODELS)
def test_spend_survives_by_platform_and_day_under_every_model(built, scenario, model):
    expected = unified_spend(scenario)["spend"]
    for kind in ("signup", "purchase"):
        found = built.query(
            "select platform, date_on, sum(spend) as spend from marts.mart_attribution__campaign_daily "
            f"where model_type = '{model}' and conversion_type = '{kind}' and spend <> 0 group by 1, 2"
        )
        found["date_on"] = found["date_on"].dt.date
        found = found.set_index(["platform", "date_on"])["spend"]
        pd.testing.assert_series_equal(
            found.sort_index(), expected.sort_index(), check_names=False, check_index_type=False, check_dtype=False
        )


@pytest.mark.parametrize("table", ["channel_daily", "campaign_daily", "artifact_daily"])
def test_conversions_and_revenue_are_conserved_in_every_daily_mart(built, scenario, table):
    conversions = scenario.rows["fct_conversions"].groupby("conversion_type")
    found = built.query(
        "select model_type, conversion_type, sum(conversions) as conversions, sum(revenue) as revenue, "
        "sum(conversions_by_touch_date) as touched, sum(revenue_by_touch_date) as touched_revenue, "
        f"from marts.mart_attribution__{table} group by all"
    )
    assert len(found) == len(MODELS) * 2
    for row in found.itertuples():
        assert row.conversions == pytest.approx(conversions.size()[row.conversion_type], abs=1e-6)
        assert row.touched == pytest.approx(row.conversions, abs=1e-6)
        assert row.revenue == pytest.approx(conversions["revenue"].sum()[row.conversion_type], abs=1e-3)
        assert row.touched_revenue == pytest.approx(row.revenue, abs=1e-6)


def test_channel_days_agree_with_pandas(built, scenario):
    credit = scenario.rows["fct_attribution_credit"]
    expected = credit.groupby(["converted_on", "channel", "model_type", "conversion_type"])["credit"].sum().sort_index()
    found = built.query("select * from marts.mart_attribution__channel_daily where conversions <> 0")
    found["date_on"] = found["date_on"].dt.date
    found = found.set_index(["date_on", "channel", "model_type", "conversion_type"])["conversions"].sort_index()
    pd.testing.assert_series_equal(found, expected, check_names=False, check_index_type=False, rtol=1e-8)


def test_a_renamed_campaign_is_one_line_and_unmatched_paid_touches_keep_their_words(built):
    campaigns = built.query("select distinct campaign_id, campaign from marts.mart_attribution__campaign_daily")
    names = campaigns.groupby("campaign_id")["campaign"].agg(set)
    assert names["id-brand"] == {"brand-new"}
    assert names["id-generic"] == {"generic-new"}
    assert names["(not set)"] == {"unknown words"}


def test_last_touch_has_one_campaign_a_conversion(built, scenario):
    credit = scenario.rows["fct_attribution_credit"]
    last = credit[(credit["model_type"] == "last_touch") & credit["channel"].isin(["Paid Search", "Paid Social"])]
    found = built.query("select conversion_id, credit from marts.paid_budget__conversions_last_touch")
    assert set(found["conversion_id"]) == set(last["conversion_id"])
    assert (found["credit"] == 1).all()


def test_returns_carry_the_interval_of_the_conversions(built):
    found = built.query(
        "select * from marts.mart_attribution__roi where spend > 0 and conversions > 0 and conversion_type <> 'all'"
    )
    assert len(found)
    assert (found["cac_low"] <= found["cac"]).all()
    np.testing.assert_allclose(found["cac"] * found["conversions"], found["spend"].astype(float))
    np.testing.assert_allclose(found["roi"], found["roas"] - 1)
    np.testing.assert_allclose(found["cac_low"] * found["ci_high"], found["spend"].astype(float))


def coverage(built: Layer, metric: str, segment_type: str = "all") -> pd.DataFrame:
    found = built.query(
        f"select * from {DAILY} where metric = '{metric}' and segment_type = '{segment_type}' order by date_on, segment"
    )
    found["date_on"] = found["date_on"].dt.date
    return found


def test_click_id_capture_agrees_with_pandas(built, scenario):
    visits = scenario.rows["fct_touchpoints"].dropna(subset=["platform"])
    expected = visits.groupby(["occurred_on", "platform"])["click_id"].agg(["count", "size"])
    found = coverage(built, "click_id_capture", "platform").set_index(["date_on", "segment"])
    np.testing.assert_array_equal(found["numerator"], expected["count"])
    np.testing.assert_array_equal(found["denominator"], expected["size"])
    assert set(found["status"][found["volume"] < 10]) == {"insufficient volume"}


def test_behavioural_coverage_and_direct_only_agree_with_pandas(built, scenario):
    journeys = scenario.rows["fct_journey_touchpoints"]
    each = journeys.groupby("conversion_id").agg(
        touched=("origin", lambda values: (values != "none").any()),
        direct=("channel", lambda values: (values == "Direct").all()),
    )
    days = scenario.rows["fct_conversions"].set_index("conversion_id")["converted_on"]
    expected = each.groupby(days).sum()
    assert not each["touched"].all()
    np.testing.assert_array_equal(coverage(built, "behavioural_coverage")["numerator"], expected["touched"])
    np.testing.assert_array_equal(coverage(built, "direct_only_rate")["numerator"], expected["direct"])


def test_tier_shares_add_up_to_one_with_no_hole(built):
    found = coverage(built, "identity_tier_share", "tier")
    shares = found.pivot(index="date_on", columns="segment", values="rate")
    assert set(shares.columns) == {"strong_id", "cookie", "not yet known"}
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares.notna().all(axis=None)


def test_a_silent_source_is_seen(built):
    silent = coverage(built, "freshness", "source")
    backend = silent[silent["segment"] == "backend"].tail(10)
    assert (backend["numerator"].diff().dropna() == 1).all()
    assert backend["numerator"].min() >= 1
    weekly = built.query(
        f"select status, numerator from {WEEKLY} where metric = 'event_volume' and segment = 'backend' order by week_on"
    )
    assert weekly["numerator"].iloc[-1] == 0
    assert weekly["status"].iloc[-1] != "insufficient volume"


def test_long_tails_are_folded_and_nothing_is_lost(built):
    by_page = coverage(built, "cookie_user_coverage", "landing_page")
    assert by_page["segment"].nunique() == 21
    assert "(other)" in set(by_page["segment"])
    tagged = coverage(built, "utm_completeness", "landing_page").groupby("date_on")["denominator"].sum()
    np.testing.assert_array_equal(tagged, coverage(built, "utm_completeness")["denominator"])


def test_spend_reconciles_and_ad_clicks_are_the_other_denominator(built, scenario):
    assert set(coverage(built, "spend_reconciliation", "platform")["rate"]) == {1.0}
    clicks = scenario.rows["stg_google_ads__campaign_daily"].groupby("spend_on")["clicks"].sum()
    found = coverage(built, "click_id_capture_of_ad_clicks", "platform").query("segment == 'google_ads'")
    np.testing.assert_array_equal(found["denominator"], clicks[clicks > 0])


def test_weekly_limits_agree_with_an_independent_chart(built):
    weekly = built.query(f"select * from {WEEKLY} order by metric, segment_type, segment, week_on")
    assert weekly["week_on"].min().date() == FIRST_DAY
    checked = 0
    for (_, kind, *_), chart in weekly.groupby(["metric", "kind", "segment_type", "segment"]):
        points = chart[chart["status"] != "insufficient volume"]
        values = (points["numerator"] if kind == "count" else points["rate"]).to_numpy(dtype=float)
        if len(values) < 2:
            continue
        centre, width = values.mean(), 2.66 * np.abs(np.diff(values)).mean()
        np.testing.assert_allclose(points["centre"], centre, atol=2e-8)
        np.testing.assert_allclose(points["lower_limit"], max(centre - width, 0), atol=2e-8)
        np.testing.assert_allclose(points["upper_limit"], centre + width, atol=2e-8)
        checked += 1
    assert checked > 20


def test_agreement_and_kappa_agree_with_scikit_learn(built, scenario):
    answers = built.query("select * from intermediate.int_attribution__survey_responses where is_comparable")
    # With a word for advertising a place is its paid channel: "google ad" is no "google".
    assert set(answers["said_channel"]) == {"Paid Search", "Email"}
    touches = scenario.rows["fct_touchpoints"].sort_values(["occurred_at", "touchpoint_id"])
    before = touches.merge(answers, on="canonical_user_id").query("occurred_at <= answered_at")
    seen = before.groupby("canonical_user_id")["channel"].first()
    assert seen.to_dict() == answers.set_index("canonical_user_id")["seen_channel"].to_dict()
    weeks = answers.groupby(answers["answered_on"].dt.to_period("W-SUN").dt.start_time)
    found = built.query(
        "select distinct week_on, agreement, kappa, kappa_low, kappa_high, comparable_of_week, status "
        "from marts.mart_attribution__survey_vs_behavioral"
    ).set_index("week_on")
    for week, group in weeks:
        row = found.loc[week]
        kappa = cohen_kappa_score(group["said_channel"], group["seen_channel"])
        error = _kappa_error(pd.crosstab(group["said_channel"], group["seen_channel"]))
        assert row["agreement"] == pytest.approx((group["said_channel"] == group["seen_channel"]).mean())
        assert row["kappa"] == pytest.approx(kappa, abs=1e-6)
        if error < 1e-6:
            assert pd.isna(row["kappa_low"])
            assert pd.isna(row["kappa_high"])
        else:
            assert row["kappa_low"] == pytest.approx(max(kappa - 1.959964 * error, -1), abs=2e-6)
            assert row["kappa_high"] == pytest.approx(min(kappa + 1.959964 * error, 1), abs=2e-6)
        assert row["comparable_of_week"] == len(group)
        assert row["status"] == ("ok" if len(group) >= 10 else "insufficient volume")


def _kappa_error(table: pd.DataFrame) -> float:
    """Fleiss, Cohen and Everitt 1969, from the matrix itself."""
    names = table.index.union(table.columns)
    count = table.to_numpy().sum()
    cells = table.reindex(index=names, columns=names, fill_value=0).to_numpy() / count
    said, seen = cells.sum(axis=1), cells.sum(axis=0)
    chance, agreed = said @ seen, np.trace(cells)
    kappa = (agreed - chance) / (1 - chance)
    own = np.diag(cells) @ (1 - (said + seen) * (1 - kappa)) ** 2
    off = (cells * (1 - np.eye(len(names))) * (seen[:, None] + said[None, :]) ** 2).sum() * (1 - kappa) ** 2
    left = (kappa - chance * (1 - kappa)) ** 2
    return float(np.sqrt(max(own + off - left, 0) / count) / (1 - chance))


def test_assists_agree_with_pandas(built, scenario):
    journeys = scenario.rows["fct_journey_touchpoints"]
    opened = journeys[journeys["position"] == 1].groupby(["conversion_type", "channel"]).size()
    found = built.query("select * from marts.mart_attribution__channel_assists where conversions_opened > 0")
    found = found.set_index(["conversion_type", "channel"])["conversions_opened"].sort_index()
    np.testing.assert_array_equal(found, opened.sort_index())


def test_a_lost_row_turns_the_conservation_tests_red(built, tmp_path):
    broken = built.copy_to(tmp_path / "project")
    broken.execute(
        "delete from marts.mart_attribution__campaign_daily where platform = 'podcast' and model_type = 'linear' "
        f"and conversion_type = 'signup' and date_on = '{FIRST_DAY}'"
    )
    outcome = broken.dbt("test", "assert_campaign_mart_conserves_spend_conversions_and_revenue")
    assert outcome.code == 1
    assert "FAIL 1" in outcome.text


def test_intervals_count_a_conversion_once_however_many_touches_share_it(built):
    credit = built.query("select * from upstream.fct_attribution_credit")
    keys = ["model_type", "conversion_type", "channel", "converted_on"]
    whole = credit.groupby([*keys, "conversion_id"])["credit"].agg(["sum", "count"]).reset_index()
    expected = whole.assign(square=whole["sum"] ** 2).groupby(keys)[["square", "count"]].sum()
    daily = built.query("select * from marts.mart_attribution__channel_daily where conversions > 0")
    found = daily.rename(columns={"date_on": "converted_on"}).set_index(keys).sort_index()
    expected = expected.reindex(found.index)
    np.testing.assert_allclose(found["conversions_variance"], expected["square"], atol=1e-8)
    np.testing.assert_array_equal(found["credited_touches"], expected["count"])
    half = 1.96 * np.sqrt(found["conversions_variance"])
    np.testing.assert_allclose(found["ci_high"], found["conversions"] + half)
    np.testing.assert_allclose(found["ci_low"], np.maximum(found["conversions"] - half, 0))
    months = built.query("select * from marts.paid_budget__monthly_performance where spend > 0 and ci_low > 0")
    np.testing.assert_allclose(months["cac_low"], months["spend"].astype(float) / months["ci_high"])
    np.testing.assert_allclose(months["cac_high"], months["spend"].astype(float) / months["ci_low"])
    roi = built.query("select * from marts.mart_attribution__roi where conversion_type <> 'all' and conversions > 0")
    counts = credit.groupby(["model_type", "conversion_type", "channel"])["conversion_id"].nunique()
    roi = roi.set_index(["model_type", "conversion_type", "channel"])
    np.testing.assert_array_equal(roi["n_conversions"], counts.reindex(roi.index))


def test_the_reports_queries_run_on_the_marts(built):
    paths, lengths, roles = (built.query(sql) for sql in (PATHS, LENGTHS, ROLES))
    assert (paths.groupby("conversion_type").size() <= 10).all()
    total = built.query("select coalesce(sum(conversions), 0) as n from marts.mart_attribution__conversion_paths")["n"][
        0
    ]
    assert lengths["conversions"].sum() == total
    assert (roles["conversions_present"] >= roles["conversions_closed"]).all()
