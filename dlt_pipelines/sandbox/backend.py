"""The shop's relational backend in the sandbox: SQLAlchemy tables, and filling them from a world.

SQLite by default, PostgreSQL through ``postgresql+psycopg2://``. Filling replaces rows by primary key, so doing it twice
changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Engine,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    create_engine,
    delete,
    insert,
    make_url,
)

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("user_id", String(64), primary_key=True),
    Column("email", String(320), nullable=False),
    Column("email_verified", Boolean, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("updated_at", DateTime, nullable=False, index=True),
    Column("customer_source", Text),
    Column("organisation_id", String(64)),
    Column("country", String(2)),
)
device_fingerprints = Table(
    "device_fingerprints",
    metadata,
    Column("device_id", String(64), primary_key=True),
    Column("fingerprint_id", String(64), primary_key=True),
    Column("user_id", String(64)),
    Column("first_seen_at", DateTime, nullable=False),
    Column("last_seen_at", DateTime, nullable=False, index=True),
)
requests = Table(
    "requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("occurred_at", DateTime, nullable=False, index=True),
    Column("device_id", String(64)),
    Column("user_id", String(64)),
    Column("path", Text, nullable=False),
    Column("referrer", Text),
    Column("user_agent", Text),
    Column("ip", String(45)),
    Column("event_name", String(64)),
    Column("fingerprint_id", String(64)),
)
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("subscription_id", String(64), primary_key=True),
    Column("user_id", String(64)),
    Column("organisation_id", String(64)),
    Column("product", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("started_at", DateTime, nullable=False),
    Column("cancelled_at", DateTime),
    Column("amount", Numeric(20, 6), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("billing_period", String(16), nullable=False),
    Column("updated_at", DateTime, nullable=False, index=True),
)
organisations = Table(
    "organisations",
    metadata,
    Column("organisation_id", String(64), primary_key=True),
    Column("domain", String(255), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("plan", String(32)),
    Column("updated_at", DateTime, nullable=False, index=True),
)

_BATCH = 5_000


def _value(value: Any, column: Column[Any]) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(column.type, Boolean):
        return bool(value)
    if isinstance(column.type, Numeric):
        return Decimal(str(value))
    return value


def rows_of(frame: pd.DataFrame, table: Table) -> list[dict[str, Any]]:
    """Plain rows with the table's columns; missing values become None."""
    columns = list(table.columns)
    series = [[_value(value, column) for value in frame[column.name]] for column in columns]
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*series, strict=True)]


def fill(url: str, frames: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """Create the backend's tables where missing and make their rows equal to ``frames``, in one transaction.

    Args:
        url: SQLAlchemy URL.
        frames: by table name; a table without a frame is left alone.

    Returns:
        Rows by table.
    """
    # SQLAlchemy 2.1 takes plain postgresql:// for psycopg 3, which is not installed; the platform uses psycopg2.
    address = make_url(url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg2")
    engine: Engine = create_engine(address)
    written: dict[str, int] = {}
    try:
        metadata.create_all(engine)
        with engine.begin() as connection:
            for table in metadata.sorted_tables:
                if table.name not in frames:
                    continue
                rows = rows_of(frames[table.name], table)
                connection.execute(delete(table))
                for first in range(0, len(rows), _BATCH):
                    connection.execute(insert(table), rows[first : first + _BATCH])
                written[table.name] = len(rows)
    finally:
        engine.dispose()
    return written
