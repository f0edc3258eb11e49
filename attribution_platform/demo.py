"""`attribution demo`: a simulated company, served in every vendor's dialect, run through the whole platform, beside its truth."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import pandas as pd
from rich.console import Console

from attribution_platform.commands import (
    frame_table,
    say_error,
    show_outcome,
    show_summary,
    show_watch,
    show_where_next,
)
from attribution_platform.layout import IS_CLONE, PROJECT_ROOT
from attribution_platform.resources.factory import build_warehouse
from attribution_platform.run import BusyError, run_job
from attribution_platform.settings import DEFAULT_CONFIG, Settings, SettingsError, load_settings
from attribution_platform.summary import summarise
from attribution_platform.truth import score_identity, score_models
from dlt_pipelines.sandbox.server import SandboxServer
from dlt_pipelines.sandbox.vendors.ga4_export import write_export
from dlt_pipelines.sandbox.world import World, WorldConfig, build_world

PODCAST_A_DAY = 45.0
# A company in business: as many people come as go, so that its rates are steady. A closed world of newcomers signs up and dries up,
# and half of its charts would truly drift.
STAY_DAYS = 120
# A fault broke this long ago, unless it says when.
FAULT_DAYS = 14
DEVICES = """
    select distinct identifier_type, identifier, canonical_user_id
    from intermediate.int_identity__resolution where identifier_type = 'device_id'
"""


def write_inbox(world: World, folder: Path) -> None:
    """What the demo company keeps in files: spend on a podcast, which no vendor API of its reports."""
    folder.mkdir(parents=True, exist_ok=True)
    days = pd.date_range(world.config.start_on, periods=world.config.days, freq="D")
    spend = pd.DataFrame({"date": days.date, "platform": "podcast", "campaign": "founders talk", "cost": PODCAST_A_DAY})
    spend.assign(currency="EUR").to_csv(folder / "spend.csv", index=False)


def prepare_sandbox(world: World, folder: Path) -> str:
    """Lay out what the world leaves on disk: export files, an inbox, a backend database, and the truth, kept apart.

    Returns:
        SQLAlchemy URL of the backend.
    """
    write_export(world, folder / "ga4_export", dialect="extract")
    write_inbox(world, folder / "inbox")
    backend = f"sqlite:///{folder / 'backend.sqlite'}"
    world.to_backend(backend)
    world.to_truth(folder / "truth")
    return backend


def forget_other_world(settings: Settings, config: WorldConfig) -> bool:
    """Clear the data of a demo with other parameters: two worlds in one landing file would be neither.

    Returns:
        True when something was cleared.
    """
    folder = settings.data_dir / "sandbox"
    marker = folder / "world.json"
    wanted = json.dumps(asdict(config), default=str)
    if marker.exists() and marker.read_text() == wanted:
        return False
    known = marker.exists()
    if known:
        for path in (settings.landing_dir, settings.data_dir / "dlt", folder):
            shutil.rmtree(path, ignore_errors=True)
        # Alerts of the other world would stand until two runs of this one had gone by.
        for path in (settings.warehouse_path, settings.serving_path, settings.operations_path):
            path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text(wanted)
    return known


@contextmanager
def sandbox_environment(server: SandboxServer, backend: str) -> Iterator[None]:
    """Point every source at the sandbox and hand it the sandbox's credentials, for the length of one run."""
    values = {**server.environment(), "BACKEND_DATABASE_URL": backend}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def show_truth(world: World, settings: Settings, credit: pd.DataFrame, console: Console) -> None:
    score = score_identity(build_warehouse(settings).query(DEVICES), world.truth.identity)
    console.print("\nAgainst the world's known truth", style="bold")
    console.print(
        f"  identity: {score.coverage:.1%} of {score.devices} devices of registered people resolved, "
        f"{score.accuracy:.1%} of them rightly; {score.people_correct:.1%} of {score.people} people wholly right",
        highlight=False,
    )
    true_shares = world.truth.channel_shares.set_index("channel")["share"]
    distances = score_models(credit, true_shares).rename("distance").to_frame()
    distances.index.name = "model"
    console.print(
        frame_table("  half-L1 distance of channel shares to the true Shapley shares (0 is perfect)", distances, 3)
    )


def run_demo(
    people: int,
    days: int,
    seed: int,
    config: Path | None,
    console: Console,
    errors: Console,
    faults: Sequence[str] = (),
) -> int:
    """Build the world, serve it, run everything, show what came out; returns the exit code.

    Args:
        faults: what breaks in the world, see `dlt_pipelines.sandbox.world_faults`; a fortnight before its end unless dated.
    """
    try:
        if config is None and not IS_CLONE and not Path(DEFAULT_CONFIG).exists():
            shutil.copy(PROJECT_ROOT / DEFAULT_CONFIG, DEFAULT_CONFIG)
            console.print(f"Wrote {Path(DEFAULT_CONFIG).resolve()}: the demo company's settings.", highlight=False)
        settings = load_settings(config)
        start_on = settings.project.history_start
        end = start_on + timedelta(days=days)
        dated = tuple(each if "@" in each else f"{each}@{end - timedelta(days=FAULT_DAYS)}" for each in faults)
        try:
            world_config = WorldConfig(people, start_on, days, seed, faults=dated, stay_days=STAY_DAYS)
            world = build_world(world_config)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        if settings.project.as_of is None or settings.project.as_of.date() != end:
            os.environ["ATTRIBUTION__PROJECT__AS_OF"] = f"{end}T00:00:00Z"
        if forget_other_world(settings, world_config):
            console.print("Cleared the data of a demo with other parameters.")
        broken = f"; broken: {', '.join(dated)}" if dated else ""
        console.print(
            f"Simulated {people:,} people over {days} days (seed {seed}){broken}", highlight=False, markup=False
        )
        backend = prepare_sandbox(world, settings.data_dir / "sandbox")
        with SandboxServer(world) as server, sandbox_environment(server, backend):
            console.print(f"Sandbox speaking for {', '.join(server.base_urls)} at {server.url}", highlight=False)
            # Read again: the sandbox's addresses are in the environment now.
            settings = load_settings(config)
            outcome = run_job("full", settings, console)
    except (SettingsError, BusyError) as error:
        say_error(errors, error)
        return 2
    show_outcome(outcome, console)
    if not outcome.success:
        return 1
    summary = summarise(build_warehouse(settings))
    console.print()
    show_summary(summary, console)
    show_watch(build_warehouse(settings), console)
    show_truth(world, settings, summary.credit, console)
    show_where_next(settings, console)
    return 0
