"""dlt pipelines of the sources: one pipeline, one landing file and one dataset a source, so none blocks another.

run_source(SOURCES["files"], config, window, hasher, landing_dir=…, pipelines_dir=…)
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

# Before dlt is imported: it decides at import whether to phone home.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import duckdb
from dlt.common.destination import Destination
from dlt.common.pipeline import LoadInfo

from dlt_pipelines.config import ExtractionWindow, SourceConfig
from dlt_pipelines.privacy import Hasher, scrub_text
from dlt_pipelines.spec import SecretSpec, SourceSpec

LOG = logging.getLogger(__name__)
DestinationName = Literal["duckdb", "snowflake"]
# insert_values, dlt's default for DuckDB, is 20 to 60 times slower.
LOADER_FILE_FORMAT: Literal["parquet"] = "parquet"

# DuckDB would fill most of the machine's memory with its cache; what does not fit goes to a folder beside the file.
# With it 1.2M events peak at 0.9 GB instead of 2.0.
FRUGAL: Final[dict[str, Any]] = {"memory_limit": "512MB", "preserve_insertion_order": False}

SNOWFLAKE_SECRETS: Mapping[str, SecretSpec] = {
    "host": SecretSpec("SNOWFLAKE_ACCOUNT", "Snowflake account identifier"),
    "username": SecretSpec("SNOWFLAKE_USER", "Snowflake user"),
    "password": SecretSpec("SNOWFLAKE_PASSWORD", "Snowflake password; or SNOWFLAKE_PRIVATE_KEY", required=False),
    "private_key": SecretSpec("SNOWFLAKE_PRIVATE_KEY", "Snowflake private key, PEM", required=False),
    "database": SecretSpec("SNOWFLAKE_DATABASE", "Snowflake database"),
    "warehouse": SecretSpec("SNOWFLAKE_WAREHOUSE", "Snowflake virtual warehouse"),
    "role": SecretSpec("SNOWFLAKE_ROLE", "Snowflake role", required=False),
}


@dataclass(frozen=True)
class LoadResult:
    """What one load did: rows merged per resource (unchanged ones included) and the load packages' ids."""

    source: str
    rows: Mapping[str, int]
    load_ids: tuple[str, ...] = field(default=())


class ExtractionFailed(RuntimeError):  # noqa: N818 - read as what happened
    """A source could not be loaded; the message is the vendor's or the file's own problem, free of secrets."""


def dataset_name(source_name: str) -> str:
    return f"raw_{source_name}"


def landing_file(landing_dir: Path, source_name: str) -> Path:
    """The source's landing file. Its stem becomes DuckDB's catalog name and must differ from the dataset's."""
    return landing_dir / f"landing_{source_name}.duckdb"


def snowflake_destination() -> Destination:
    """dlt's Snowflake destination from the environment; builds no connection.

    Raises:
        MissingSecret: a variable is unset.
        ValueError: neither a password nor a private key is given.
    """
    credentials = {name: secret.read() for name, secret in SNOWFLAKE_SECRETS.items()}
    if not credentials["password"] and not credentials["private_key"]:
        raise ValueError("Set SNOWFLAKE_PASSWORD or SNOWFLAKE_PRIVATE_KEY: Snowflake needs one of them.")
    from dlt.destinations.impl.snowflake.configuration import SnowflakeCredentials

    # Its telemetry goes out of band, past the connection's own settings.
    given: dict[str, Any] = {name: value for name, value in credentials.items() if value}
    return dlt.destinations.snowflake(credentials=SnowflakeCredentials(given))


def pipeline_for(
    source_name: str,
    landing_dir: Path,
    pipelines_dir: Path,
    destination: DestinationName = "duckdb",
    settings: Mapping[str, Any] | None = None,
) -> dlt.Pipeline:
    """The dlt pipeline of a source: its own name, landing file and working folder; Parquet, load ids on every row.

    Args:
        settings: DuckDB's, for the connection that writes the landing file; frugal ones when left out.
    """
    # Arrow tables carry no load id unless asked.
    dlt.config["normalize.parquet_normalizer.add_dlt_load_id"] = True
    dlt.config["normalize.loader_file_format"] = LOADER_FILE_FORMAT
    # A fault inside a load is either the vendor's or ours; repeating the same file does not help.
    dlt.config["load.raise_on_max_retries"] = 2
    # Loaded files are in the database; keeping them doubles the disk.
    dlt.config["load.delete_completed_jobs"] = True
    pipelines_dir.mkdir(parents=True, exist_ok=True)
    if destination == "snowflake":
        target = snowflake_destination()
    else:
        landing_dir.mkdir(parents=True, exist_ok=True)
        from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials

        credentials = DuckDbCredentials(str(landing_file(landing_dir, source_name)))
        credentials.global_config = dict(FRUGAL if settings is None else settings)
        target = dlt.destinations.duckdb(credentials)
    return dlt.pipeline(
        pipeline_name=f"attribution_{source_name}",
        destination=target,
        dataset_name=dataset_name(source_name),
        pipelines_dir=str(pipelines_dir),
    )


