"""The copy of the alerts' history in the warehouse. About 3 s."""

import dagster as dg
import pandas as pd
import pytest

from attribution_platform.alerting.history import ALERT_HISTORY_TYPES, alert_history
from attribution_platform.alerting.store import AlertStore
from attribution_platform.assets import monitoring
from attribution_platform.monitoring.alerts import Health
from attribution_platform.operations import engine_of
from attribution_platform.resources.warehouse import DuckDBWarehouse
from attribution_platform.settings import Project, Settings
from tests.alerting.test_store import START, look

HEALTHS = [Health.BAD, Health.BAD, Health.GOOD, Health.GOOD, Health.GOOD, Health.BAD]
ASSET = dg.AssetKey(["monitoring", "alert_history"])


def test_every_state_has_its_beginning_its_end_and_its_duration(store):
    for number, health in enumerate(HEALTHS):
        look(store, number, health)
    table = alert_history(store.events(limit=None))
    assert list(table.columns) == list(ALERT_HISTORY_TYPES)
    assert table["event_id"].is_unique
    assert table["is_current"].sum() == 1
    assert table["until_at"].iloc[:-1].tolist() == table["since_at"].iloc[1:].tolist()
    lasting = table[table["duration_hours"] != 0]
    days = (lasting["since_at"] - START.replace(tzinfo=None)).dt.days
    assert list(zip(lasting["state"], lasting["episode"], days, strict=True)) == [
        ("firing", 1, 0),
        ("resolved", 1, 3),
        ("ok", 1, 4),
        ("firing", 2, 5),
    ]
    assert lasting["duration_hours"].tolist()[:3] == [72, 24, 24]
    assert alert_history(list(reversed(store.events(limit=None)))).equals(table)


def test_no_alert_ever_is_a_table_without_rows():
    assert alert_history([]).empty


@pytest.fixture
def platform(tmp_path):
    settings = Settings(config_path=tmp_path / "attribution.toml", project=Project(data_dir=tmp_path))
    warehouse = DuckDBWarehouse(path=str(tmp_path / "w.duckdb"), landing_dir=str(tmp_path))
    (asset,) = (each for each in monitoring.build_monitoring_assets(settings) if each.key == ASSET)

    def materialize() -> dict[str, bool]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize([asset], instance=instance, resources={"warehouse": warehouse})
        assert result.success
        return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}

    return settings, warehouse, materialize


def test_the_table_is_a_copy_of_the_platforms_own(platform):
    settings, warehouse, materialize = platform
    assert materialize() == {"event_id_is_unique": True, "the_platforms_database_answers": True}
    engine = engine_of(f"sqlite:///{settings.operations_path}")
    look(AlertStore(engine), 0)
    engine.dispose()
    materialize()
    table = warehouse.query("select * from monitoring.alert_history where is_current")
    assert table[["metric", "segment", "state"]].values.tolist() == [
        ["click_id_capture", "platform=google_ads", "firing"]
    ]
    assert table["first_bad_on"].iloc[0] == pd.Timestamp("2026-02-27")
    assert table["duration_hours"].isna().all()


def test_a_database_that_is_down_leaves_the_last_copy_and_a_warning(platform, monkeypatch):
    settings, warehouse, materialize = platform
    engine = engine_of(f"sqlite:///{settings.operations_path}")
    look(AlertStore(engine), 0)
    engine.dispose()
    materialize()
    before = warehouse.row_count("monitoring", "alert_history")
    monkeypatch.setenv("ATTRIBUTION_DATABASE_URL", "postgresql://u:secret@127.0.0.1:1/nowhere")
    assert materialize() == {"event_id_is_unique": True, "the_platforms_database_answers": False}
    assert warehouse.row_count("monitoring", "alert_history") == before > 0
