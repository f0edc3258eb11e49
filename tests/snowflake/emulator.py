"""The Snowflake the tests talk to: fakesnow's server with what dbt-snowflake needs mended.

Run: python emulator.py PORT. It reaches into private methods, hence the exact pin of fakesnow in pyproject.toml. What it proves is
that our SQL compiles and runs in Snowflake's dialect and that results agree; it is no proof of Snowflake's own arithmetic.

Mended, each found by a dbt run that failed without it:
1. dbt creates TEMPORARY relations in a named schema; DuckDB allows those only in its own catalog. We drop the word.
2. MERGE is emulated through a helper table outside the open transaction; we hand DuckDB its own MERGE instead.
3. A DuckDB error nobody mapped becomes HTTP 500, which the connector retries for ever; we raise a SQL error.
"""

import contextlib
import os
import signal
import sys
import threading
from typing import Any

import duckdb
import fakesnow
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector import errors
from sqlglot import exp

_original = {name: getattr(FakeSnowflakeCursor, name) for name in ("_transform", "_transform_explode", "_execute")}


def _transform(self: Any, expression: exp.Expression, params: Any) -> Any:
    created = expression.this if isinstance(expression, exp.Create) else None
    table = created if isinstance(created, exp.Table) else created.find(exp.Table) if created is not None else None
    properties = expression.args.get("properties")
    if table is not None and table.args.get("db") and properties:
        lasting = [item for item in properties.expressions if not isinstance(item, exp.TemporaryProperty)]
        properties.set("expressions", lasting)
    return _original["_transform"](self, expression, params)


def _transform_explode(self: Any, expression: exp.Expression) -> Any:
    if not isinstance(expression, exp.Merge):
        return _original["_transform_explode"](self, expression)
    using = expression.args["using"]
    name = using.args["alias"].this if using.args.get("alias") is not None else using.this
    branches = expression.args["whens"]
    for branch in getattr(branches, "expressions", branches):
        action = branch.args.get("then")
        if not isinstance(action, exp.Insert) or action.expression is None:
            continue
        for column in action.expression.find_all(exp.Column):
            if not column.args.get("table"):
                column.set("table", name.copy())
    return [expression]


def _execute(self: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        result = _original["_execute"](self, *args, **kwargs)
        if isinstance(args[0], exp.Merge):
            self._report_merge(self._arrow_table.column(0)[0].as_py())
        return result
    except (errors.Error, NotImplementedError):
        raise
    except Exception as error:
        with contextlib.suppress(duckdb.Error):  # there may be no transaction to end
            self._duck_conn.execute("rollback")
            self._conn._in_transaction = False
        raise errors.ProgrammingError(msg=f"{type(error).__name__}: {error}", errno=99999, sqlstate="XX000") from error


def _report_merge(self: Any, rows: int) -> None:
    """The connector expects Snowflake's two counters after a MERGE."""
    sql = f'select {rows} as "number of rows inserted", 0 as "number of rows updated"'
    self._arrow_table = self._duck_conn.execute(sql).to_arrow_table()
    self._last_sql, self._last_params, self._rowcount = sql, None, rows
    self._conn.results_cache[self._sfqid] = (self._arrow_table, rows, sql, None, self._last_transformed)


def mend() -> None:
    """Put the corrections in place, once."""
    for name, replacement in (
        ("_transform", _transform),
        ("_transform_explode", _transform_explode),
        ("_execute", _execute),
        ("_report_merge", _report_merge),
    ):
        setattr(FakeSnowflakeCursor, name, replacement)


def serve(port: int) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with fakesnow.server(port=port):
        print(f"listening on {port}", flush=True)
        # The access log goes to standard output too: once nobody reads it, a full pipe stops the server.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        stop.wait()


if __name__ == "__main__":
    mend()
    serve(int(sys.argv[1]))