def run_source(
    spec: SourceSpec,
    config: SourceConfig,
    window: ExtractionWindow,
    hasher: Hasher,
    *,
    landing_dir: Path,
    pipelines_dir: Path,
    destination: DestinationName = "duckdb",
    resources: tuple[str, ...] | None = None,
) -> LoadResult:
    """Extract a source and merge it into its landing file.

    What an interrupted run left behind is thrown away first: the destination's own state says what is stored, so the
    missing part is pulled again and merges to the same rows.

    Args:
        resources: only these tables; all when left out.

    Raises:
        ExtractionFailed: with the underlying problem's message; nothing of this run was merged.
    """
    pipeline = pipeline_for(spec.name, landing_dir, pipelines_dir, destination)
    try:
        start_afresh(pipeline)
        source = spec.build(config, window, hasher)
        if resources is not None:
            source = source.with_resources(*resources)
        try:
            info = pipeline.run(source, loader_file_format=LOADER_FILE_FORMAT)
        except Exception as error:
            if not isinstance(root_cause(error), duckdb.OutOfMemoryException):
                raise
            # A load that changes most of many rows holds their old values. What was extracted lies there still.
            LOG.info("%s: the load does not fit into %s; loading without that limit", spec.name, FRUGAL["memory_limit"])
            info = pipeline_for(spec.name, landing_dir, pipelines_dir, destination, settings={}).load()
        info.raise_on_failed_jobs()
    except Exception as error:
        # dlt wraps the cause in a page of advice that hides it.
        raise ExtractionFailed(f"{spec.name}: {explain(error)}") from None
    result = LoadResult(spec.name, _rows(spec, pipeline), _load_ids(info))
    LOG.info("%s: %s", spec.name, ", ".join(f"{name} {rows}" for name, rows in result.rows.items()) or "nothing new")
    return result


def start_afresh(pipeline: dlt.Pipeline) -> None:
    """Drop the working folder and take state and schema from the destination, as the last finished load left them."""
    pipeline.drop()
    pipeline.sync_destination()


def explain(error: BaseException) -> str:
    """The root cause in words, free of addresses and of dlt's advice."""
    cause = root_cause(error)
    text = scrub_text(str(cause))
    if isinstance(cause, KeyError):
        return f"the vendor's reply lacks the field {text}; its format changed. Nothing of this source was written."
    ours = type(cause).__module__.startswith("dlt_pipelines.")
    return text if ours and text else f"{type(cause).__name__}: {text}"


def root_cause(error: BaseException) -> BaseException:
    """The innermost exception of a chain; dlt's own are wrappers."""
    seen = {id(error)}
    while (inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__)) is not None:
        if id(inner) in seen:
            break
        seen.add(id(inner))
        if not type(error).__module__.startswith("dlt."):
            break
        error = inner
    return error


def _rows(spec: SourceSpec, pipeline: dlt.Pipeline) -> dict[str, int]:
    info = pipeline.last_trace.last_normalize_info if pipeline.last_trace else None
    counts = dict(info.row_counts) if info else {}
    return {resource.name: counts.get(resource.name, 0) for resource in spec.resources}


def _load_ids(info: LoadInfo) -> tuple[str, ...]:
    return tuple(info.loads_ids)


def stored_rows(landing_dir: Path, spec: SourceSpec) -> dict[str, int]:
    """Rows now stored per resource of a source; 0 for a table that was never loaded."""
    path = landing_file(landing_dir, spec.name)
    if not path.exists():
        return {resource.name: 0 for resource in spec.resources}
    with duckdb.connect(str(path), read_only=True) as connection:
        held = {
            row[0]
            for row in connection.execute(
                "select table_name from information_schema.tables where table_schema = ?", [dataset_name(spec.name)]
            ).fetchall()
        }
        return {
            resource.name: _count(connection, spec.name, resource.name) if resource.name in held else 0
            for resource in spec.resources
        }


def _count(connection: duckdb.DuckDBPyConnection, source_name: str, table: str) -> int:
    row = connection.execute(f'select count(*) from {dataset_name(source_name)}."{table}"').fetchone()
    return int(row[0]) if row else 0
