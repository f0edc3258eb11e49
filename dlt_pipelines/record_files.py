"""Files that vendors export, record by record: JSON lines and Parquet, in whatever compression their names say."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from dlt_pipelines.rows import ContractViolation

PARQUET_ROWS: Final = 10_000
CODECS: Final[Mapping[str, str]] = {".gz": "gzip", ".br": "brotli", ".zst": "zstd", ".lz4": "lz4", ".bz2": "bz2"}


def is_parquet(path: Path) -> bool:
    """Whether the name says Parquet; vendors put the codec inside the file behind it, as in `x.parquet.zst`."""
    return ".parquet" in path.suffixes


def read_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Number and content of each record, from 1, a few thousand in memory at a time.

    Raises:
        ContractViolation: the file is not what its name says, or not whole.
    """
    yield from _parquet_records(path) if is_parquet(path) else _json_records(path)


def _json_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    codec = CODECS.get(path.suffix)
    try:
        with pa.input_stream(str(path), compression=codec) as stream:
            for number, line in enumerate(_lines(stream), start=1):
                if line.strip():
                    yield number, json.loads(line)
    except (ValueError, EOFError, OSError) as error:
        raise ContractViolation(
            f"{path.name}: not whole lines of JSON ({type(error).__name__}). Export the file again."
        ) from None


def _lines(stream: Any) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 20):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    yield rest


def _parquet_records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
    except (pa.ArrowInvalid, OSError) as error:
        raise ContractViolation(f"{path.name}: not readable as Parquet ({type(error).__name__}).") from None
