"""Reading a user's CSV or Parquet file, and saying exactly where it is wrong.

The fast path reads whole columns. Only when something fails is a CSV read again, record by record, to find the line an
editor shows (the header is line 1; a quoted value may span lines; blank lines count).
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

DELIMITERS = (",", ";", "\t", "|")
SHOWN = 40


class CreditInputError(ValueError):
    """A file of the user's that cannot be read; the message names file, line and column and what to do."""


@dataclass(frozen=True)
class Table:
    """Columns of one file under their canonical names.

    Attributes:
        path: The file.
        data: The columns asked for that are there.
        source: Canonical name to the name in the file.
        delimiter: Of a CSV; None for Parquet.
    """

    path: Path
    data: pa.Table
    source: Mapping[str, str]
    delimiter: str | None

    def __len__(self) -> int:
        return int(self.data.num_rows)

    def has(self, column: str) -> bool:
        """Whether the file has this column."""
        return column in self.source

    def fail(self, row: int, column: str, problem: str) -> CreditInputError:
        """The error for one cell; `row` counts data rows from 0."""
        return CreditInputError(f"{self.path.name}, {self._place(row)}, column {self.source[column]}: {problem}")

    def _place(self, row: int) -> str:
        if self.delimiter is None:
            return f"row {row + 1}"
        for index, (line, _) in enumerate(_records(self.path, self.delimiter)):
            # Record 0 is the header.
            if index == row + 1:
                return f"line {line}"
        return f"row {row + 1}"

    def shown(self, row: int, column: str) -> str:
        """A cell as the user wrote it, shortened."""
        text = str(self.data[column][row].as_py())
        return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")

    def text(self, column: str, required: bool = True) -> tuple[NDArray[np.int64], list[str]]:
        """A text column as codes into its sorted distinct values; blanks are trimmed.

        Optional columns read empty cells as the empty text. Shape (rows,).
        """
        values = pc.utf8_trim_whitespace(_as_text(self.data[column]))
        values = pc.fill_null(values, "")
        encoded = values.combine_chunks().dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        names = [str(name) for name in encoded.dictionary.to_pylist()]
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        order = sorted(range(len(names)), key=names.__getitem__)
        rank = np.empty(len(names), dtype=np.int64)
        rank[order] = np.arange(len(names))
        names = [names[i] for i in order]
        codes = rank[codes] if len(codes) else codes
        if required and names and names[0] == "":
            raise self.fail(int(np.argmax(codes == 0)), column, "is empty; every row needs a value")
        return codes, names

    def numbers(self, column: str, minimum: float | None = None, required: bool = False) -> NDArray[np.float64]:
        """A numeric column; an empty cell is 0 unless required. Shape (rows,)."""
        raw = self.data[column]
        if _is_text(raw.type):
            given = pc.utf8_trim_whitespace(_as_text(raw))
            given = pc.if_else(pc.equal(given, ""), pa.scalar(None, pa.string()), given)
            values = _cast(given, "try_cast(x as double)", np.float64)
        else:
            given = raw
            values = raw.cast(pa.float64(), safe=False).to_numpy().astype(np.float64)
        empty = np.asarray(given.is_null().to_numpy())
        if required and empty.any():
            raise self.fail(int(np.argmax(empty)), column, "is empty; a number is needed")
        bad = ~empty & ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            raise self.fail(row, column, f"{self.shown(row, column)} is not a number")
        values = np.where(empty, 0.0, values)
        if minimum is not None and (values < minimum).any():
            row = int(np.argmax(values < minimum))
            raise self.fail(row, column, f"{self.shown(row, column)} is below {minimum:g}")
        return values

    def times(self, column: str) -> NDArray[np.int64]:
        """A timestamp column as microseconds since 1970; without a zone it is read as UTC. Shape (rows,)."""
        raw = self.data[column]
        if pa.types.is_timestamp(raw.type) or pa.types.is_date(raw.type):
            cast = raw.cast(pa.timestamp("us"), safe=False) if not getattr(raw.type, "tz", None) else raw
            micros = cast.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
            bad = np.asarray(micros.is_null().to_numpy())
            values = pc.fill_null(micros, 0).to_numpy()
        else:
            text = pc.utf8_trim_whitespace(_as_text(raw))
            expression = "case when isfinite(try_cast(x as timestamptz)) then epoch_us(try_cast(x as timestamptz)) end"
            found = _cast(text, expression, np.float64)
            bad = np.isnan(found)
            values = np.where(bad, 0, found)
        if bad.any():
            row = int(np.argmax(bad))
            raise self.fail(
                row, column, f"{self.shown(row, column)} is not a time; write it like 2026-03-01 14:05:00 (UTC)"
            )
        return values.astype(np.int64)


