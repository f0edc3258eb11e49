"""The platform's database on SQLite and on a real PostgreSQL: every test of the store runs on both."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from attribution_platform.alerting.store import AlertStore
from attribution_platform.alerting.tables import METADATA
from attribution_platform.operations import engine_of
from tests.postgresql import postgresql_server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with postgresql_server() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path) -> Iterator[sa.Engine]:
    if request.param == "sqlite":
        engine = engine_of(f"sqlite:///{tmp_path / 'state' / 'operations.sqlite'}")
        # A test outlives no power cut, and waiting for the disk would take most of its time.
        sa.event.listen(engine, "connect", lambda connection, record: connection.execute("pragma synchronous = off"))
    else:
        engine = engine_of(request.getfixturevalue("postgresql"))
        METADATA.drop_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine) -> AlertStore:
    return AlertStore(engine)
