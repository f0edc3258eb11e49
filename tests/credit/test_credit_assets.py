"""The scoring and lift assets on a small warehouse, through Dagster. About 20 s."""

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pytest

from attribution_platform.assets.lift import build_lift_assets
from attribution_platform.assets.scoring import build_scoring_assets
from attribution_platform.resources.warehouse import DuckDBWarehouse
from attribution_platform.settings import Attribution, Settings

PEOPLE = 1500


@pytest.fixture
def warehouse(tmp_path):
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(PEOPLE), 5)
    step = np.tile(np.arange(5), PEOPLE)
    touches = rng.poisson(1.0, len(person))
    converts = rng.random(len(person)) < 1 / (1 + np.exp(1.5 - touches))
    states = pd.DataFrame(
        {
            "state_id": [f"s{i}" for i in range(len(person))],
            "canonical_user_id": person.astype(str),
            "conversion_id": np.where(converts & (step > 0), [f"c{i}" for i in range(len(person))], None),
            "conversion_type": "buy",
            "step": step,
            "days_before_last": np.where(step > 0, 14 * (step - 1), -1),
            "stands_for": 1.0,
            "converts": converts,
            "snapshot_at": pd.Timestamp("2026-06-20"),
        }
    )
    features = pd.DataFrame({"state_id": states["state_id"], "term": "touches", "value": touches.astype(float)})
    credit = pd.DataFrame(
        {
            "model_type": "linear",
            "conversion_type": "buy",
            "channel": ["Email", "Direct"] * 20,
            "converted_on": pd.to_datetime("2026-06-01") + pd.to_timedelta(np.repeat(np.arange(20), 2), unit="D"),
            "credit": 1.0,
            "credited_revenue": 5.0,
        }
    )
    weights = pd.DataFrame(
        {
            "model_type": ["markov"],
            "conversion_type": ["buy"],
            "channel": ["Email"],
            "ci_low": [1.0],
            "ci_high": [2.0],
            "status": ["ok"],
        }
    )
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as connection:
        for name, frame in (
            ("intermediate.int_scoring__states", states),
            ("intermediate.int_scoring__features", features),
            ("core.fct_conversions", pd.DataFrame({"conversion_type": ["buy", "call"]})),
            ("core.fct_attribution_credit", credit),
            ("credit.credit_channel_weights", weights),
        ):
            connection.execute(f"create schema if not exists {name.split('.')[0]}")
            connection.register("frame", frame)
            connection.execute(f"create table {name} as select * from frame")
    return DuckDBWarehouse(path=str(path), landing_dir=str(tmp_path))


def run(assets, warehouse) -> dict[str, dict]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(assets, resources={"warehouse": warehouse}, instance=instance)
    assert result.success
    return {
        event.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def test_a_conversion_model_is_fitted_once_a_month(warehouse, tmp_path):
    settings = Settings(config_path=tmp_path / "attribution.toml")
    first = run(build_scoring_assets(settings), warehouse)
    assert first["conversion_model_quality"]["refitted"] is True
    assert "data:image/png" in first["conversion_model_reliability"]["reliability"]
    quality = warehouse.query("select * from credit.conversion_model_quality order by conversion_type")
    assert quality["status"].tolist() == ["ok", "insufficient data: needs 1,000 conversions, has 0"]
    assert quality["brier_low"][0] <= quality["brier"][0] <= quality["brier_high"][0]
    terms = warehouse.query("select * from credit.conversion_model_terms where term = 'touches'")
    assert terms["coefficient"][0] == pytest.approx(1.0, abs=0.15)
    with warehouse.connection() as connection:
        connection.execute("delete from core.fct_conversions where conversion_type = 'call'")
    again = run(build_scoring_assets(settings), warehouse)
    assert again["conversion_model_quality"]["refitted"] is True
    kept = run(build_scoring_assets(settings), warehouse)
    assert kept["conversion_model_quality"]["refitted"] is False


def test_experiments_reach_the_warehouse_with_their_source(warehouse, tmp_path):
    nothing = run(build_lift_assets(Settings(config_path=tmp_path / "attribution.toml")), warehouse)
    assert nothing["lift_calibration"]["dagster/row_count"] == 0
    (tmp_path / "experiments.csv").write_text(
        "experiment_id,channel,kind,unit,lift,lift_low,lift_high,started_on,ended_on,source\n"
        "g1,Email,geo,multiplier,0.5,0.4,0.6,2026-06-01,2026-06-10,growth team\n"
    )
    attribution = Attribution(experiments="experiments.csv", residual_policy="unattributed")
    settings = Settings(config_path=tmp_path / "attribution.toml", attribution=attribution)
    run(build_lift_assets(settings), warehouse)
    (record,) = warehouse.query("select * from credit.lift_experiments").itertuples()
    assert (record.experiment_id, record.source, len(record.file_sha256)) == ("g1", "growth team", 64)
    found = warehouse.query("select * from credit.lift_calibration").set_index("channel")
    assert found["calibrated_conversions"].to_dict() == {"Email": 10.0, "Direct": 20.0, "Unattributed": 10.0}
    assert found["calibrated_revenue"].sum() == pytest.approx(200.0)
    days = warehouse.query(
        "select converted_on, sum(calibrated_conversions) as total from credit.lift_calibration_daily group by 1"
    )
    np.testing.assert_allclose(days["total"], 2.0)
