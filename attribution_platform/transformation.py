"""dbt as Dagster assets: one project, three passes over one graph, split where a Python asset stands between.

What belongs here: the manifest, the translator, and the pure functions that build dbt's arguments. What the models mean is in
dbt_attribution.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from attribution_platform import keys
from attribution_platform.layout import DBT_PROJECT_DIR
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.settings import Settings

# Tag of the dbt models a pass builds -> name of its Dagster op, in order. dbt adds a model's own tags to its folder's, so a
# model counts for the first pass whose tag it carries.
PASSES: Mapping[str, str] = {
    "base": "dbt_base",
    "journey": "dbt_journeys",
    "attribution": "dbt_attribution",
}
WAREHOUSE_POOL = "warehouse"
# A test with several parents runs in the pass where the last of them is built; dbt's default (eager) would run it in the
# first, against tables that do not exist yet.
INDIRECT_SELECTION = "buildable"
# They prove the models' code under the shipped settings, in `make test`. On somebody's own (another session timeout, another
# minimum volume) a right model would fail them and stop the run.
WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


class Translator(DagsterDbtTranslator):
    """Keys `[schema, table]`; group by folder; a source that is off leaves no dead asset behind."""

    def __init__(self, enabled_sources: Sequence[str]) -> None:
        super().__init__()
        self._enabled_datasets = {keys.raw_dataset(source) for source in enabled_sources}

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        spec = spec.replace_attributes(key=dg.AssetKey(keys.table_key(node["schema"], node["name"])))
        if node["resource_type"] == "source":
            return spec
        folders = node["fqn"][1:-1] if node["resource_type"] == "model" else ["staging"]
        states = {
            dg.AssetKey(keys.table_key(source["schema"], source["name"]))
            for source in manifest["sources"].values()
            if source["config"].get("meta", {}).get("state")
        }
        kept = [dep for dep in spec.deps if not self._is_off(dep.asset_key) and dep.asset_key not in states]
        return spec.replace_attributes(
            group_name=keys.group_of_model(folders),
            owners=["team:attribution"],
            description=node.get("description") or spec.description,
            deps=kept,
        )

    def _is_off(self, key: dg.AssetKey) -> bool:
        return key.path[0].startswith(keys.RAW_PREFIX) and key.path[0] not in self._enabled_datasets


def build_arguments(command: str, variables: Mapping[str, Any]) -> list[str]:
    """dbt's command line. Variables are sorted: a changed order would cost a full re-parse (3 s)."""
    return [command, "--vars", json.dumps(variables, sort_keys=True)]


def project_fingerprint(folder: Path, variables: Mapping[str, Any]) -> str:
    """Changes when any dbt file or any variable does."""
    digest = hashlib.sha256(json.dumps(variables, sort_keys=True).encode())
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if inside.parts[0] in {"target", "logs", "dbt_packages"} or path.suffix not in {
            ".sql",
            ".yml",
            ".csv",
            ".md",
        }:
            continue
        digest.update(str(inside).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def earlier_passes(tag: str) -> list[str]:
    """Tags of the passes that run before this one."""
    return list(PASSES)[: list(PASSES).index(tag)]


def dbt_executable() -> str:
    """The dbt of this interpreter, whether or not its folder is on PATH."""
    return str(Path(sys.executable).parent / "dbt")


def prepare_environment(settings: Settings) -> None:
    """Set what profiles.yml reads, for dbt's processes and for the adapter dagster-dbt opens in ours."""
    os.environ.update(settings.dbt_environment())
    os.environ["DBT_INDIRECT_SELECTION"] = INDIRECT_SELECTION
    folder = str(Path(sys.executable).parent)
    if folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", "")])


def dbt_project(settings: Settings) -> DbtProject:
    return DbtProject(
        project_dir=DBT_PROJECT_DIR,
        profiles_dir=DBT_PROJECT_DIR,
        target=settings.warehouse.target,
        target_path=settings.data_dir / "dbt",
    )


def dbt_resource(settings: Settings) -> DbtCliResource:
    return DbtCliResource(
        project_dir=dbt_project(settings),
        dbt_executable=dbt_executable(),
        global_config_flags=["--no-use-colors", "--log-path", str(settings.data_dir / "dbt" / "logs")],
    )


def ensure_manifest(settings: Settings) -> Path:
    """Parse the project when it was never parsed or has changed since; a fresh clone needs no extra step.

    `DbtProject.prepare_if_dev` does nothing outside `dagster dev`, so the CLI, tests and production would find no manifest.
    """
    prepare_environment(settings)
    project = dbt_project(settings)
    stamp = project.manifest_path.with_suffix(".stamp")
    fingerprint = project_fingerprint(DBT_PROJECT_DIR, settings.dbt_vars())
    if project.manifest_path.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return project.manifest_path
    settings.landing_dir.mkdir(parents=True, exist_ok=True)
    invocation = dbt_resource(settings).cli(
        [*build_arguments("parse", settings.dbt_vars()), "--quiet"], target_path=settings.data_dir / "dbt"
    )
    invocation.wait()
    stamp.write_text(fingerprint)
    return project.manifest_path


def with_table_facts(events: Iterable[Any], context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """Add row count and columns to every model's event, asked for once when dbt is done.

    dagster-dbt's own fetchers open an adapter a model and parse each model's SQL for column lineage: over 35 models that took
    five minutes where dbt itself took ten seconds.
    """
    finished: list[Any] = []
    failure: Exception | None = None
    try:
        finished.extend(events)
    except Exception as error:  # what was built before the failure is still to be reported
        failure = error
    keys_by_output = {
        event.output_name: context.asset_key_for_output(event.output_name)
        for event in finished
        if isinstance(event, dg.Output)
    }
    facts = warehouse.table_facts([(key.path[0], key.path[1]) for key in keys_by_output.values()])
    for event in finished:
        if isinstance(event, dg.Output):
            fact = facts.get(tuple(keys_by_output[event.output_name].path))
            if fact is not None:
                schema = dg.TableSchema(columns=[dg.TableColumn(name, kind) for name, kind in fact.columns.items()])
                event = event.with_metadata(
                    {**event.metadata, "dagster/row_count": fact.row_count, "dagster/column_schema": schema}
                )
        yield event
    if failure is not None:
        raise failure


@cache
def build_dbt_assets(settings: Settings) -> tuple[dg.AssetsDefinition, ...]:
    """The three passes as assets."""
    manifest = ensure_manifest(settings)
    translator = Translator(settings.enabled_sources)

    def one_pass(tag: str, op_name: str) -> dg.AssetsDefinition:
        @dbt_assets(
            manifest=manifest,
            select=f"tag:{tag}",
            exclude=" ".join(f"tag:{earlier}" for earlier in earlier_passes(tag)),
            name=op_name,
            dagster_dbt_translator=translator,
            pool=WAREHOUSE_POOL,
        )
        def _assets(
            context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: dg.ResourceParam[Warehouse]
        ) -> Iterator[Any]:
            invocation = dbt.cli(
                [*build_arguments("build", settings.dbt_vars()), *WITHOUT_UNIT_TESTS],
                context=context,
                target_path=settings.data_dir / "dbt",
            )
            yield from with_table_facts(invocation.stream(), context, warehouse)

        return _assets

    return tuple(one_pass(tag, op_name) for tag, op_name in PASSES.items())
