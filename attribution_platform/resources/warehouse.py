"""One warehouse protocol, two implementations. Python assets read and write through it and never see which one it is.

dagster-duckdb's own resource leaves the file open when the body raises, which locks out the next writer of this process;
ours closes in `finally`, and every connection uses one configuration because DuckDB refuses a second, different one.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg
import duckdb
import pandas as pd
from dagster_duckdb import DuckDBResource
from pydantic import Field

from attribution_platform.keys import RAW_PREFIX

if TYPE_CHECKING:
    from dagster_snowflake import SnowflakeResource

DUCKDB_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@dataclass(frozen=True)
class TableFacts:
    """Size and shape of a table: column name to type, in order."""

    row_count: int
    columns: dict[str, str]


class Warehouse(Protocol):
    """What an asset may ask of the warehouse."""

    def query(self, sql: str) -> pd.DataFrame:
        """Rows of one statement; column names lower case."""
        ...

    def replace_table(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        """Write a whole table in one transaction. `types` maps column to SQL type and fixes the order."""
        ...

    def append_rows(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        """Add rows to a table in one transaction, making it if need be: for what must never be overwritten."""
        ...

    def replace_from_query(self, schema: str, table: str, sql: str) -> None:
        """Write a whole table from a statement, in the warehouse: no row leaves it."""
        ...

    def sample(self, schema: str, table: str, columns: Sequence[str], limit: int) -> pd.DataFrame | None:
        """Some rows of a table, raw ones included; None when the table does not exist yet."""
        ...

    def row_count(self, schema: str, table: str) -> int:
        """Rows of a table, raw ones included; 0 when it does not exist yet."""
        ...

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Column name to type, both lower case and in order, raw tables included; empty when the table does not exist yet."""
        ...

    def table_facts(self, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], TableFacts]:
        """Facts of those of the given (schema, table) pairs that exist."""
        ...

    def publish(self, target: Path) -> int:
        """Make the finished tables readable for others, atomically; returns the bytes published (0 on a server)."""
        ...


# Not a start-up option: the time zone is known only once the built-in extension is loaded.
SESSION = "set TimeZone = 'UTC'"


COLUMNS = """
    select table_schema, table_name, column_name, data_type
    from information_schema.columns order by table_schema, table_name, ordinal_position
"""


def _identifier(name: str) -> str:
    if not name.replace("_", "").isalnum():
        raise ValueError(f"{name!r} is not a table or schema name")
    return name


def _selection(schema: str, table: str, columns: Sequence[str]) -> str:
    return f"select {', '.join(_identifier(name) for name in columns)} from {_identifier(schema)}.{_identifier(table)}"


def _columns_sql(schema: str, table: str) -> str:
    return (
        "select column_name, data_type from information_schema.columns "
        f"where lower(table_schema) = '{_identifier(schema).lower()}' and lower(table_name) = '{_identifier(table).lower()}' "
        "order by ordinal_position"
    )


def _columns_of(found: pd.DataFrame | None) -> dict[str, str]:
    rows = [] if found is None else list(found.itertuples(index=False))
    return {str(row.column_name).lower(): str(row.data_type).lower() for row in rows}


def _facts(warehouse: Warehouse, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], TableFacts]:
    """Two statements whatever the number of tables."""
    wanted = set(tables)
    columns: dict[tuple[str, ...], dict[str, str]] = {}
    for row in warehouse.query(COLUMNS).itertuples(index=False):
        key = (str(row.table_schema).lower(), str(row.table_name).lower())
        if key in wanted:
            columns.setdefault(key, {})[str(row.column_name).lower()] = str(row.data_type).lower()
    if not columns:
        return {}
    counts = " union all ".join(
        f"select '{schema}' as table_schema, '{table}' as table_name, n from ({_count(schema, table)}) as counted"
        for schema, table in columns
    )
    rows: list[dict[Any, Any]] = warehouse.query(counts).to_dict("records")
    return {
        (row["table_schema"], row["table_name"]): TableFacts(
            int(row["n"]), columns[row["table_schema"], row["table_name"]]
        )
        for row in rows
    }


