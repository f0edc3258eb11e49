"""The platform's database on SQLite and on a real PostgreSQL: every test of the store runs on both."""

import sqlite3
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from attribution_platform.alerting.store import AlertStore
from attribution_platform.alerting.tables import METADATA
from attribution_platform.operations import engine_of
from tests.postgresql import postgresql_server


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """A test outlives no power cut: SQLite, ours and Dagster's, need not wait for the disk after each of some 3,700 commits."""

    def relax(connection, record):
        if isinstance(connection, sqlite3.Connection):
            connection.execute("pragma synchronous = off")

    sa.event.listen(sa.Engine, "connect", relax)
    yield
    sa.event.remove(sa.Engine, "connect", relax)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with postgresql_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        engine = engine_of(f"sqlite:///{tmp_path / 'state' / 'operations.sqlite'}")
    else:
        engine = engine_of(request.getfixturevalue("postgresql"))
        known = set(sa.inspect(engine).get_table_names()) & set(METADATA.tables)
        if known:
            # Emptied, not made again: that took longer than most of the tests.
            with engine.begin() as connection:
                names = ", ".join(f'"{name}"' for name in sorted(known))
                connection.execute(sa.text(f"truncate {names} restart identity"))
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine) -> AlertStore:
    return AlertStore(engine)
