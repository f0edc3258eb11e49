"""The quality report on a drawn world: figures, interval, charts, and what a changed world does to the churn."""

import pandas as pd
import pytest

from attribution_platform.assets.identity import measure_identity, metadata_of
from attribution_platform.identity.report import COLUMN_TYPES, quality_report
from attribution_platform.resources.warehouse import DuckDBWarehouse
from benchmarks.identity_world import IdentityWorldConfig, draw_identity_world

MODELS = "+int_identity__persons +int_identity__holdout +int_identity__user_to_distinct_id"


@pytest.fixture(scope="module")
def reports(project) -> dict[str, pd.DataFrame]:
    """The first run, one with nothing new, and one in which a tenth of the events are gone."""
    world = draw_identity_world(IdentityWorldConfig(people=3000, kiosks=4))
    warehouse = DuckDBWarehouse(path=str(project.warehouse), landing_dir=str(project.folder / "landing"))
    tables = {"int_events__unified": world.events, "stg_backend__users": world.users}
    project.fill(tables)
    project.build(MODELS)
    found = {"first": measure_identity(warehouse), "again": measure_identity(warehouse)}
    kept = world.events[world.events.index % 10 > 0]
    project.fill({**tables, "int_events__unified": kept})
    project.build(MODELS)
    found["less"] = measure_identity(warehouse)
    found["stored"] = warehouse.query("select * from identity.identity_quality")
    return found


def value(report: pd.DataFrame, measure: str, tier: str = "all") -> float:
    return float(report.loc[(report["measure"] == measure) & (report["match_tier"] == tier), "value"].iloc[0])


def test_held_out_logins_are_mostly_found_again(reports):
    first = reports["first"]
    assert value(first, "held_out_accuracy") > 0.95
    assert 0.4 < value(first, "held_out_coverage") < 0.9
    assert value(first, "pairwise_precision") > 0.95
    assert value(first, "b_cubed_precision") > 0.95
    assert value(first, "clusters_with_two_users") == 0
    assert 1 < value(first, "largest_cluster") <= 50
    assert value(first, "coverage") > 0.7


def test_every_share_lies_in_its_interval(reports):
    shares = reports["first"].dropna(subset=["ci_low", "value"])
    assert len(shares) > 15
    assert (shares["ci_low"] <= shares["value"]).all()
    assert (shares["value"] <= shares["ci_high"]).all()
    assert shares["ci_high"].max() <= 1


def test_churn_is_nothing_until_something_changes(reports):
    assert not reports["first"]["measure"].str.startswith("churn").any()
    assert value(reports["again"], "churn_moved") == value(reports["again"], "churn_separated") == 0
    assert value(reports["less"], "churn_separated") > 0


def test_the_report_is_stored_and_shown(reports):
    assert list(reports["stored"].columns) == list(COLUMN_TYPES)
    shown = metadata_of(reports["first"])
    assert {"figures", "accuracy", "tiers"} <= set(shown)
    assert "verdict" not in shown


def test_too_few_logins_are_said_to_be_too_few():
    items = pd.DataFrame(
        {"known_user_id": ["a"], "inferred_user_id": ["a"], "match_tier": ["email_only"], "is_held_out": [True]}
    )
    tiers = pd.DataFrame({"match_tier": ["email_only"], "devices": [1], "of_users": [1]})
    clusters = pd.DataFrame({"largest": [2], "several_users": [0], "persons": [1]})
    report = quality_report(items, tiers, clusters, pd.DataFrame())
    assert "insufficient data: 1 logins" in str(metadata_of(report)["verdict"])
    empty = quality_report(
        items.iloc[:0], tiers.iloc[:0], clusters.assign(largest=None, several_users=None), pd.DataFrame()
    )
    assert metadata_of(empty)["held_out_logins"] == 0


def test_the_mapping_models_hold_each_other(project, reports):
    counts = project.query(
        """select
            (select count(*) from intermediate.int_identity__user_to_person) as users,
            (select count(*) from intermediate.int_identity__person_to_distinct_id) as devices,
            (select count(*) from intermediate.int_identity__user_to_distinct_id) as pairs,
            (select count(*) from intermediate.int_identity__user_to_distinct_id
             where user_id <> canonical_user_id) as strangers"""
    ).iloc[0]
    assert counts["users"] > 1000
    assert counts["devices"] > counts["pairs"] > counts["users"]
    assert counts["strangers"] == 0