def _count(schema: str, table: str) -> str:
    return f"select count(*) as n from {_identifier(schema)}.{_identifier(table)}"


class DuckDBWarehouse(dg.ConfigurableResource):
    """The embedded warehouse: one file, one writer, short connections."""

    path: str
    landing_dir: str
    memory_limit: str = "3GB"

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        config = DUCKDB_CONFIG | {"memory_limit": self.memory_limit}
        with DuckDBResource(database=self.path, connection_config=config).get_connection() as connection:
            try:
                connection.execute(SESSION)
                yield connection
            finally:
                connection.close()

    def query(self, sql: str) -> pd.DataFrame:
        with self.connection() as connection:
            return connection.sql(sql).df()

    def replace_table(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        self._write(schema, table, frame, types, keep=False)

    def append_rows(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        self._write(schema, table, frame, types, keep=True)

    def _write(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str], keep: bool) -> None:
        columns = ", ".join(f"cast({_identifier(name)} as {kind}) as {name}" for name, kind in types.items())
        name = f"{_identifier(schema)}.{_identifier(table)}"
        with self.connection() as connection:
            connection.register("incoming", frame[list(types)])
            connection.execute("begin")
            try:
                connection.execute(f"create schema if not exists {schema}")
                if keep:
                    connection.execute(f"create table if not exists {name} as select {columns} from incoming limit 0")
                    connection.execute(f"insert into {name} by name select {columns} from incoming")
                else:
                    connection.execute(f"create or replace table {name} as select {columns} from incoming")
                connection.execute("commit")
            except duckdb.Error:
                connection.execute("rollback")
                raise

    def replace_from_query(self, schema: str, table: str, sql: str) -> None:
        with self.connection() as connection:
            connection.execute(f"create schema if not exists {_identifier(schema)}")
            connection.execute(f"create or replace table {schema}.{_identifier(table)} as {sql}")

    def sample(self, schema: str, table: str, columns: Sequence[str], limit: int) -> pd.DataFrame | None:
        return self._from_table(schema, table, f"{_selection(schema, table, columns)} limit {int(limit)}")

    def row_count(self, schema: str, table: str) -> int:
        counted = self._from_table(schema, table, _count(schema, table))
        return 0 if counted is None else int(counted["n"].iloc[0])

    def columns(self, schema: str, table: str) -> dict[str, str]:
        return _columns_of(self._from_table(schema, table, _columns_sql(schema, table)))

    def _from_table(self, schema: str, table: str, sql: str) -> pd.DataFrame | None:
        """Rows of a query over one table that may not exist yet."""
        with self._holding(schema) as connection:
            if connection is None:
                return None
            found = connection.execute(
                "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
            ).fetchall()
            return connection.sql(sql).df() if found else None

    @contextmanager
    def _holding(self, schema: str) -> Iterator[duckdb.DuckDBPyConnection | None]:
        """The file that holds a schema: a source's landing file, read-only, or the warehouse itself."""
        if not schema.startswith(RAW_PREFIX):
            with self.connection() as connection:
                yield connection
            return
        landing = Path(self.landing_dir) / f"landing_{schema.removeprefix(RAW_PREFIX)}.duckdb"
        if not landing.exists():
            yield None
            return
        connection = duckdb.connect(str(landing), read_only=True, config=DUCKDB_CONFIG)
        try:
            connection.execute(SESSION)
            yield connection
        finally:
            connection.close()

    def table_facts(self, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], TableFacts]:
        return _facts(self, tables)

    def publish(self, target: Path) -> int:
        """Checkpoint, copy, rename: a reader keeps its old file and never sees half of the new one."""
        with self.connection() as connection:
            connection.execute("checkpoint")
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        copy = Path(name)
        try:
            with Path(self.path).open("rb") as source, copy.open("wb") as out:
                while chunk := source.read(1 << 22):
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            copy.chmod(0o644)
            copy.replace(target)
        finally:
            copy.unlink(missing_ok=True)
        return target.stat().st_size


