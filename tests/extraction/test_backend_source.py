"""The product's own database: only the contract's columns leave it, changes are read with a lag, gaps are tolerated."""

import sqlite3
from datetime import UTC, date, datetime

import pytest

from dlt_pipelines.config import BackendConfig
from dlt_pipelines.pipeline import ExtractionFailed
from dlt_pipelines.sources.backend import SPEC
from tests.extraction.harness import make_window

CONFIG = BackendConfig(enabled=True)


@pytest.fixture
def database(tmp_path, monkeypatch):
    path = tmp_path / "backend.sqlite"
    monkeypatch.setenv("BACKEND_DATABASE_URL", f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            create table users (user_id integer primary key, email text, email_verified integer, created_at text,
                updated_at timestamp, customer_source text, password_hash text, full_name text);
            insert into users values
                (1, 'Ada@Example.com', 1, '2026-08-01T10:00:00Z', '2026-09-01 10:00:00', 'a friend, bob@example.com', 'x', 'Ada'),
                (2, null, 0, '2026-08-02', '2026-09-20 10:00:00.000000', null, 'y', 'Grace');
            create table subscriptions (subscription_id text, user_id integer, amount numeric, updated_at text);
            insert into subscriptions values ('s1', 1, 29.99, '2026-09-01 10:00:00'), ('s1', 1, 29.99, '2026-09-01 10:00:00');
            create table requests (request_id text primary key, occurred_at text, path text, ip text);
            insert into requests values ('r1', '2026-09-30 23:30:00', '/login?email=ada@example.com', '203.0.113.7');
            """
        )
    return path


def change(path, sql):
    with sqlite3.connect(path) as connection:
        connection.execute(sql)


def test_rows_are_typed_hashed_and_once_each(loader, database):
    result = loader.load(SPEC, CONFIG)
    assert result.rows == {"users": 2, "device_fingerprints": 0, "requests": 1, "subscriptions": 1, "organisations": 0}
    columns = "user_id, email_hash, email_verified, created_at, customer_source, country"
    assert loader.query("backend", f"select {columns} from raw_backend.users order by 1") == [
        ("1", loader.hasher.email("ada@example.com"), True, datetime(2026, 8, 1, 10), "a friend, redacted", None),
        ("2", None, False, datetime(2026, 8, 2), None, None),
    ]
    stored = {name for name, *_ in loader.query("backend", "describe raw_backend.users")}
    assert not stored & {"password_hash", "full_name"}
    for path, content in loader.left_behind():
        for plain in (b"ada@example.com", b"Ada@Example.com", b"bob@example.com", b"203.0.113.7", b"Grace"):
            assert plain not in content, path


def test_changes_are_read_with_a_lag_and_equal_rows_stay(loader, database):
    loader.load(SPEC, CONFIG)
    before = loader.stored("backend")
    again = loader.load(SPEC, CONFIG)
    assert again.rows["requests"] == 1, "inside the lag: read again"
    assert again.rows["users"] == 0
    assert loader.stored("backend") == before
    change(
        database, "update users set customer_source = 'podcast', updated_at = '2026-10-01 09:00:00' where user_id = 2"
    )
    change(database, "update users set customer_source = 'unseen' where user_id = 1")
    window = make_window(end=date(2026, 10, 2), now=datetime(2026, 10, 2, tzinfo=UTC))
    assert loader.load(SPEC, CONFIG, window).rows["users"] == 1
    assert loader.query("backend", "select customer_source from raw_backend.users order by user_id") == [
        ("a friend, redacted",),
        ("podcast",),
    ]


def test_a_table_without_its_key_is_an_error_and_the_doctor_sees_the_rest(loader, database):
    findings = {finding.subject: (finding.level, finding.message) for finding in SPEC.check(CONFIG)}
    assert findings["backend: organisations"] == ("warning", "table is missing; the tables built on it stay empty")
    assert findings["backend: users"] == ("warning", "no column organisation_id, country")
    change(database, "drop table requests")
    change(database, "create table requests (id text)")
    with pytest.raises(ExtractionFailed, match="table requests lacks its key column request_id"):
        loader.load(SPEC, CONFIG)
    (finding,) = [item for item in SPEC.check(CONFIG) if item.level == "error"]
    assert "request_id" in finding.message


def test_a_wrong_address_is_told_without_the_password(loader, monkeypatch):
    monkeypatch.setenv("BACKEND_DATABASE_URL", "not an address with hush-hush")
    with pytest.raises(ExtractionFailed, match="is not a database address") as caught:
        loader.load(SPEC, CONFIG)
    assert "hush" not in str(caught.value)
    monkeypatch.setenv("BACKEND_DATABASE_URL", "postgresql://reader:hush-hush@127.0.0.1:9/shop")
    with pytest.raises(ExtractionFailed, match="BACKEND_DATABASE_URL") as caught:
        loader.load(SPEC, CONFIG)
    assert "hush" not in str(caught.value)
    assert [finding.level for finding in SPEC.check(CONFIG)] == ["error"]
    monkeypatch.delenv("BACKEND_DATABASE_URL")
    assert "BACKEND_DATABASE_URL" in SPEC.check(CONFIG)[0].subject
