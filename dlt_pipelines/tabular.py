"""CSV and Parquet files into typed Arrow batches, in bounded memory, every bad value named by file, line and column.

All columns are read as text and converted by vectorised Arrow kernels; only a batch that fails is walked value by
value, to find the line to name. Values are never printed, since they may be personal.
"""

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from dlt_pipelines.privacy import URL_SUSPECT, Hasher
from dlt_pipelines.rows import ARROW_TYPES, money, treatments
from dlt_pipelines.spec import DataType

LOG = logging.getLogger(__name__)
BLOCK_BYTES: Final = 8 << 20
PARQUET_BATCH_ROWS: Final = 65_536

_TIME = r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}"
_HAS_ZONE = _TIME + r"(:\d{2}([.,]\d+)?)?\s*([Zz]|[+-]\d{2}(:?\d{2})?)$"
_NO_ZONE = _TIME + r"(:\d{2}([.,]\d+)?)?$"
_DAY = r"^\d{4}-\d{2}-\d{2}$"


class MalformedFile(ValueError):  # noqa: N818 - read as what happened
    """A file the user gave cannot be read; the message names file, line and column."""


@dataclass(frozen=True)
class FileColumn:
    """A column of a user's file and what becomes of it.

    Attributes:
        name: header in the file.
        target: column of the raw table.
        required: it must be there, and no row may leave it empty.
        default: what an absent column or empty value reads as.
    """

    name: str
    target: str
    data_type: DataType
    treatment: str = "plain"
    required: bool = False
    default: str | None = None


def read_batches(
    path: Path, columns: Sequence[FileColumn], read_only: Sequence[FileColumn] | None = None
) -> Iterator["RawBatch"]:
    """The file's batches with all known columns as text (CSV) or as stored (Parquet), absent ones as nulls.

    Args:
        columns: every column such a file may have; the header is checked against them.
        read_only: the few of them that are wanted; all when left out.

    Raises:
        MalformedFile: no header, a required or repeated column, a ragged row, text that is not UTF-8.
    """
    reader = _parquet_batches if path.suffix.lower() == ".parquet" else _csv_batches
    yield from reader(path, columns, columns if read_only is None else read_only)


@dataclass(frozen=True)
class RawBatch:
    """Untyped values of one batch and the index of its first row in the file."""

    path: Path
    first_row: int
    values: dict[str, pa.Array]
    rows: int

    def where(self, index: int) -> str:
        """Place of a row for a message: the line in a CSV file, the row in a Parquet file."""
        row = self.first_row + index
        if self.path.suffix.lower() == ".parquet":
            return f"{self.path.name}, row {row + 1}"
        return f"{self.path.name}, line {_csv_line(self.path, row)}"


def _check_header(path: Path, names: Sequence[str], columns: Sequence[FileColumn], report: bool) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise MalformedFile(f"{path.name}, line 1: the header names {', '.join(repeated)} more than once.")
    missing = [column.name for column in columns if column.required and column.name not in names]
    if missing:
        raise MalformedFile(
            f"{path.name}, line 1: required column {', '.join(missing)} is missing; the header has {', '.join(names)}."
        )
    known = {column.name for column in columns}
    unknown = [name for name in names if name not in known]
    if unknown and report:
        LOG.warning("%s: columns %s are not known and not read", path.name, ", ".join(unknown))


def _present(names: Sequence[str], wanted: Sequence[FileColumn]) -> list[str]:
    """Columns to read; one at least, since a batch without columns would not know its length."""
    return [column.name for column in wanted if column.name in names] or list(names[:1])


def _csv_batches(path: Path, columns: Sequence[FileColumn], wanted: Sequence[FileColumn]) -> Iterator[RawBatch]:
    names = _csv_header(path)
    _check_header(path, names, columns, report=wanted is columns)
    first_row = 0
    try:
        reader = pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=names, skip_rows=1, use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                include_columns=_present(names, wanted),
                column_types={name: pa.string() for name in names},
                strings_can_be_null=True,
                null_values=[""],
                quoted_strings_can_be_null=True,
            ),
        )
        for batch in reader:
            yield _raw_batch(path, first_row, batch, wanted)
            first_row += batch.num_rows
    except pa.ArrowInvalid as error:
        raise _csv_problem(path, len(names), error) from None


def _csv_header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            names = next(csv.reader(handle), [])
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    if not names:
        raise MalformedFile(f"{path.name}, line 1: the file is empty; it needs a header row.")
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise MalformedFile(f"{path.name}, line 1: the columns must be separated by commas.")
    return [name.strip() for name in names]


