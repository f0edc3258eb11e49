"""Worlds too small for every kind of thing to happen in them."""

from datetime import date

import pandas as pd
import pytest

from dlt_pipelines.sandbox.world import WorldConfig, build_world


@pytest.mark.parametrize("people", [20, 50, 100])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_world_may_have_no_deal_won(people, seed):
    world = build_world(WorldConfig(people=people, start_on=date(2026, 7, 1), days=45, seed=seed))
    won = world.deals.loc[world.deals["dealstage"] == "closedwon", "deal_id"]
    assert (world.organisations["plan"] == "team").sum() <= len(won)
    assert world.organisations["updated_at"].notna().all()


def test_a_world_of_nearly_nobody_is_refused():
    with pytest.raises(ValueError, match="at least 20 people"):
        WorldConfig(people=5, start_on=date(2026, 7, 1), days=45)


def test_a_company_in_business_has_customers_of_before_and_records_of_now():
    world = build_world(WorldConfig(people=600, start_on=date(2026, 7, 1), days=45, seed=3, stay_days=45))
    start = pd.Timestamp("2026-07-01")
    assert (world.users["created_at"] < start).any()
    assert (world.contacts["created_at"] < start).any()
    for frame, column in (
        (world.events, "occurred_at"),
        (world.requests, "occurred_at"),
        (world.ad_days, "date"),
        (world.subscriptions, "started_at"),
        (world.deals, "close_at"),
        (world.truth.touches, "occurred_at"),
        (world.truth.conversions, "converted_at"),
    ):
        # Meta's account lives in Los Angeles, where the first hours are still the day before.
        assert frame[column].min() >= start - pd.Timedelta(days=1)
    known = set(world.users.loc[world.users["created_at"] < start, "user_id"])
    assert known & set(world.events["user_id"].dropna())


@pytest.mark.parametrize("text", ["gclid", "gclid_stripped:/pricing", "crm@2026-07-20"])
def test_the_beginning_of_a_faults_name_will_do(text):
    WorldConfig(people=20, start_on=date(2026, 7, 1), days=45, faults=(text,))


@pytest.mark.parametrize("text", ["gravity", "", "gclid@soon"])
def test_a_fault_nobody_knows_is_refused_before_anything_is_built(text):
    with pytest.raises(ValueError, match="fault"):
        WorldConfig(people=20, start_on=date(2026, 7, 1), days=45, faults=(text,))
