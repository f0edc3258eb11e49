"""The same dbt project on DuckDB and on the Snowflake emulator: same raw rows in, same core tables and marts out, row by row."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from attribution_platform.assets.credit import CONVERSIONS, JOURNEYS, TOUCHES
from attribution_platform.credit.assets_api import (
    CHANNEL_WEIGHT_TYPES,
    PATH_WEIGHT_TYPES,
    TOUCH_WEIGHT_TYPES,
    credit_from_paths,
    credit_from_people,
)
from attribution_platform.credit.scoring import INTERCEPT, QUALITY_TYPES, TERM_TYPES
from attribution_platform.demo import prepare_sandbox
from attribution_platform.resources.warehouse import DUCKDB_CONFIG, DuckDBWarehouse, SnowflakeWarehouse, Warehouse
from attribution_platform.settings import DBT_PROJECT_DIR, Settings, load_settings
from attribution_platform.transformation import PASSES, build_arguments, dbt_executable, earlier_passes
from attribution_platform.user_agents import COLUMN_TYPES, parse_user_agents
from dlt_pipelines.pipeline import run_source
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import WorldConfig, build_world

pytestmark = pytest.mark.snowflake

HERE = Path(__file__).parent
COMPARED_SCHEMAS = ("core", "marts")
# Money is rounded to the sixth decimal on both sides, and one engine rounds a half up where the other rounds it to even.
ABSOLUTE, RELATIVE = 5e-6, 1e-6


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Iterator[Settings]:
    """A small world, extracted through every vendor's wire format into landing files."""
    folder = tmp_path_factory.mktemp("parity")
    text = (Path(__file__).parents[2] / "attribution.toml").read_text()
    (folder / "attribution.toml").write_text(text)
    config = WorldConfig(people=250, start_on=date(2026, 7, 1), days=45, seed=3)
    before = dict(os.environ)
    os.environ["ATTRIBUTION__PROJECT__AS_OF"] = f"{config.start_on + timedelta(days=config.days)}T00:00:00Z"
    os.environ["ATTRIBUTION__ATTRIBUTION__DATA_DRIVEN_MIN_CONVERSIONS"] = "20"
    world = build_world(config)
    os.environ["BACKEND_DATABASE_URL"] = prepare_sandbox(world, folder / "data" / "sandbox")
    with SandboxServer(world) as server:
        os.environ.update(server.environment())
        chosen = load_settings(folder / "attribution.toml")
        for name in chosen.enabled_sources:
            run_source(
                SOURCES[name],
                chosen.source_config(name),
                chosen.extraction_window(),
                Hasher(b"0123456789abcdef0123456789abcdef"),
                landing_dir=chosen.landing_dir,
                pipelines_dir=chosen.data_dir / "dlt",
            )
    yield chosen
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Iterator[SnowflakeWarehouse]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("emulator") / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "emulator.py"), str(port)], stdout=subprocess.PIPE, stderr=out, text=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening"), log.read_text()
    os.environ["EMULATOR_PORT"] = str(port)
    yield SnowflakeWarehouse(
        account="fakesnow",
        user="fake",
        password="snow",
        role="R",
        warehouse="WH",
        database="ATTRIBUTION",
        connection_arguments={
            "host": "127.0.0.1",
            "port": port,
            "protocol": "http",
            "insecure_mode": True,
            "login_timeout": 10,
            "network_timeout": 300,
        },
    )
    process.terminate()
    process.wait(timeout=20)
    os.environ.pop("EMULATOR_PORT")


def dbt_pass(tag: str, settings: Settings, target: str, profiles: Path) -> None:
    selection = ["--indirect-selection", "buildable", "--select", f"tag:{tag}"]
    if earlier := earlier_passes(tag):
        selection += ["--exclude", *(f"tag:{name}" for name in earlier)]
    dbt(build_arguments("build", settings.dbt_vars()) + selection, settings, target, profiles)


