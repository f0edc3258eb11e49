"""Pinned contracts: red from the first difference until accepted, with a reason that is kept. About 3 s."""

from pathlib import Path

import duckdb
import pytest

from attribution_platform import contracts
from attribution_platform.resources.warehouse import DUCKDB_CONFIG, DuckDBWarehouse
from attribution_platform.settings import Conversion, Project, Settings
from attribution_platform.watch import upstream_changes

STAGES = "raw_hubspot.deal_stages"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ATTRIBUTION__SOURCES__HUBSPOT__ENABLED", "true")
    project = Project(as_of="2026-06-04T22:30:00Z", data_dir=tmp_path)
    return Settings(config_path=tmp_path / "attribution.toml", project=project)


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    land(
        tmp_path,
        "create table raw_hubspot.deal_stages as select 'closedwon' as stage_id, 'Won' as label, 'x' as _dlt_load_id",
    )
    return DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), landing_dir=str(tmp_path))


def land(folder: Path, sql: str) -> None:
    with duckdb.connect(str(folder / "landing_hubspot.duckdb"), config=DUCKDB_CONFIG) as connection:
        connection.execute("create schema if not exists raw_hubspot")
        connection.execute(sql)


def test_a_renamed_stage_is_red_until_accepted_and_known_to_explanations(settings, warehouse, tmp_path):
    assert contracts.compare(warehouse, settings, [STAGES]) == {STAGES: []}
    land(tmp_path, "update raw_hubspot.deal_stages set stage_id = 'won_2026'")
    wanted = ["stage_id value closedwon is gone", "stage_id value won_2026 is new"]
    for _ in range(2):
        assert contracts.compare(warehouse, settings, [STAGES]) == {STAGES: wanted}
    assert len(upstream_changes(warehouse)) == 2
    assert contracts.accept(warehouse, settings, STAGES, "pipeline rebuilt") == wanted
    assert contracts.compare(warehouse, settings, [STAGES]) == {STAGES: []}


def test_columns_that_come_go_or_change_their_type_are_told(settings, warehouse, tmp_path):
    contracts.compare(warehouse, settings, [STAGES])
    land(tmp_path, "alter table raw_hubspot.deal_stages drop column label")
    land(tmp_path, "alter table raw_hubspot.deal_stages add column probability double")
    assert contracts.compare(warehouse, settings, [STAGES])[STAGES] == [
        "column label is gone",
        "column probability is new",
    ]
    assert contracts.differences({"column a": "varchar"}, {"column a": "bigint"}) == ["column a was varchar, is bigint"]


def test_a_table_never_loaded_is_no_difference(settings, warehouse):
    assert contracts.compare(warehouse, settings, ["raw_hubspot.deals"]) == {"raw_hubspot.deals": []}


@pytest.mark.parametrize(
    ("table", "reason", "message"),
    [
        ("raw_x.y", "r", "no raw table named"),
        (STAGES, " ", "--reason"),
        (STAGES, "r", "nothing to accept"),
        ("raw_hubspot.deals", "r", "no rows yet"),
    ],
)
def test_what_cannot_be_accepted_says_why(settings, warehouse, table, reason, message):
    contracts.compare(warehouse, settings, [STAGES])
    with pytest.raises(contracts.ContractError, match=message):
        contracts.accept(warehouse, settings, table, reason)


def test_a_stage_that_settings_count_and_the_crm_lacks_is_red_from_the_first_sight(settings, warehouse):
    settings = settings.model_copy(
        update={
            "conversions": (
                Conversion(name="deal_won", kind="crm_stage", stage="closedwon"),
                Conversion(name="deal_lost", kind="crm_stage", stage="closedlost"),
            )
        }
    )
    found = contracts.compare(warehouse, settings, [STAGES])[STAGES]
    assert found == ["stage_id closedlost is not among the stages, and attribution.toml counts it as `deal_lost`"]
    with pytest.raises(contracts.ContractError, match="nothing to accept"):
        contracts.accept(warehouse, settings, STAGES, "whatever")
    assert contracts.compare(warehouse, settings, [STAGES])[STAGES] == found
