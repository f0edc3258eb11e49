"""Resources over folders into which a vendor's export drops files: what was read is remembered by name, size and time."""

import logging
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import dlt
from dlt.extract import DltResource

from dlt_pipelines.config import ExtractionWindow
from dlt_pipelines.extraction import guard_key, hinted, make_resource
from dlt_pipelines.privacy import Hasher
from dlt_pipelines.record_files import read_records
from dlt_pipelines.rows import ContractViolation, Shaper
from dlt_pipelines.spec import ResourceSpec

LOG = logging.getLogger(__name__)
_FILE: Final = re.compile(r"\.(parquet|jsonl|ndjson)(\.[a-z0-9]+)?$")
ToRow = Callable[[Mapping[str, Any]], dict[str, Any]]


def export_files(folder: Path) -> list[Path]:
    """Export files under a folder, by path: their names begin with the time they are of."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and _FILE.search(path.name))


def file_resource(
    source: str,
    spec: ResourceSpec,
    folder: Path,
    window: ExtractionWindow,
    hasher: Hasher,
    *,
    row: ToRow,
    columns: Collection[str] | None = None,
) -> DltResource:
    """A table of rows that never change, from the files that are new; a row in two files is stored once.

    Args:
        columns: what is read of Parquet files, everything when left out.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    return _over_files(source, spec, folder, window, hasher, lambda files: _rows(files, row, columns))


def changed_rows(
    source: str,
    spec: ResourceSpec,
    folder: Path,
    window: ExtractionWindow,
    hasher: Hasher,
    *,
    row: ToRow,
    version: str,
) -> DltResource:
    """A table of rows that come again when they change: of the new files' rows of one key the highest version is kept.

    They are held in memory, one a key: people, not events.

    Raises:
        FileNotFoundError: there is no such folder.
    """

    def newest(files: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
        held: dict[tuple[Any, ...], dict[str, Any]] = {}
        for found in _rows(files, row):
            key = tuple(found[name] for name in spec.primary_key)
            if key not in held or held[key][version] <= found[version]:
                held[key] = found
        yield from held.values()

    return _over_files(source, spec, folder, window, hasher, newest)


def _over_files(
    source: str,
    spec: ResourceSpec,
    folder: Path,
    window: ExtractionWindow,
    hasher: Hasher,
    rows: Callable[[Mapping[str, Path]], Iterator[Mapping[str, Any]]],
) -> DltResource:
    if not folder.is_dir():
        raise FileNotFoundError(f"sources.{source}: {folder} is not a folder. Make it, or set another path.")

    def generate() -> Iterator[Any]:
        state = dlt.current.resource_state()
        guard_key(state, hasher)
        held: dict[str, list[int]] = state.setdefault("files", {})
        found = {path.relative_to(folder).as_posix(): path for path in export_files(folder)}
        stamps = {name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in found.items()}
        wanted = [name for name in found if window.refresh or list(held.get(name, ())) != stamps[name]]
        if not wanted:
            return
        LOG.info("%s.%s: reading %d of %d files", source, spec.name, len(wanted), len(found))
        shaper = Shaper(source, spec, hasher)
        yield from hinted(spec, None, shaper.batches(rows({name: found[name] for name in wanted})), shaper.empty())
        held.update({name: stamps[name] for name in wanted})

    return make_resource(spec, generate)


def _rows(files: Mapping[str, Path], row: ToRow, columns: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    for name, path in files.items():
        for number, record in read_records(path, columns):
            try:
                yield row(record)
            except KeyError as error:
                raise ContractViolation(f"{name}, row {number}: the column {error} is missing.") from None
            except (AttributeError, TypeError, ValueError) as error:
                raise ContractViolation(
                    f"{name}, row {number}: not a row of the export ({type(error).__name__}). Export the file again."
                ) from None
