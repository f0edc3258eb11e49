"""How a resource is pulled and merged, the same for every source.

Three kinds. Day tables are asked for again over a settling window and replaced inside exactly that window, so that
restated rows change, vanished rows vanish and unchanged rows stay untouched. Entities are upserted from a cursor.
Snapshots are lists read whole. What a resource already holds is remembered in dlt's state, which is stored with
the load itself: an interrupted load is forgotten and pulled again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource, DltSource

from dlt_pipelines.config import ExtractionWindow
from dlt_pipelines.privacy import HASH_KEY_VARIABLE, Hasher, HashKeyError
from dlt_pipelines.rows import Shaper
from dlt_pipelines.spec import ResourceSpec

LOG = logging.getLogger(__name__)
SCHEMA_CONTRACT: Any = {"tables": "evolve", "columns": "evolve", "data_type": "freeze"}
WHOLE_TABLE = "1 = 1"
Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class DayRange:
    """Days to pull for one account: start inclusive, end exclusive."""

    account: str
    start: date
    end: date

    def chunks(self, days: int) -> Iterator["DayRange"]:
        start = self.start
        while start < self.end:
            end = min(self.end, start + timedelta(days=days))
            yield DayRange(self.account, start, end)
            start = end


def day_range(
    window: ExtractionWindow,
    state: Mapping[str, Any],
    account: str,
    settling_days: int,
    earliest: date | None = None,
) -> DayRange | None:
    """The days to pull for an account, or None when it holds them all.

    A first run, or one that reaches further back than what is held, pulls the whole window; a later one what is new
    and the settling window before it.
    """
    start = window.start
    held = state.get(account)
    if held and not window.refresh and window.start >= date.fromisoformat(held["from"]):
        start = min(date.fromisoformat(held["through"]), window.end) - timedelta(days=max(settling_days, 1))
        start = max(start, date.fromisoformat(held["from"]))
    if earliest is not None:
        start = max(start, earliest)
    if start >= window.end:
        return None
    return DayRange(account, start, window.end)


def remember(window: ExtractionWindow, state: dict[str, Any], pulled: DayRange) -> None:
    """Note the pulled days, as one range; a refresh that touches neither end changes nothing."""
    held = state.get(pulled.account)
    start, end = min(window.start, pulled.start), pulled.end
    if held:
        known_start, known_end = date.fromisoformat(held["from"]), date.fromisoformat(held["through"])
        if end < known_start or start > known_end:
            return
        start, end = min(start, known_start), max(end, known_end)
    state[pulled.account] = {"from": start.isoformat(), "through": end.isoformat()}


def merge_hints(resource: ResourceSpec, scope: str | None) -> dict[str, Any]:
    """Hints of one load: upsert by key, rows that are equal left alone; absent rows inside `scope` deleted."""
    disposition: dict[str, Any] = {
        "disposition": "merge",
        "strategy": "cdc" if scope else "upsert",
        "skip_unchanged_rows": True,
    }
    if scope:
        # dlt joins it with AND and takes braces for placeholders.
        disposition["destination_scope"] = f"({scope})".replace("{", "{{").replace("}", "}}")
    return {"columns": resource.dlt_columns(), "write_disposition": disposition}


def hinted(resource: ResourceSpec, scope: str | None, tables: Iterable[pa.Table], empty: pa.Table) -> Iterator[Any]:
    """Tables with the load's merge hints on the first; at least one, since a load without rows deletes nothing."""
    hints = dlt.mark.make_hints(**merge_hints(resource, scope))
    yielded = False
    for table in tables:
        yield table if yielded else dlt.mark.with_hints(table, hints)
        yielded = True
    if not yielded and scope:
        yield dlt.mark.with_hints(empty, hints)


def guard_key(state: dict[str, Any], hasher: Hasher) -> None:
    """Refuse to add rows hashed with another key than the stored ones.

    Raises:
        HashKeyError: the key changed.
    """
    mark = hasher.digest("attribution-platform/key-mark")[:16]
    if state.get("key_mark", mark) != mark:
        raise HashKeyError(
            f"{HASH_KEY_VARIABLE} is not the key that the stored rows were hashed with, so nobody would be recognised. "
            "Set the old key again, or delete the landing file and extract anew."
        )
    state["key_mark"] = mark


def make_resource(spec: ResourceSpec, generator: Callable[[], Iterator[Any]]) -> DltResource:
    hints: dict[str, Any] = {**merge_hints(spec, None), "name": spec.name, "schema_contract": SCHEMA_CONTRACT}
    made: DltResource = dlt.resource(generator, **hints)
    return made


