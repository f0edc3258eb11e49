"""The product's database as PostgreSQL, on a private server that lives as long as this module."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from dlt_pipelines.config import BackendConfig
from dlt_pipelines.sources import backend
from tests.extraction.harness import make_window
from tests.postgresql import postgresql_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgresql_server() as address:
        yield address


@pytest.fixture
def database(server, monkeypatch):
    monkeypatch.setenv("BACKEND_DATABASE_URL", server)
    engine = backend.connect()
    with engine.begin() as connection:
        connection.execute(sa.text("drop schema if exists shop cascade"))
        connection.execute(sa.text("create schema shop"))
        connection.execute(
            sa.text(
                """
                create table shop.users (user_id uuid primary key, email text, email_verified boolean,
                    created_at timestamptz, updated_at timestamptz, secret_note text);
                insert into shop.users values
                    ('00000000-0000-0000-0000-000000000001', 'ada@example.com', true, '2026-08-01 12:00+02',
                     '2026-09-01 12:00+02', 'x');
                create table shop.subscriptions (subscription_id bigint primary key, user_id uuid, amount numeric(12, 2),
                    started_at date, updated_at timestamp);
                insert into shop.subscriptions values (1, null, 29.90, '2026-09-01', '2026-09-30 23:30');
                """
            )
        )
    yield engine
    engine.dispose()


def test_rows_changes_and_types_of_postgresql(loader, database):
    config = BackendConfig(enabled=True, database_schema="shop", batch_rows=1)
    assert loader.load(backend.SPEC, config).rows == {
        "users": 1,
        "device_fingerprints": 0,
        "requests": 0,
        "subscriptions": 1,
        "organisations": 0,
    }
    assert loader.query("backend", "select user_id, email_hash, email_verified, created_at from raw_backend.users") == [
        (
            "00000000-0000-0000-0000-000000000001",
            loader.hasher.email("ada@example.com"),
            True,
            datetime(2026, 8, 1, 10),
        )
    ]
    stored = "select subscription_id, amount, started_at, updated_at from raw_backend.subscriptions"
    assert loader.query("backend", stored) == [
        ("1", Decimal("29.900000"), datetime(2026, 9, 1), datetime(2026, 9, 30, 23, 30))
    ]
    before = loader.stored("backend")
    with database.begin() as connection:
        # Inside the lag before the last run, by the instant and not by the session's clock on the wall.
        connection.execute(sa.text("update shop.users set email_verified = false, updated_at = '2026-09-30 23:10+00'"))
    window = make_window(end=date(2026, 10, 2), now=datetime(2026, 10, 2, tzinfo=UTC))
    rows = loader.load(backend.SPEC, config, window).rows
    assert (rows["users"], rows["subscriptions"]) == (1, 1)
    assert loader.stored("backend")["subscriptions"] == before["subscriptions"]
    assert loader.query("backend", "select email_verified from raw_backend.users") == [(False,)]
    assert {finding.level for finding in backend.SPEC.check(config)} == {"warning"}
