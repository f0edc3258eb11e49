"""Worlds too small for every kind of thing to happen in them."""

from datetime import date

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