class SnowflakeWarehouse(dg.ConfigurableResource):
    """The production warehouse. Connection values come from the environment; none is kept here."""

    account: str
    user: str
    password: str
    role: str
    warehouse: str
    database: str
    # host, port and protocol of a private link or of the emulator the tests use
    connection_arguments: dict[str, Any] = Field(default_factory=dict)

    def _resource(self) -> "SnowflakeResource":
        # Importing dagster_snowflake costs 8 to 10 s (it pulls Snowpark and dbt), so the DuckDB path never does.
        from dagster_snowflake import SnowflakeResource

        return SnowflakeResource(
            account=self.account,
            user=self.user,
            password=self.password,
            role=self.role,
            warehouse=self.warehouse,
            database=self.database,
            additional_snowflake_connection_args={
                "session_parameters": {"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
                **self.connection_arguments,
            },
        )

    @contextmanager
    def connection(self) -> Iterator[Any]:
        with self._resource().get_connection() as connection:
            yield connection

    def query(self, sql: str) -> pd.DataFrame:
        with self.connection() as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return pd.DataFrame(cursor.fetchall(), columns=[column[0].lower() for column in cursor.description])

    def replace_table(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        # Readers see the old table until this one statement.
        self._load(
            schema,
            table,
            frame,
            types,
            f"create or replace table {schema}.{table} as select * from {schema}.{table}__new",
        )

    def append_rows(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str]) -> None:
        definition = ", ".join(f"{name} {kind}" for name, kind in types.items())
        names = ", ".join(types)
        self._load(
            schema,
            table,
            frame,
            types,
            f"create table if not exists {schema}.{table} ({definition})",
            f"insert into {schema}.{table} ({names}) select {names} from {schema}.{table}__new",
        )

    def _load(self, schema: str, table: str, frame: pd.DataFrame, types: dict[str, str], *then: str) -> None:
        """Stage a Parquet file and load it beside the table: one statement whatever the number of rows, and no executemany."""
        columns = ", ".join(f"$1:{_identifier(name)}::{kind} as {name}" for name, kind in types.items())
        with self.connection() as connection, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{_identifier(table)}.parquet"
            frame[list(types)].to_parquet(file, index=False)
            cursor = connection.cursor()
            cursor.execute(f"create schema if not exists {_identifier(schema)}")
            cursor.execute(f"create or replace stage {schema}.stage_{table}")
            cursor.execute(f"put 'file://{file}' @{schema}.stage_{table}")
            definition = ", ".join(f"{name} {kind}" for name, kind in types.items())
            cursor.execute(f"create or replace table {schema}.{table}__new ({definition})")
            cursor.execute(
                f"copy into {schema}.{table}__new from (select {columns} from @{schema}.stage_{table}/{file.name}) "
                "file_format = (type = parquet)"
            )
            for statement in then:
                cursor.execute(statement)
            cursor.execute(f"drop table {schema}.{table}__new")

    def replace_from_query(self, schema: str, table: str, sql: str) -> None:
        with self.connection() as connection:
            cursor = connection.cursor()
            cursor.execute(f"create schema if not exists {_identifier(schema)}")
            cursor.execute(f"create or replace table {schema}.{_identifier(table)} as {sql}")

    def sample(self, schema: str, table: str, columns: Sequence[str], limit: int) -> pd.DataFrame | None:
        if not self._exists(schema, table):
            return None
        return self.query(f"{_selection(schema, table, columns)} limit {int(limit)}")

    def row_count(self, schema: str, table: str) -> int:
        return int(self.query(_count(schema, table))["n"].iloc[0]) if self._exists(schema, table) else 0

    def columns(self, schema: str, table: str) -> dict[str, str]:
        return _columns_of(self.query(_columns_sql(schema, table)))

    def _exists(self, schema: str, table: str) -> bool:
        sql = (
            "select 1 from information_schema.tables where lower(table_schema) = "
            f"'{_identifier(schema).lower()}' and lower(table_name) = '{_identifier(table).lower()}'"
        )
        return not self.query(sql).empty

    def table_facts(self, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], TableFacts]:
        return _facts(self, tables)

    def publish(self, target: Path) -> int:
        """A server isolates readers itself: dbt swaps each table in whole, nothing is copied."""
        return 0
