"""Files of the user's own: one folder of CSV or Parquet, every file and nearly every column optional.

A table's files are `<table>*.csv`, `<table>*.parquet` and whatever lies in a sub-folder `<table>/`. They are read in
the order of their names, and a later row of the same key wins. New files are added; when a file that was read before
has changed, all files of its table are read again, so that the table says what the folder says. Rows of a file that is
gone stay: moving old files away is how folders are kept small.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dlt_pipelines.config import ExtractionWindow, FilesConfig
from dlt_pipelines.distinct import key_hashes
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.rows import ContractViolation, Shaper, arrow_schema
from dlt_pipelines.spec import ColumnSpec, DataType, Finding, ResourceSpec, SourceSpec, Treatment
from dlt_pipelines.tabular import FileColumn, MalformedFile, RawBatch, Typer, read_batches

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

LOG = logging.getLogger(__name__)
NAME: Final = "files"
SUFFIXES: Final = (".csv", ".parquet")
SOURCE_FILE: Final = ColumnSpec("source_file", "text", "File the row was read from, relative to the folder.")


@dataclass(frozen=True)
class FileTable:
    """A kind of file and the raw table it fills."""

    resource: ResourceSpec
    columns: tuple[FileColumn, ...]

    @property
    def name(self) -> str:
        return self.resource.name

    def files(self, folder: Path) -> list[Path]:
        """Files of this table, in the order in which they are read."""
        found = [path for path in folder.glob(f"{self.name}*") if path.is_file()]
        if (folder / self.name).is_dir():
            found += [path for path in (folder / self.name).rglob("*") if path.is_file()]
        readable = [path for path in found if path.suffix.lower() in SUFFIXES and not path.name.startswith((".", "~"))]
        return sorted(readable, key=lambda path: reading_order(_relative(path, folder)))


def _table(name: str, key: Sequence[str], description: str, *columns: tuple[Any, ...]) -> FileTable:
    """Build a table from rows of (header, type, description[, treatment[, required or default]])."""
    specs, file_columns = [], []
    for header, data_type, text, *rest in columns:
        treatment: Treatment = rest[0] if rest else "plain"
        required = len(rest) > 1 and rest[1] is True
        default = rest[1] if len(rest) > 1 and isinstance(rest[1], str) else None
        target = f"{header}_hash" if treatment in ("email", "ip") else header
        specs.append(ColumnSpec(target, data_type, text, treatment))
        file_columns.append(FileColumn(header, target, data_type, treatment, required, default))
    if key == ("email_event_id",):
        specs.insert(0, ColumnSpec("email_event_id", "text", "Hash of the row, since such files carry no id."))
    return FileTable(ResourceSpec(name, tuple(key), description, (*specs, SOURCE_FILE)), tuple(file_columns))


TEXT: Final[DataType] = "text"
EVENTS: Final = _table(
    "events",
    ("event_id",),
    "Web and app events from the user's own files.",
    ("event_id", TEXT, "Unique id of the event.", "identifier", True),
    ("occurred_at", "timestamp", "When it happened, UTC.", "plain", True),
    ("event_name", TEXT, "Such as page_view, login, sign_up."),
    ("device_id", TEXT, "Browser or app instance.", "identifier"),
    ("user_id", TEXT, "Authenticated user, where known.", "identifier"),
    ("email", TEXT, "Keyed hash of the e-mail address.", "email"),
    ("page_url", TEXT, "Full address, personal values redacted.", "url"),
    ("referrer", TEXT, "Referring address, personal values redacted.", "url"),
    ("user_agent", TEXT, "User agent text."),
    ("ip", TEXT, "Keyed hash of the client's address.", "ip"),
    ("fingerprint_id", TEXT, "Device fingerprint.", "identifier"),
)
CONTACTS: Final = _table(
    "contacts",
    ("contact_id",),
    "Contacts of a CRM, exported.",
    ("contact_id", TEXT, "Unique id of the contact.", "identifier", True),
    ("email", TEXT, "Keyed hash of the e-mail address.", "email"),
    ("user_id", TEXT, "User id in the product, where known.", "identifier"),
    ("created_at", "timestamp", "When the contact was made, UTC.", "plain", True),
    ("lifecycle_stage", TEXT, "Such as lead, customer."),
    ("customer_source", TEXT, "What the customer said when asked how they found us.", "free_text"),
)
CONVERSIONS: Final = _table(
    "conversions",
    ("conversion_id",),
    "Conversions from the user's own files.",
    ("conversion_id", TEXT, "Unique id of the conversion.", "identifier", True),
    ("converted_at", "timestamp", "When it happened, UTC.", "plain", True),
    ("conversion_type", TEXT, "Name of the conversion."),
    ("user_id", TEXT, "Who converted, where known.", "identifier"),
    ("email", TEXT, "Keyed hash of the e-mail address.", "email"),
    ("device_id", TEXT, "Device it happened on, where known.", "identifier"),
    ("revenue", "decimal", "Value in `currency`."),
    ("currency", TEXT, "ISO 4217."),
    ("product", TEXT, "Product it is about."),
)
EMAIL_EVENTS: Final = _table(
    "email_events",
    ("email_event_id",),
    "What recipients did with e-mails.",
    ("email", TEXT, "Keyed hash of the e-mail address.", "email"),
    ("campaign", TEXT, "Name of the campaign."),
    ("action", TEXT, "Such as sent, open, click, bounce."),
    ("occurred_at", "timestamp", "When it happened, UTC.", "plain", True),
    ("url", TEXT, "Clicked address, personal values redacted.", "url"),
)
SPEND: Final = _table(
    "spend",
    ("date", "platform", "campaign"),
    "Advertising cost per day, platform and campaign; rows of one key inside one file are added up.",
    ("date", "date", "Day in the account's time zone.", "plain", True),
    ("platform", TEXT, "Such as google_ads.", "plain", True),
    ("campaign", TEXT, "Campaign name; empty where cost is known by platform only.", "plain", ""),
    ("cost", "decimal", "Cost in `currency`.", "plain", True),
    ("clicks", "bigint", "Clicks."),
    ("impressions", "bigint", "Impressions."),
    ("currency", TEXT, "ISO 4217."),
)
TABLES: Final = (EVENTS, CONTACTS, CONVERSIONS, EMAIL_EVENTS, SPEND)


def build(config: FilesConfig, window: ExtractionWindow, hasher: Hasher) -> "DltSource":
    """The dlt source over the folder."""
    from dlt_pipelines.extraction import make_source

    if not config.path.is_dir():
        raise FileNotFoundError(f"sources.files.path: {config.path} is not a folder. Make it, or set another path.")
    return make_source(NAME, [_resource(table, config.path, window, hasher) for table in TABLES])


def _resource(table: FileTable, folder: Path, window: ExtractionWindow, hasher: Hasher) -> "DltResource":
    import dlt

    from dlt_pipelines.extraction import guard_key, hinted, make_resource, sql_text

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        held: dict[str, list[int]] = {} if window.refresh else state.get("files", {})
        found = {_relative(path, folder): path for path in table.files(folder)}
        stamps = {name: _stamp(path) for name, path in found.items()}
        wanted = files_to_read(held, stamps)
        if not wanted:
            return
        LOG.info("files.%s: reading %d of %d files", table.name, len(wanted), len(found))
        scope = f"source_file IN ({', '.join(map(sql_text, wanted))})" if held or window.refresh else None
        tables = read_table(table, {name: found[name] for name in wanted}, hasher)
        yield from hinted(table.resource, scope, tables, arrow_schema(table.resource).empty_table())
        # Gone files stay noted: when one comes back unchanged, its rows are still stored.
        state["files"] = {**state.get("files", {}), **{name: stamps[name] for name in wanted}}

    return make_resource(table.resource, generate)


def files_to_read(held: Mapping[str, Sequence[int]], stamps: Mapping[str, Sequence[int]]) -> list[str]:
    """Names to read now: the new ones when all of them sort after the known ones, else every file there is.

    An earlier file read later would win over rows that should override it.
    """
    new = [name for name in stamps if name not in held]
    changed = [name for name in stamps if name in held and list(held[name]) != list(stamps[name])]
    if changed or (new and held and min(map(reading_order, new)) < max(map(reading_order, held))):
        return sorted(stamps, key=reading_order)
    return sorted(new, key=reading_order)


def reading_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of a file's name without its suffix: `events` before `events-2` before `events-10`."""
    stem = name.rpartition(".")[0]
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", stem))


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def read_table(table: FileTable, files: Mapping[str, Path], hasher: Hasher) -> Iterator[pa.Table]:
    """Arrow tables of the files' rows, each key once, memory bounded by one block and eight bytes per row.

    Raises:
        MalformedFile: the first thing wrong, by file, line and column.
    """
    if table is SPEND:
        yield from _spend(files, hasher)
        return
    typer = Typer(table.columns, hasher)
    keep = _last_of_each_key(table, files, typer)
    schema = arrow_schema(table.resource)
    start = 0
    for name, path in files.items():
        for batch in read_batches(path, table.columns):
            arrays = _finished(table, typer.typed(batch), name)
            rows = pa.table([arrays[field.name] for field in schema], schema=schema)
            yield rows if keep is None else rows.filter(pa.array(keep[start : start + batch.rows]))
            start += batch.rows