def _csv_problem(path: Path, width: int, error: Exception) -> MalformedFile:
    """Where a CSV file first breaks, found by a slow walk."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle)
            for row in reader:
                if row and len(row) != width:
                    return MalformedFile(
                        f"{path.name}, line {reader.line_num}: {len(row)} values where the header has {width} columns."
                    )
    except UnicodeDecodeError:
        return _not_utf8(path)
    except csv.Error as problem:
        return MalformedFile(f"{path.name}, line {reader.line_num}: {problem}.")
    # Arrow quotes the row in its message; the kind of error is all that may be passed on.
    return MalformedFile(f"{path.name}: not readable as CSV ({type(error).__name__}).")


def _not_utf8(path: Path) -> MalformedFile:
    return MalformedFile(f"{path.name}, line {_undecodable_line(path)}: not UTF-8 text. Save the file as CSV in UTF-8.")


def _undecodable_line(path: Path) -> int:
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def _csv_line(path: Path, row: int) -> int:
    """Line on which data row `row` begins; quoted values may span lines and empty lines count for none."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle)
        next(reader, None)
        begins, index = reader.line_num + 1, 0
        for values in reader:
            if values:
                if index == row:
                    return begins
                index += 1
            begins = reader.line_num + 1
    return begins


def _parquet_batches(path: Path, columns: Sequence[FileColumn], wanted: Sequence[FileColumn]) -> Iterator[RawBatch]:
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            _check_header(path, names, columns, report=wanted is columns)
            first_row = 0
            for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS, columns=_present(names, wanted)):
                yield _raw_batch(path, first_row, batch, wanted)
                first_row += batch.num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise MalformedFile(f"{path.name}: not readable as Parquet ({type(error).__name__}).") from None


def _raw_batch(path: Path, first_row: int, batch: pa.RecordBatch, columns: Sequence[FileColumn]) -> RawBatch:
    names = batch.schema.names
    values = {
        column.name: _decoded(batch.column(column.name))
        if column.name in names
        else pa.nulls(batch.num_rows, pa.string())
        for column in columns
    }
    return RawBatch(path, first_row, values, batch.num_rows)


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


class Typer:
    """Gives raw batches their types and treats personal columns over distinct values."""

    def __init__(self, columns: Sequence[FileColumn], hasher: Hasher) -> None:
        self._columns = columns
        self._hasher = hasher
        self._treat = treatments(hasher)

    def narrowed(self, columns: Sequence[FileColumn]) -> "Typer":
        """The same for fewer columns."""
        return Typer(columns, self._hasher)

    def typed(self, batch: RawBatch) -> dict[str, pa.Array]:
        """Typed, treated arrays by target column.

        Raises:
            MalformedFile: the first value that does not fit, by file, line and column.
        """
        return {column.target: self._column(batch, column) for column in self._columns}

    def _column(self, batch: RawBatch, column: FileColumn) -> pa.Array:
        raw = batch.values[column.name]
        if pa.types.is_null(raw.type):
            raw = raw.cast(pa.string())
        if pa.types.is_string(raw.type) or pa.types.is_large_string(raw.type):
            raw = pc.utf8_trim_whitespace(raw.cast(pa.string()))
            raw = pc.if_else(pc.equal(raw, ""), pa.scalar(None, pa.string()), raw)
        if column.required and raw.null_count:
            index = int(np.argmax(np.asarray(raw.is_null())))
            raise MalformedFile(f"{batch.where(index)}, column {column.name}: no value, but it is required.")
        if column.default is not None and raw.null_count:
            raw = pc.fill_null(raw.cast(pa.string()), column.default)
        typed = self._convert(batch, column, raw)
        return self._treated(typed, column)

    def _convert(self, batch: RawBatch, column: FileColumn, raw: pa.Array) -> pa.Array:
        convert = _TEXT_CONVERTERS[column.data_type] if pa.types.is_string(raw.type) else _from_stored
        try:
            return convert(raw, column.data_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, InvalidOperation):
            index = _first_bad(raw, column.data_type, convert)
            raise MalformedFile(f"{batch.where(index)}, column {column.name}: {_EXPECTED[column.data_type]}.") from None

    def _treated(self, values: pa.Array, column: FileColumn) -> pa.Array:
        treat = self._treat.get(column.treatment)
        if treat is None:
            return values
        if (
            column.treatment in _SUSPECT
            and not pc.any(pc.match_substring_regex(values, _SUSPECT[column.treatment])).as_py()
        ):
            return values
        encoded = values.dictionary_encode()
        distinct = pa.array(
            [None if value is None else treat(value) for value in encoded.dictionary.to_pylist()], pa.string()
        )
        return distinct.take(encoded.indices)


