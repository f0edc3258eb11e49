"""Files that vendors export, record by record: JSON lines and Parquet, in whatever compression their names say."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dlt_pipelines.json_text import decode
from dlt_pipelines.rows import ContractViolation

PARQUET_ROWS: Final = 2_000
READ_BYTES: Final = 1 << 18
CODECS: Final[Mapping[str, str]] = {".gz": "gzip", ".br": "brotli", ".zst": "zstd", ".lz4": "lz4", ".bz2": "bz2"}


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet; vendors put the codec inside the file behind it, as in `x.parquet.zst`."""
    return ".parquet" in path.suffixes


def read_records(path: Path, columns: Collection[str] | None = None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Number and content of each record, from 1, a few thousand in memory at a time.

    Args:
        columns: what is read of a Parquet file; what it lacks of them its records lack too. Everything when left out.

    Raises:
        ContractViolation: the file is not what its name says, or not whole.
    """
    yield from _parquet_records(path, columns) if is_parquet(path) else _json_records(path)


def _json_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    codec = CODECS.get(path.suffix)
    try:
        with pa.input_stream(str(path), compression=codec) as stream:
            yield from numbered_lines(stream)
    except (ValueError, EOFError, OSError) as error:
        raise ContractViolation(
            f"{path.name}: not whole lines of JSON ({type(error).__name__}). Export the file again."
        ) from None


def numbered_lines(stream: Any) -> Iterator[tuple[int, Any]]:
    """Number, from 1, and value of each line of JSON in a binary stream; empty lines are passed over.

    Raises:
        ValueError: a line is not JSON.
    """
    for number, line in enumerate(_lines(stream), start=1):
        if line.strip():
            yield number, decode(line)


def _lines(stream: Any) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(READ_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    yield rest


def _plain(column: pa.Array) -> list[Any]:
    """Values of a column; times with a zone as naive UTC, since building their zones takes most of the reading."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp("us"), safe=False)
    return list(column.to_pylist())


def _parquet_records(path: Path, columns: Collection[str] | None) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if columns is None or name in columns]
            number = 0
            for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=names):
                for values in zip(*map(_plain, batch.columns), strict=True):
                    number += 1
                    yield number, dict(zip(batch.schema.names, values, strict=True))
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractViolation(f"{path.name}: not readable as Parquet ({type(error).__name__}).") from None
