"""The product's own database, read through SQLAlchemy: users, devices, requests, subscriptions, organisations.

Only the contract's columns are selected, so that whatever else a table holds never leaves the database. A table or an
optional column that is not there is left out and reported.
"""

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from dlt_pipelines import contract
from dlt_pipelines.config import BackendConfig, ExtractionWindow
from dlt_pipelines.http import Redactor
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.spec import Finding, ResourceSpec, SecretSpec, SourceSpec

if TYPE_CHECKING:
    from dlt.extract import DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "backend"
DATABASE_URL: Final = SecretSpec("BACKEND_DATABASE_URL", "SQLAlchemy address of the product's database, read-only user")
CURSORS: Final[Mapping[str, str]] = {
    "users": "updated_at",
    "device_fingerprints": "last_seen_at",
    "requests": "occurred_at",
    "subscriptions": "updated_at",
    "organisations": "updated_at",
}
# Raw columns that are hashed carry the plain value under another name in the database.
PLAIN_NAMES: Final[Mapping[str, str]] = {"email_hash": "email", "ip_hash": "ip"}


class BackendError(RuntimeError):
    """The database cannot be read; the message is free of credentials."""


def connect() -> sa.Engine:
    """An engine on the database; no connection is opened yet.

    Raises:
        MissingSecret: no address.
        BackendError: the address is not one.
    """
    try:
        address = sa.make_url(DATABASE_URL.read())
    except sa.exc.ArgumentError:
        raise BackendError(
            f"{DATABASE_URL.env} is not a database address. Write it as postgresql://user:password@host/name."
        ) from None
    if address.drivername in ("postgresql", "postgres"):
        # SQLAlchemy 2.1 means psycopg 3 by the bare name; psycopg2 is what is installed.
        address = address.set(drivername="postgresql+psycopg2")
    return sa.create_engine(address)


def build(config: BackendConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source of the database."""
    from dlt_pipelines.extraction import cursor_resource, make_source

    def puller(spec: ResourceSpec) -> Any:
        return lambda since: read_table(config, spec, since)

    return make_source(
        NAME,
        [
            cursor_resource(
                NAME,
                spec,
                window,
                hasher,
                lag=timedelta(minutes=config.lag_minutes),
                pull=puller(spec),
            )
            for spec in contract.BACKEND
        ],
    )


def read_table(config: BackendConfig, spec: ResourceSpec, since: datetime | None) -> Iterator[Mapping[str, Any]]:
    """Rows changed since then (all without it); none when the table is missing.

    Raises:
        BackendError: the database refuses, or the table lacks a key column.
    """
    engine = connect()
    try:
        present = _columns(engine, config, spec)
        if not present:
            LOG.warning("backend: table %s is missing; left out", spec.name)
            return
        with engine.connect().execution_options(yield_per=config.batch_rows) as connection:
            rows: Iterator[Mapping[str, Any]] = (
                dict(zip(present, row, strict=True))
                for row in connection.execute(_query(engine, config, spec, present, since))
            )
            yield from rows
    except sa.exc.SQLAlchemyError as error:
        raise BackendError(_readable(engine, error)) from None
    finally:
        engine.dispose()


def _readable(engine: sa.Engine, error: Exception) -> str:
    """The driver's first line, without the password and without the statement's values."""
    cause = getattr(error, "orig", None) or error
    first = (str(cause).strip().splitlines() or [type(error).__name__])[0]
    return f"backend: {Redactor([engine.url.password or ''])(first)} ({DATABASE_URL.env})"


def _source_name(column: str) -> str:
    return PLAIN_NAMES.get(column, column)


def _columns(engine: sa.Engine, config: BackendConfig, spec: ResourceSpec) -> list[str]:
    """Contract columns that the table has; empty when there is no such table."""
    inspector = sa.inspect(engine)
    schema = config.database_schema or None
    if not (inspector.has_table(spec.name, schema=schema)):
        return []
    held = {column["name"] for column in inspector.get_columns(spec.name, schema=schema)}
    present = [name for name in spec.column_names if _source_name(name) in held]
    missing_key = [name for name in spec.primary_key if name not in present]
    if missing_key:
        raise BackendError(f"backend: table {spec.name} lacks its key column {', '.join(missing_key)}.")
    absent = [_source_name(name) for name in spec.column_names if name not in present]
    if absent:
        LOG.warning("backend: table %s has no column %s; read as empty", spec.name, ", ".join(absent))
    return present


def _query(
    engine: sa.Engine, config: BackendConfig, spec: ResourceSpec, present: list[str], since: datetime | None
) -> sa.Select[Any]:
    """The select; columns carry no type, so that values arrive as the driver gives them and are typed in one place."""
    table = sa.table(
        spec.name, *(sa.column(_source_name(name)) for name in present), schema=config.database_schema or None
    )
    query = sa.select(*table.columns)
    cursor = CURSORS[spec.name]
    if since is not None and cursor in present:
        moment = since.astimezone(UTC)
        # SQLite keeps times as text, which compares like time when both sides are written alike.
        bound: Any = (
            moment.strftime("%Y-%m-%d %H:%M:%S")
            if engine.dialect.name == "sqlite"
            else _bound(engine, config, spec, moment)
        )
        query = query.where(table.c[cursor] >= bound)
    return query


def _bound(engine: sa.Engine, config: BackendConfig, spec: ResourceSpec, moment: datetime) -> datetime:
    """The bound in the column's own kind: PostgreSQL would read a zoned value in the session's zone otherwise."""
    columns = sa.inspect(engine).get_columns(spec.name, schema=config.database_schema or None)
    kind = next(column["type"] for column in columns if column["name"] == CURSORS[spec.name])
    return moment if getattr(kind, "timezone", False) else moment.replace(tzinfo=None)


def probe(config: BackendConfig) -> Iterator[Finding]:
    """Whether the database answers and has the tables."""
    engine = connect()
    try:
        for spec in contract.BACKEND:
            present = _columns(engine, config, spec)
            absent = [_source_name(name) for name in spec.column_names if name not in present]
            if not present:
                level, text = "warning", "table is missing; the tables built on it stay empty"
            elif absent:
                level, text = "warning", f"no column {', '.join(absent)}"
            else:
                level, text = "ok", "complete"
            yield Finding("ok" if level == "ok" else "warning", f"backend: {spec.name}", text)
    except sa.exc.SQLAlchemyError as error:
        yield Finding("error", "backend", _readable(engine, error), f"Check {DATABASE_URL.env}.")
    finally:
        engine.dispose()


SPEC: Final = SourceSpec(
    name=NAME,
    title="Product database",
    config_model=BackendConfig,
    resources=contract.BACKEND,
    secrets=(DATABASE_URL,),
    build=build,
    probe=probe,
)