def _finished(table: FileTable, arrays: dict[str, pa.Array], file: str) -> dict[str, pa.Array]:
    rows = len(next(iter(arrays.values())))
    if table is EMAIL_EVENTS:
        arrays["email_event_id"] = _row_ids([arrays[column.target] for column in table.columns])
    arrays[SOURCE_FILE.name] = pa.repeat(pa.scalar(file), rows)
    return arrays


def _row_ids(arrays: Sequence[pa.Array]) -> pa.Array:
    texts = [pc.fill_null(array.cast(pa.string()), "\x1e") for array in arrays]
    joined = pc.binary_join_element_wise(*texts, "\x1f")
    return pa.array([hashlib.sha256(text.encode()).hexdigest()[:32] for text in joined.to_pylist()], pa.string())


def _last_of_each_key(table: FileTable, files: Mapping[str, Path], typer: Typer) -> np.ndarray[Any, Any] | None:
    """Which rows to keep so that each key stands once, its last row; None when no key repeats."""
    keys = _key_reader(table, typer)
    hashes = [key_hashes(keys(batch)) for batch in _all_batches(table, files)]
    if not hashes:
        return None
    every = np.concatenate(hashes)
    ordered = np.sort(every)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(repeated):
        return None
    # Equal hashes are only suspects: different keys may share one, so the keys themselves decide.
    keep = np.ones(len(every), dtype=bool)
    last: dict[tuple[str, ...], int] = {}
    start = 0
    for batch in _all_batches(table, files):
        suspects = np.flatnonzero(np.isin(every[start : start + batch.rows], repeated))
        if len(suspects):
            arrays = [array.take(pa.array(suspects)).to_pylist() for array in keys(batch)]
            for offset, key in zip(suspects, zip(*arrays, strict=True), strict=True):
                if key in last:
                    keep[last[key]] = False
                last[key] = start + int(offset)
        start += batch.rows
    LOG.info("files.%s: %d repeated rows dropped, the last of each key kept", table.name, int((~keep).sum()))
    return keep


