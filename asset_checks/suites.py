"""Great Expectations as asset checks: one suite a table, one check an expectation, Data Docs beside them.

Suites are YAML under `expectations/`, versioned here. Tables are read as pandas frames: Great Expectations cannot read DuckDB
through SQLAlchemy (every metric fails on an empty result set). Importing the library costs 4 to 7 s, so it happens inside the
check and only there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pandas as pd
import yaml

from asset_checks.data_docs import make_offline
from attribution_platform import keys
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings
from attribution_platform.transformation import WAREHOUSE_POOL

FOLDER = Path(__file__).parent / "expectations"
SITE = "attribution"
# Enough to judge a contract; a bulk table is sampled by its newest rows.
MAX_ROWS = 200_000


@dataclass(frozen=True)
class Suite:
    """Expectations of one table. `expectations` are dicts: expectation, severity, and the expectation's own arguments."""

    schema: str
    table: str
    expectations: tuple[Mapping[str, Any], ...]

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    def check_names(self) -> list[str]:
        return [check_name(expectation) for expectation in self.expectations]


def check_name(expectation: Mapping[str, Any]) -> str:
    """`expect_column_values_to_not_be_null` on column `id` -> `id_values_to_not_be_null`."""
    kind = str(expectation["expectation"]).removeprefix("expect_")
    if "column" in expectation:
        return kind.replace("column", str(expectation["column"]), 1)
    if "column_list" in expectation:
        return f"{kind}__{'_'.join(expectation['column_list'])}"
    if "column_A" in expectation:
        return f"{kind}__{expectation['column_A']}_{expectation['column_B']}"
    return kind


@cache
def load_suites(folder: Path = FOLDER) -> tuple[Suite, ...]:
    """All suites of the repository.

    Raises:
        ValueError: an expectation stands twice in one suite, so two checks would share a name.
    """
    suites = []
    for path in sorted(folder.glob("*.yml")):
        for table, expectations in yaml.safe_load(path.read_text()).items():
            schema, _, name = table.partition(".")
            suite = Suite(schema, name, tuple(expectations))
            names = suite.check_names()
            twice = {item for item in names if names.count(item) > 1}
            if twice:
                raise ValueError(f"{path.name}: {table} has two expectations named {', '.join(sorted(twice))}")
            suites.append(suite)
    return tuple(suites)


def _class_name(kind: str) -> str:
    return "".join(part.capitalize() for part in kind.split("_"))


def evaluate(suite: Suite, frame: pd.DataFrame, project: Path, docs: Path) -> list[Any]:
    """Validate one frame, keep the result in the project's history and rebuild Data Docs.

    Returns:
        Great Expectations' results, one an expectation, in the suite's order.
    """
    import great_expectations as gx
    from great_expectations.checkpoint.actions import UpdateDataDocsAction

    project.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=str(project))
    context.variables.progress_bars = cast(Any, {"globally": False})
    site: Any = {
        "class_name": "SiteBuilder",
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    if "local_site" in context.get_site_names():
        context.delete_data_docs_site("local_site")
    (context.update_data_docs_site if SITE in context.get_site_names() else context.add_data_docs_site)(SITE, site)

    expectations = []
    for position, entry in enumerate(suite.expectations):
        arguments = {name: value for name, value in entry.items() if name != "expectation"}
        expectation = getattr(gx.expectations, _class_name(entry["expectation"]))
        expectations.append(expectation(**arguments, meta={"position": position}))
    source = context.data_sources.add_or_update_pandas("warehouse")
    batch = source.add_dataframe_asset(suite.name).add_batch_definition_whole_dataframe("whole")
    stored = context.suites.add_or_update(gx.ExpectationSuite(name=suite.name, expectations=expectations))
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=suite.name, data=batch, suite=stored)
    )
    checkpoint = gx.Checkpoint(
        name=suite.name,
        validation_definitions=[definition],
        actions=[UpdateDataDocsAction(name="data_docs", site_names=[SITE])],
    )
    outcome = context.checkpoints.add_or_update(checkpoint).run(batch_parameters={"dataframe": frame})
    results = [result for run in outcome.run_results.values() for result in run.results]
    make_offline(docs)
    return sorted(results, key=lambda result: result.expectation_config.meta["position"])


def as_check_result(suite: Suite, position: int, result: Any, docs: Path) -> dg.AssetCheckResult:
    """Great Expectations' verdict in Dagster's words; `critical` is an error, anything else a warning."""
    entry = suite.expectations[position]
    detail = result.result or {}
    metadata: dict[str, Any] = {"data_docs": dg.MetadataValue.path(docs / "index.html")}
    for name in ("element_count", "unexpected_count", "unexpected_percent", "observed_value"):
        value = detail.get(name)
        if isinstance(value, int | float | str):
            metadata[name] = value
    severity = dg.AssetCheckSeverity.ERROR if entry.get("severity") == "critical" else dg.AssetCheckSeverity.WARN
    error = (result.exception_info or {}).get("exception_message") if not result.success else None
    return dg.AssetCheckResult(
        asset_key=keys.table_key(suite.schema, suite.table),
        check_name=check_name(entry),
        passed=bool(result.success),
        severity=severity,
        description=str(error) if error else None,
        metadata=metadata,
    )


def _build(suite: Suite, settings: Settings) -> dg.AssetChecksDefinition:
    key = keys.table_key(suite.schema, suite.table)
    docs = settings.data_dir / "data_docs"

    @dg.multi_asset_check(
        name=f"expectations_{suite.schema}_{suite.table}",
        specs=[
            dg.AssetCheckSpec(
                name=check_name(entry),
                asset=key,
                description=str(entry.get("notes") or entry["expectation"].replace("_", " ")),
            )
            for entry in suite.expectations
        ],
        pool=WAREHOUSE_POOL,
    )
    def _checks(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.AssetCheckResult]:
        columns = sorted({column for entry in suite.expectations for column in _columns(entry)})
        frame = warehouse.sample(suite.schema, suite.table, columns, MAX_ROWS)
        if frame is None:
            for entry in suite.expectations:
                yield dg.AssetCheckResult(
                    asset_key=key,
                    check_name=check_name(entry),
                    passed=True,
                    metadata={"note": "the vendor has sent no row of this table yet"},
                )
            return
        results = evaluate(suite, frame, settings.data_dir / "gx", docs)
        for position, result in enumerate(results):
            yield as_check_result(suite, position, result, docs)

    return _checks


def _columns(entry: Mapping[str, Any]) -> list[str]:
    named = [entry[name] for name in ("column", "column_A", "column_B") if name in entry]
    return [*named, *entry.get("column_list", [])]


def build_suite_checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """One multi-check a suite; suites of a source that is off are left out."""
    datasets = {keys.raw_dataset(name) for name in settings.enabled_sources}
    return [
        _build(suite, settings)
        for suite in load_suites()
        if not suite.schema.startswith(keys.RAW_PREFIX) or suite.schema in datasets
    ]
