"""Every source is pulled once, and whatever lies on disk meanwhile and afterwards is searched for the people of the world.

Searched are the files of dlt's folders while each table is being loaded, the landing files, every row of every table in them,
and the log: for e-mail addresses, phone numbers, network addresses, names of deals, and first and last names.
"""

import re
from datetime import timedelta
from urllib.parse import quote

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob

from dlt_pipelines.pipeline import landing_file
from dlt_pipelines.registry import SOURCES
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.world import WorldConfig, build_world
from dlt_pipelines.sandbox.world_platforms import PLATFORMS
from tests.extraction.every_source import every_source
from tests.extraction.harness import make_window

# A shorter name is part of too many words, and of random ids.
SHORTEST_NAME = 5
WORDS = re.compile(rb"(?<![A-Za-z0-9_\-+/])[A-Za-z]{%d,}(?![A-Za-z0-9_\-+/])" % SHORTEST_NAME)
ADDRESSES = re.compile(rb"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9.])")


@pytest.fixture(scope="module")
def world():
    return build_world(WorldConfig(people=150, days=21, seed=3, platforms=tuple(PLATFORMS)))


def decoded(path, content):
    """A file's bytes, and what they say where they are compressed; empty pages left out."""
    text = content.replace(b"\0", b"")
    return text + repr(pq.read_table(path).to_pydict()).encode() if path.suffix == ".parquet" else text


def all_rows(path):
    """Every row of every table of a landing file, dlt's own and staged ones included."""
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return b"\n".join(
            repr(connection.execute(f'select * from "{schema}"."{table}"').fetchall()).encode()
            for schema, table in tables
        )


def personal_values(world):
    """Texts that may stand nowhere, words that may not stand alone, and network addresses."""
    people = world.people
    texts = {str(value) for column in ("email", "phone") for value in people[column].dropna()}
    texts |= {quote(text) for text in texts} | {re.sub(r"\D", "", phone) for phone in people["phone"].dropna()}
    texts |= set(world.deals["name"].dropna())
    texts |= {f"{first} {last}" for first, last in zip(people["first_name"], people["last_name"], strict=True)}
    names = {name for name in {*people["first_name"], *people["last_name"]} if len(name) >= SHORTEST_NAME}
    ips = pd.concat([world.devices["ip"], world.events["ip"], world.email_activity["ip"], world.requests["ip"]])
    return texts, names, {str(ip) for ip in ips.dropna()}


def test_nothing_personal_is_left_by_any_source(loader, world, tmp_path, monkeypatch, pauses, caplog):
    left: dict[str, bytes] = {}
    whole = DuckDbCopyJob.run

    def look_and_load(job):
        for path in (loader.folder / "dlt").rglob("*"):
            if path.is_file() and str(path) not in left:
                left[str(path)] = decoded(path, path.read_bytes())
        whole(job)

    monkeypatch.setattr(DuckDbCopyJob, "run", look_and_load)
    first = world.config.start_on
    window = make_window(first, first + timedelta(days=world.config.days))
    with SandboxServer(world) as server, caplog.at_level("DEBUG"):
        configs, variables = every_source(world, server, tmp_path / "given")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name, config in configs.items():
            loaded = loader.load(SOURCES[name], config, window).rows
            assert sum(loaded.values()) > 0, name
            left[f"rows of {name}"] = all_rows(landing_file(loader.folder / "landing", name))
    assert set(configs) == set(SOURCES)
    assert sum(path.endswith(".parquet") for path in left) > len(SOURCES), "dlt's files were not looked at"
    left.update({str(path): decoded(path, content) for path, content in loader.left_behind()})
    left["the log"] = caplog.text.encode()
    texts, names, ips = personal_values(world)
    assert len(texts) > 300
    assert len(names) > 30
    assert len(ips) > 50
    found = set()
    for place, content in left.items():
        found |= {(place, text) for text in texts if text.encode() in content}
        found |= {(place, word) for word in names & {match.decode() for match in WORDS.findall(content)}}
        found |= {(place, ip) for ip in ips & {match.decode() for match in ADDRESSES.findall(content)}}
    assert found == set()
