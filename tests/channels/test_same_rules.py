"""`attribution classify`, dbt on DuckDB and dbt on Snowflake run one set of rules."""

import csv
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from attribution_platform.channel_sql import SEEDS, ChannelMacros
from attribution_platform.classify import classify_frame
from attribution_platform.layout import DBT_PROJECT_DIR
from tests.channels.adjudication import published_visits

RULES = [{"id": "it's", "channel": "Audio", "campaign": r"^pod\w+'s"}]
OWN = ["shop.example", "o.example"]


def seed(name: str) -> list[list[str]]:
    with (DBT_PROJECT_DIR / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def plain(sql: str) -> str:
    """Without layout, and with dbt's qualified relations as bare names."""
    return re.sub(r"\s+", " ", re.sub(r'"[^"]+"\."seeds"\."([^"]+)"', r"\1", sql)).strip()


def test_dbt_compiles_the_very_sql_that_classify_runs(tmp_path):
    calls = ["classify_hosts('mentions')", "classify_channels('visits', 'hosts')", "channel_host('x')"]
    (tmp_path / "landing").mkdir()
    environment = {
        **os.environ,
        "ATTRIBUTION_DBT_TARGET": "duckdb",
        "ATTRIBUTION_WAREHOUSE_PATH": str(tmp_path / "warehouse.duckdb"),
        "ATTRIBUTION_LANDING_DIR": str(tmp_path / "landing"),
        "ATTRIBUTION_DBT_PLUGINS": str(DBT_PROJECT_DIR / "plugins"),
        "DBT_LOG_PATH": str(tmp_path),
    }
    command = [
        str(Path(sys.executable).parent / "dbt"), "--quiet", "compile", "--output", "json",
        "--target-path", str(tmp_path / "target"),
        "--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR),
        "--vars", json.dumps({"channel_rules": RULES, "own_domains": OWN}),
        "--inline", " ;; ".join(f"{{{{ {call} }}}}" for call in calls),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    compiled = json.loads(done.stdout[done.stdout.index("{") :])["compiled"]
    macros = ChannelMacros(RULES, OWN)
    ours = " ;; ".join(
        [
            macros.render("classify_hosts", "mentions"),
            macros.render("classify_channels", "visits", "hosts"),
            macros.render("channel_host", "x"),
        ]
    )
    assert plain(compiled) == plain(ours)


def test_seeds_are_sorted_and_within_what_the_rules_look_up():
    header, *rows = seed("referrer_domain_mapping")
    domains = [row[0] for row in rows]
    assert header == ["domain", "source", "domain_type"]
    assert domains == sorted(set(domains))
    assert all(domain == domain.lower() and 2 <= domain.count(".") + 1 <= 6 for domain in domains)
    assert all(
        not domain.startswith("www.") and ("*" not in domain or re.fullmatch(r"[^*]+\.\*", domain))
        for domain in domains
    )
    names = [row[0] for row in seed("channel_sources")[1:]]
    assert names == sorted(set(names))
    assert all(name == name.strip().lower() for name in names)


def test_every_click_id_of_the_seed_is_read_and_ad_only_ids_first():
    sql = ChannelMacros().render("classify_channels", "visits", "hosts")
    rows = {row[0]: row for row in seed("click_ids")[1:]}
    columns = [name for name, row in rows.items() if row[5] == "true"]
    # One CASE names the id, in order of preference.
    order = re.findall(r"<> '' then '(\w+)'", sql)
    assert sorted(order) == sorted(columns)
    classes = [rows[name][2] for name in order]
    assert classes == sorted(classes)
    parameters = re.search(r"\[\?&;\]\(([^)]*)\)=", sql)
    assert parameters is not None
    assert sorted(parameters[1].split("|")) == sorted(set(rows) - set(columns))
    events = (DBT_PROJECT_DIR / "macros" / "events" / "tracking_values.sql").read_text(encoding="utf-8")
    listed = re.search(r"macro click_id_fields.*?endmacro", events, re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r'"(\w+)"', listed[0])) == sorted(columns)


def quoted(value: str) -> str:
    # The emulator takes a dollar before a word for a session variable.
    text = value.replace("\\", "\\\\").replace("'", "''").replace("$", "' || chr(36) || '")
    return "null" if value == "" else f"'{text}'"


@contextmanager
def emulator() -> Iterator[tuple[Any, Callable[[str, Sequence[str], Sequence[Sequence[str]]], None]]]:
    """A Snowflake cursor, and a way to load a table of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fakesnow
        import snowflake.connector

        with fakesnow.patch():
            cursor = snowflake.connector.connect(database="d", schema="s").cursor()

            def load(table: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
                cursor.execute(f"create table {table} ({', '.join(f'{name} varchar' for name in header)})")
                text = ", ".join(f"({', '.join(quoted(value) for value in row)})" for row in rows)
                cursor.execute(f"insert into {table} values {text}")

            yield cursor, load


@pytest.mark.snowflake
def test_the_snowflake_emulator_agrees_on_every_published_case(cases):
    visits = published_visits(cases)
    here = classify_frame(visits, RULES, OWN)
    macros = ChannelMacros(RULES, OWN, dialect="snowflake")
    ids = sorted(row[0] for row in seed("click_ids")[1:] if row[5] == "true")
    columns = [
        "visit_id", "source", "medium", "campaign", "referrer", "page_url", "page_host", "page_path", "in_app_browser",
    ]  # fmt: skip
    with emulator() as (cursor, load):
        for name in SEEDS:
            header, *rows = seed(name)
            load(name, header, rows)
        given = visits.rename(columns={"case_id": "visit_id"}).reindex(columns=[*columns, *ids]).fillna("")
        load("given", given.columns.tolist(), given.to_numpy().tolist())
        cleaned = ", ".join(f"{macros.render('click_id_value', name)} as {name}" for name in ids)
        cursor.execute(
            f"create table visits as select {', '.join(columns)}, {cleaned}, "
            f"{macros.render('channel_host', 'referrer')} as referrer_host from given"
        )
        cursor.execute(
            "create table mentions as select referrer_host as host from visits union "
            f"select {macros.render('channel_host', 'source')} from visits where position('.' in source) > 0"
        )
        cursor.execute(f"create table hosts as {macros.render('classify_hosts', 'mentions')}")
        cursor.execute(f"create table channels as {macros.render('classify_channels', 'visits', 'hosts')}")
        there = dict(cursor.execute("select visit_id, channel_reason from channels").fetchall())
    assert there == dict(zip(here["case_id"], here["channel_reason"], strict=True))


@pytest.mark.snowflake
def test_the_snowflake_emulator_agrees_on_every_self_reported_answer():
    with Path(__file__).with_name("self_reported_answers.csv").open(encoding="utf-8", newline="") as file:
        answers = [row["answer"] for row in csv.DictReader(file)]
    header, *rows = seed("customer_source_mapping")
    with emulator() as (cursor, load):
        load("customer_source_mapping", header, rows)
        load("given", ["response"], [[answer] for answer in answers])
        mapped = ChannelMacros(dialect="snowflake").render("map_self_reported", "given")
        there = sorted(cursor.execute(mapped).fetchall(), key=str)
    with duckdb.connect() as connection:
        connection.register("customer_source_mapping", pd.DataFrame(rows, columns=header))
        connection.register("given", pd.DataFrame({"response": answers}))
        here = sorted(connection.execute(ChannelMacros().render("map_self_reported", "given")).fetchall(), key=str)
    assert there == here
