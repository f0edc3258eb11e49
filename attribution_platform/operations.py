"""The platform's own database: what it must remember between runs and may not lose, such as alerts and who silenced them.

SQLite beside the data on one machine; PostgreSQL where several machines share one platform. The warehouse is no place for it:
DuckDB has one writer, and a message must go out while a run holds it.
"""

import os

import sqlalchemy as sa

from attribution_platform.settings import Settings, SettingsError

DATABASE_URL_VARIABLE = "ATTRIBUTION_DATABASE_URL"
# SQLite lets one process write at a time; the others wait this long before they give up.
BUSY_SECONDS = 30


def database_engine(settings: Settings) -> sa.Engine:
    """An engine on the platform's database; no connection is opened yet.

    Raises:
        SettingsError: the address in the environment is none of a database that is supported.
    """
    return engine_of(os.environ.get(DATABASE_URL_VARIABLE) or f"sqlite:///{settings.operations_path}")


def engine_of(address: str) -> sa.Engine:
    """An engine for a SQLite or PostgreSQL address; the folder of a SQLite file is made.

    Raises:
        SettingsError: it is neither. The address holds a password and is not repeated.
    """
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        url = None
    if url is not None and url.get_backend_name() in ("postgresql", "postgres"):
        # SQLAlchemy 2.1 means psycopg 3 by the bare name; psycopg2 is what is installed.
        # Connections are few and may be cut by a server that restarts: each is tried before it is used.
        return sa.create_engine(url.set(drivername="postgresql+psycopg2"), pool_pre_ping=True)
    if url is None or url.get_backend_name() != "sqlite":
        raise SettingsError(
            f"{DATABASE_URL_VARIABLE} is no address of a database the platform can keep its state in. Write it as "
            "postgresql://user:password@host/name, or leave it unset to use a file beside the data."
        )
    if url.database:
        os.makedirs(os.path.dirname(os.path.abspath(url.database)), exist_ok=True)
    return sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS})