def read_table(path: Path, required: Sequence[str], optional: Mapping[str, Sequence[str]]) -> Table:
    """Read the columns a command knows; others are ignored.

    Args:
        path: A `.parquet` file, or a CSV with a header (comma, semicolon, tab or bar; UTF-8).
        required: Canonical names that must be there.
        optional: Canonical name to the names accepted for it, most wanted first.

    Raises:
        CreditInputError: The file is missing, empty, malformed or lacks a column.
    """
    if not path.is_file():
        raise CreditInputError(f"{path}: no such file")
    if path.suffix.lower() in (".parquet", ".pq"):
        data, delimiter = _read_parquet(path), None
    else:
        data, delimiter = _read_csv(path)
    names = [str(name).strip().lstrip("\ufeff").lower() for name in data.column_names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CreditInputError(f"{path.name}, line 1: column {twice[0]} appears twice")
    missing = [name for name in required if name not in names]
    if missing:
        noun = "column" if len(missing) == 1 else "columns"
        raise CreditInputError(
            f"{path.name}: missing {noun} {', '.join(missing)}; the file has {', '.join(names) or 'none'}"
        )
    place = {name: name for name in required}
    for canonical, accepted in optional.items():
        hit = next((name for name in accepted if name in names), None)
        if hit is not None:
            place[canonical] = hit
    columns = {canonical: data.column(names.index(name)) for canonical, name in place.items()}
    return Table(path, pa.table(columns), place, delimiter)


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise CreditInputError(f"{path.name}: not a Parquet file that can be read ({error})") from None


def _read_csv(path: Path) -> tuple[pa.Table, str]:
    with path.open("rb") as file:
        header = file.readline()
    if not header.strip():
        raise CreditInputError(f"{path.name}, line 1: the file is empty; a header with column names is needed")
    first = header.decode("utf-8-sig", errors="replace")
    delimiter = max(DELIMITERS, key=lambda d: (first.count(d), -DELIMITERS.index(d)))
    names = next(csv.reader([first.strip("\r\n")], delimiter=delimiter))
    types = dict.fromkeys([*names, *(name.strip() for name in names)], pa.string())
    try:
        data = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _first_broken_record(path, delimiter, len(names), error) from None
    return data, delimiter


def _records(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Records of a CSV with the line each starts on; blank lines are no records."""
    with path.open(encoding="utf-8-sig", newline="", errors="surrogateescape") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        start = 1
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise CreditInputError(f"{path.name}, line {start}: broken quotes ({error})") from None
            if record:
                yield start, record
            start = reader.line_num + 1


def _first_broken_record(path: Path, delimiter: str, width: int, error: Exception) -> CreditInputError:
    header: list[str] = []
    try:
        for line, record in _records(path, delimiter):
            header = header or record
            if len(record) > width:
                return CreditInputError(
                    f"{path.name}, line {line}, column {width + 1}: the row has {len(record)} values, the header names "
                    f"{width}; quote a value that contains {delimiter!r}"
                )
            if len(record) < width:
                return CreditInputError(
                    f"{path.name}, line {line}, column {header[len(record)].strip()}: missing; the row has "
                    f"{len(record)} values, the header names {width}"
                )
            for column, value in zip(header, record, strict=False):
                if any("\udc80" <= char <= "\udcff" for char in value):
                    return CreditInputError(
                        f"{path.name}, line {line}, column {column.strip()}: not UTF-8; save the file as UTF-8"
                    )
    except CreditInputError as broken:
        return broken
    return CreditInputError(f"{path.name}: not a CSV file that can be read ({error})")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string())


def _cast(column: pa.ChunkedArray, expression: str, kind: type[np.float64]) -> NDArray[np.float64]:
    """Evaluate a DuckDB expression over a text column `x`; what it cannot read is NaN."""
    table = pa.table({"x": column})
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("cells", table)
        found = connection.sql(f"select {expression} as y from cells").to_arrow_table()["y"]
    return np.asarray(pc.fill_null(found.cast(pa.float64(), safe=False), float("nan")).to_numpy(), dtype=kind)