# Treatments that leave most values alone, with the cheap test that says whether a batch needs any.
_SUSPECT: Final = {"identifier": "@", "url": URL_SUSPECT, "free_text": "@|40"}

_EXPECTED: Final = {
    "text": "not readable as text",
    "bigint": "not a whole number",
    "double": "not a number",
    "bool": "not true or false",
    "timestamp": "not a time. Write it as 2026-09-01T10:00:00Z, 2026-09-01 10:00:00 or 2026-09-01",
    "date": "not a date. Write it as 2026-09-01",
    "decimal": "not an amount. Write it as 1234.56, without currency sign or thousands separator",
}


def _text(raw: pa.Array, data_type: DataType) -> pa.Array:
    return raw


def _timestamp(raw: pa.Array, data_type: DataType) -> pa.Array:
    """ISO 8601 texts to naive UTC; a time without a zone is UTC."""
    zoned = pc.match_substring_regex(raw, _HAS_ZONE)
    bare = pc.match_substring_regex(raw, _NO_ZONE)
    day = pc.match_substring_regex(raw, _DAY)
    if not pc.all(pc.or_(pc.or_(zoned, bare), day), min_count=0).as_py():
        raise ValueError
    clock = pc.if_else(day, pc.binary_join_element_wise(raw, pa.scalar("T00:00:00Z"), ""), raw)
    clock = pc.if_else(bare, pc.binary_join_element_wise(raw, pa.scalar("Z"), ""), clock)
    # Arrow takes at most six digits of a second here, a point before them, and a capital Z right after.
    clock = pc.replace_substring_regex(clock, r"[.,](\d{1,6})\d*", r".\1")
    clock = pc.replace_substring_regex(clock, r"\s*[Zz]$", "Z")
    clock = pc.replace_substring_regex(clock, r"\s+([+-]\d{2}(:?\d{2})?)$", r"\1")
    clock = pc.replace_substring_regex(clock, r"t", "T")
    return clock.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))


def _date(raw: pa.Array, data_type: DataType) -> pa.Array:
    """Dates; a midnight time after the day, as spreadsheets and data frames write, is dropped."""
    return pc.replace_substring_regex(raw, r"[T ]00:00:00(\.0+)?Z?$", "").cast(pa.date32())


def _number(raw: pa.Array, data_type: DataType) -> pa.Array:
    if data_type == "bigint":
        # A nullable integer column leaves data frames as 5.0.
        return pc.replace_substring_regex(raw, r"\.0+$", "").cast(pa.int64())
    values = raw.cast(pa.float64())
    if not pc.all(pc.is_finite(values), min_count=0).as_py():
        raise ValueError
    return values


def _decimal(raw: pa.Array, data_type: DataType) -> pa.Array:
    try:
        return raw.cast(ARROW_TYPES["decimal"])
    except pa.ArrowInvalid:
        # More than six decimals or an exponent: rare, so exact Python decimals do.
        return pa.array([None if value is None else money(value) for value in raw.to_pylist()], ARROW_TYPES["decimal"])


def _boolean(raw: pa.Array, data_type: DataType) -> pa.Array:
    return raw.cast(pa.bool_())


def _from_stored(raw: pa.Array, data_type: DataType) -> pa.Array:
    """A Parquet column of another type than text."""
    kind = raw.type
    if data_type == "timestamp":
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            raise ValueError
        zone = getattr(kind, "tz", None)
        as_us = raw.cast(pa.timestamp("us", "UTC") if zone else pa.timestamp("us"), safe=False)
        return as_us.cast(pa.timestamp("us"))
    if data_type == "date" and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ValueError
    if data_type == "decimal":
        return pa.array([None if value is None else money(value) for value in raw.to_pylist()], ARROW_TYPES["decimal"])
    if data_type == "text" and pa.types.is_floating(kind):
        # An integer id with gaps leaves data frames as a float.
        return raw.cast(pa.int64()).cast(pa.string())
    if data_type == "text" and not (
        pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string_view(kind)
    ):
        raise ValueError
    return raw.cast(ARROW_TYPES[data_type])


_TEXT_CONVERTERS: Final[dict[str, Callable[[pa.Array, DataType], pa.Array]]] = {
    "text": _text,
    "timestamp": _timestamp,
    "date": _date,
    "bigint": _number,
    "double": _number,
    "decimal": _decimal,
    "bool": _boolean,
}


def _first_bad(raw: pa.Array, data_type: DataType, convert: Callable[[pa.Array, DataType], pa.Array]) -> int:
    """Index of the first value that does not convert, by halving."""
    low, high = 0, len(raw)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(raw.slice(low, middle - low), data_type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError, InvalidOperation):
            high = middle
        else:
            low = middle
    return low