def dbt(arguments: list[str], settings: Settings, target: str, profiles: Path) -> None:
    folder = settings.data_dir / f"dbt_{target}"
    command = [dbt_executable(), "--no-use-colors", "--log-path", str(folder), *arguments]
    command += ["--profiles-dir", str(profiles), "--target", target, "--target-path", str(folder)]
    done = subprocess.run(
        command,
        cwd=DBT_PROJECT_DIR,
        env={**os.environ, **settings.dbt_environment()},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def build(settings: Settings, warehouse: Warehouse, target: str, profiles: Path) -> None:
    """The three passes with the Python tables between them, as Dagster runs them."""
    between = {"base": _user_agents, "journey": _credit}
    for tag in PASSES:
        dbt_pass(tag, settings, target, profiles)
        if tag in between:
            between[tag](warehouse)


def sessionize_incrementally(settings: Settings, target: str, profiles: Path) -> None:
    """Every session replaced twice: by those of a shorter pause, then by those of the usual one."""
    for minutes in (5, settings.attribution.session_timeout_minutes):
        variables = settings.dbt_vars() | {"session_timeout_minutes": minutes}
        dbt([*build_arguments("run", variables), "--select", "int_sessions__spans"], settings, target, profiles)


def _user_agents(warehouse: Warehouse) -> None:
    agents = warehouse.query("select user_agent from intermediate.int_events__user_agents order by user_agent")
    warehouse.replace_table("enrichment", "dim_user_agent", parse_user_agents(agents["user_agent"]), COLUMN_TYPES)


def _credit(warehouse: Warehouse) -> None:
    paths = warehouse.query("select * from core.credit_paths order by path_id")
    for name in ("conversions", "non_conversions", "revenue"):
        paths[name] = paths[name].astype(float)
    channel_weights, path_weights = credit_from_paths(paths, min_conversions=20, n_bootstrap=50)
    touches, conversions, journeys = (warehouse.query(sql) for sql in (TOUCHES, CONVERSIONS, JOURNEYS))
    hazard, touch_weights = credit_from_people(touches, conversions, journeys, min_conversions=20)
    channel_weights = pd.concat([channel_weights, hazard], ignore_index=True)
    warehouse.replace_table("credit", "credit_channel_weights", channel_weights, CHANNEL_WEIGHT_TYPES)
    warehouse.replace_table("credit", "credit_path_weights", path_weights, PATH_WEIGHT_TYPES)
    warehouse.replace_table("credit", "credit_touch_weights", touch_weights, TOUCH_WEIGHT_TYPES)
    _conversion_model(warehouse)


def _conversion_model(warehouse: Warehouse) -> None:
    """Any coefficients will do: what is compared is how the two score with them."""
    found = warehouse.query("select distinct term from intermediate.int_scoring__features order by term")
    (kind,) = warehouse.query("select min(conversion_type) as kind from core.fct_conversions")["kind"]
    names = [INTERCEPT, *found["term"]]
    terms = pd.DataFrame({"term": names, "coefficient": [0.1 * (i % 7) - 0.4 for i in range(len(names))]})
    quality = pd.DataFrame({"conversion_type": [kind], "status": ["ok"], "model_version": ["any"]})
    quality = quality.reindex(columns=list(QUALITY_TYPES))
    warehouse.replace_table("credit", "conversion_model_terms", terms.assign(conversion_type=kind), TERM_TYPES)
    warehouse.replace_table("credit", "conversion_model_quality", quality, QUALITY_TYPES)


def land_on_snowflake(settings: Settings, warehouse: SnowflakeWarehouse) -> int:
    """Copy every landing table to the emulator by PUT and COPY; dlt's own Snowflake loader cannot speak to it."""
    tables = 0
    for path in sorted(settings.landing_dir.glob("landing_*.duckdb")):
        schema = path.stem.replace("landing_", "raw_")
        with duckdb.connect(str(path), read_only=True, config=DUCKDB_CONFIG) as connection:
            names = connection.execute(
                "select table_name from information_schema.tables "
                "where table_schema = ? and not starts_with(table_name, '_dlt')",
                [schema],
            ).fetchall()
            for (name,) in names:
                types = dict(
                    connection.execute(
                        "select column_name, data_type from information_schema.columns "
                        "where table_schema = ? and table_name = ? order by ordinal_position",
                        [schema, name],
                    ).fetchall()
                )
                # As text: the emulator reads a null timestamp from Parquet as 1970.
                selected = ", ".join(f'cast("{column}" as varchar) as "{column}"' for column in types)
                frame = connection.sql(f'select {selected} from {schema}."{name}"').df()
                warehouse.replace_table(
                    schema, name, frame, {key: _snowflake_type(kind) for key, kind in types.items()}
                )
                tables += 1
    return tables


def _snowflake_type(kind: str) -> str:
    if kind.startswith("TIMESTAMP"):
        return "timestamp_ntz"
    if kind.startswith("DECIMAL"):
        return kind.replace("DECIMAL", "number")
    return {"VARCHAR": "varchar", "BIGINT": "bigint", "DOUBLE": "double", "BOOLEAN": "boolean", "DATE": "date"}.get(
        kind, "varchar"
    )


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its columns and rows in a fixed order and every value in one type an engine cannot bend."""
    texts, numbers = {}, {}
    for name in sorted(frame.columns):
        values = frame[name].astype(object)
        known = values.dropna()
        if (
            len(known)
            and known.map(lambda value: isinstance(value, int | float | Decimal) and not isinstance(value, bool)).all()
        ):
            numbers[name] = pd.to_numeric(values.map(lambda value: None if pd.isna(value) else float(value)))
        else:
            texts[name] = values.map(lambda value: "" if pd.isna(value) else str(value).removesuffix(" 00:00:00"))
            # The emulator hands out a null timestamp as 1970, which no table of ours holds.
            texts[name] = texts[name].replace("1970-01-01", "")
    out = pd.DataFrame({**texts, **numbers})
    # Numbers only break ties between rows whose texts are equal, and coarsely: their last digits may differ.
    coarse = pd.DataFrame({**texts, **{name: values.round(3) for name, values in numbers.items()}})
    order = coarse.sort_values(list(coarse.columns), kind="stable").index
    return out.loc[order].reset_index(drop=True)


def test_core_tables_and_marts_agree_row_by_row(settings, emulator):
    duck = DuckDBWarehouse(path=str(settings.warehouse_path), landing_dir=str(settings.landing_dir))
    build(settings, duck, "duckdb", DBT_PROJECT_DIR)
    assert land_on_snowflake(settings, emulator) >= 15
    build(settings, emulator, "snowflake", HERE)
    sessionize_incrementally(settings, "snowflake", HERE)

    found = duck.query(
        "select table_schema || '.' || table_name as name from information_schema.tables "
        f"where table_schema in {COMPARED_SCHEMAS} order by 1"
    )
    tables = [*found["name"], "intermediate.int_sessions__spans"]
    assert len(tables) >= 8
    differing = {}
    for table in tables:
        # The fingerprint is each engine's own hash.
        ours, theirs = (
            canonical(warehouse.query(f"select * from {table}").drop(columns="events_fingerprint", errors="ignore"))
            for warehouse in (duck, emulator)
        )
        try:
            pd.testing.assert_frame_equal(ours, theirs, check_dtype=False, rtol=RELATIVE, atol=ABSOLUTE)
        except AssertionError as error:
            differing[table] = " ".join(str(error).split("[index]")[0].split()) + " … " + str(error)[-300:]
    assert not differing, json.dumps(differing, indent=1)