def make_source(name: str, resources: Sequence[DltResource]) -> DltSource:
    """A dlt source of these resources, without child tables."""

    @dlt.source(name=name, max_table_nesting=0, schema_contract=SCHEMA_CONTRACT)
    def source() -> Sequence[DltResource]:
        return resources

    return source()


def day_resource(
    source: str,
    spec: ResourceSpec,
    window: ExtractionWindow,
    hasher: Hasher,
    *,
    accounts: Sequence[str],
    settling_days: int,
    pull: Callable[[DayRange], Rows],
    day_column: str = "date",
    account_column: str | None = "account_id",
    earliest: date | None = None,
) -> DltResource:
    """A table of days, pulled per account and replaced inside the pulled range.

    Args:
        account_column: column that holds the account, None where the source reads only one.
        earliest: first day the vendor still answers for.
    """

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        held = state.setdefault("held", {})
        ranges = [
            found
            for account in accounts
            if (found := day_range(window, held, account, settling_days, earliest)) is not None
        ]
        if not ranges:
            LOG.info("%s.%s holds every day of the window; nothing to pull", source, spec.name)
            return
        shaper = Shaper(source, spec, hasher)

        def tables() -> Iterator[pa.Table]:
            for wanted in ranges:
                LOG.info("%s.%s %s: %s to %s", source, spec.name, wanted.account, wanted.start, wanted.end)
                yield from shaper.batches(
                    _inside(spec, day_column, wanted, pull(wanted)),
                )

        scope = " OR ".join(_scope(day_column, account_column, wanted) for wanted in ranges)
        yield from hinted(spec, scope, tables(), shaper.empty())
        for wanted in ranges:
            remember(window, held, wanted)

    return make_resource(spec, generate)


def _inside(spec: ResourceSpec, day_column: str, wanted: DayRange, rows: Rows) -> Iterator[Mapping[str, Any]]:
    """Rows of the asked days only: one outside would be stored, yet never replaced when its own day is pulled."""
    for row in rows:
        day = row[day_column]
        if isinstance(day, str):
            day = date.fromisoformat(day)
        if wanted.start <= day < wanted.end:
            yield row
        else:
            LOG.warning(
                "%s: the vendor sent %s when asked for %s to %s; ignored", spec.name, day, wanted.start, wanted.end
            )


def _scope(day_column: str, account_column: str | None, wanted: DayRange) -> str:
    days = f"{day_column} >= DATE '{wanted.start}' AND {day_column} < DATE '{wanted.end}'"
    if account_column is None:
        return f"({days})"
    return f"({account_column} = {sql_text(wanted.account)} AND {days})"


def sql_text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def cursor_resource(
    source: str,
    spec: ResourceSpec,
    window: ExtractionWindow,
    hasher: Hasher,
    *,
    lag: timedelta,
    pull: Callable[[datetime | None], Rows],
) -> DltResource:
    """A table upserted from a cursor: `pull` gets the time to read changes from (UTC), None for everything.

    Args:
        lag: how far before the last run's moment to read again.
    """

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        since = changed_since(window, state, lag)
        shaper = Shaper(source, spec, hasher)
        LOG.info("%s.%s: %s", source, spec.name, f"changes since {since}" if since else "everything")
        tables = shaper.batches(pull(since))
        yield from hinted(spec, None, tables, shaper.empty())
        now = window.now.astimezone(UTC).isoformat()
        state["through"] = max(now, state.get("through", now))
        state["from"] = min(window.start.isoformat(), state.get("from", window.start.isoformat()))

    return make_resource(spec, generate)


def changed_since(window: ExtractionWindow, state: Mapping[str, Any], lag: timedelta) -> datetime | None:
    """The time to read changes from, UTC; None for everything.

    Everything on a first run, and when a refresh reaches as far back as the first run did; a shorter refresh reads the
    changes of its window.
    """
    if "through" not in state or window.start.isoformat() < state["from"]:
        return None
    if not window.refresh:
        return datetime.fromisoformat(state["through"]) - lag
    if window.start.isoformat() == state["from"]:
        return None
    return datetime(window.start.year, window.start.month, window.start.day, tzinfo=UTC)


def snapshot_resource(source: str, spec: ResourceSpec, hasher: Hasher, pull: Callable[[], Rows]) -> DltResource:
    """A list read whole each time, in bounded memory; what is gone upstream goes here."""

    def generate() -> Iterator[Any]:
        shaper = Shaper(source, spec, hasher)
        rows = iter(pull())
        first = next(rows, None)
        if first is None:
            LOG.warning("%s.%s came back empty; what is stored is kept", source, spec.name)
            return
        yield from hinted(spec, WHOLE_TABLE, shaper.batches(chain((first,), rows)), shaper.empty())

    return make_resource(spec, generate)