def _key_reader(table: FileTable, typer: Typer) -> Callable[[RawBatch], list[pa.Array]]:
    if table is EMAIL_EVENTS:
        return lambda batch: [_finished(table, typer.typed(batch), "")["email_event_id"]]
    columns = [column for column in table.columns if column.target in table.resource.primary_key]
    key_typer = typer.narrowed(columns)
    return lambda batch: list(key_typer.typed(batch).values())


def _all_batches(table: FileTable, files: Mapping[str, Path]) -> Iterator[RawBatch]:
    key_only = [column for column in table.columns if column.target in table.resource.primary_key]
    for path in files.values():
        yield from read_batches(path, table.columns, read_only=key_only or None)


def _spend(files: Mapping[str, Path], hasher: Hasher) -> Iterator[pa.Table]:
    """Spend rows: added up by key inside a file, a later file replacing an earlier one's key."""
    typer = Typer(SPEND.columns, hasher)
    result: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, path in files.items():
        inside: dict[tuple[Any, ...], dict[str, Any]] = {}
        for batch in read_batches(path, SPEND.columns):
            rows = pa.table(typer.typed(batch)).to_pylist()
            for index, row in enumerate(rows):
                key = (row["date"], row["platform"], row["campaign"])
                known = inside.get(key)
                if known is None:
                    inside[key] = row | {SOURCE_FILE.name: name}
                elif known["currency"] != row["currency"]:
                    raise MalformedFile(
                        f"{batch.where(index)}, column currency: another currency than an earlier row of the same "
                        "date, platform and campaign."
                    )
                else:
                    _add(known, row)
        result |= inside
    if result:
        yield Shaper(NAME, SPEND.resource, hasher).table(list(result.values()))


def _add(total: dict[str, Any], row: Mapping[str, Any]) -> None:
    total["cost"] = Decimal(total["cost"]) + row["cost"]
    for count in ("clicks", "impressions"):
        if row[count] is not None:
            total[count] = (total[count] or 0) + row[count]


def probe(config: FilesConfig) -> Iterator[Finding]:
    """What the folder holds and whether headers and first rows are readable."""
    if not config.path.is_dir():
        yield Finding("error", "files: path", f"{config.path} is not a folder", "Make it, or set sources.files.path.")
        return
    total = 0
    for table in TABLES:
        for path in table.files(config.path):
            total += 1
            try:
                batch = next(read_batches(path, table.columns), None)
                if batch is not None:
                    Typer(table.columns, Hasher(b"doctor reads no personal data")).typed(batch)
            except (MalformedFile, ContractViolation) as error:
                yield Finding("error", f"files: {path.name}", str(error), "Correct the file.")
            else:
                yield Finding("ok", f"files: {path.name}", f"readable, fills raw_files.{table.name}")
    if not total:
        names = ", ".join(table.name for table in TABLES)
        yield Finding("warning", "files", f"{config.path} holds no file", f"Drop {names} as .csv or .parquet there.")


SPEC: Final = SourceSpec(
    name=NAME,
    title="Files of your own",
    config_model=FilesConfig,
    resources=tuple(table.resource for table in TABLES),
    secrets=(),
    build=build,
    probe=probe,
)
