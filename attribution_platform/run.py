"""Run one job in this process, with progress on the terminal. `attribution run` and `attribution demo` end here.

The instance is the one the Dagster UI reads, so a run from the terminal shows up there.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from rich.console import Console

from attribution_platform.ingestion import EXTRACTION_STEP
from attribution_platform.jobs import REBUILD, only_extraction_failed, run_config
from attribution_platform.layout import PROJECT_ROOT
from attribution_platform.settings import Settings, SettingsError

# Marks the runs of this module, which hold the data folder while they live.
TERMINAL_TAG = {"attribution/started_from": "terminal"}
INSTANCE_FILE = PROJECT_ROOT / "deploy" / "dagster.yaml"


class BusyError(RuntimeError):
    """Another run holds the data folder."""


@dataclass
class RunOutcome:
    """How a run went: failed step -> first line of its error, and the check results."""

    run_id: str
    success: bool
    materialized: int = 0
    failed_steps: dict[str, str] = field(default_factory=dict)
    passed_checks: int = 0
    failed_checks: list[tuple[str, str, str]] = field(default_factory=list)

    def followed_by(self, later: "RunOutcome") -> "RunOutcome":
        """Both runs as one: whole only if both were."""
        return RunOutcome(
            run_id=later.run_id,
            success=self.success and later.success,
            materialized=self.materialized + later.materialized,
            failed_steps={**self.failed_steps, **later.failed_steps},
            passed_checks=self.passed_checks + later.passed_checks,
            failed_checks=[*self.failed_checks, *later.failed_checks],
        )


def prepare_instance_home(settings: Settings) -> None:
    """Make DAGSTER_HOME beside the data, with our instance file; an edited one stays."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    target = settings.dagster_home / "dagster.yaml"
    if not target.exists():
        shutil.copyfile(INSTANCE_FILE, target)
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the data folder for one run; the lock dies with the process, so a killed run leaves none behind.

    Raises:
        BusyError: another process is running on the same data.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise BusyError(
                f"Another run (process {holder}) is working on {settings.data_dir}. Wait for it, or stop it and try again."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


class _Progress(logging.Handler):
    """One line when a step starts and one when it ends; everything else stays in Dagster's own log."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None) or getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            return
        kind, step = event.event_type_value, event.step_key
        if kind == "STEP_START":
            self._console.print(f"  … {step}", highlight=False)
        elif kind == "STEP_SUCCESS":
            seconds = event.event_specific_data.duration_ms / 1000
            self._console.print(f"  [green]✓[/] {step}  [dim]{seconds:.1f} s[/]", highlight=False)
        elif kind == "STEP_FAILURE":
            self._console.print(f"  [red]✗[/] {step}", highlight=False)
        elif kind == "STEP_SKIPPED":
            self._console.print(f"  [yellow]–[/] {step}  [dim]skipped[/]", highlight=False)


def progress_logger(console: Console) -> dg.LoggerDefinition:
    @dg.logger
    def terminal(_context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.getLogger("attribution.progress")
        logger.handlers = [_Progress(console)]
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        return logger

    return terminal


def _root_cause(error: Any) -> str:
    """The innermost message: Dagster wraps an asset's own exception twice."""
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip() or str(error.cls_name)


def collect(run_id: str, events: Sequence[dg.DagsterEvent], success: bool) -> RunOutcome:
    outcome = RunOutcome(run_id=run_id, success=success)
    for event in events:
        data = event.event_specific_data
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            outcome.materialized += 1
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION and isinstance(
            data, dg.AssetCheckEvaluation
        ):
            if data.passed:
                outcome.passed_checks += 1
            else:
                outcome.failed_checks.append((data.asset_key.to_user_string(), data.check_name, data.severity.value))
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE and event.step_key:
            error = event.step_failure_data.error
            outcome.failed_steps[event.step_key] = _root_cause(error) if error else "no reason recorded"
    return outcome


def run_job(job: str, settings: Settings, console: Console) -> RunOutcome:
    """Run one job to its end. Where only sources failed, what the others delivered is built all the same.

    Raises:
        BusyError: another run holds the data folder.
    """
    # dbt's lines go to the log; ours keep the terminal they had.
    terminal = Console(file=console.file, soft_wrap=True, width=console.width)
    with exclusive(settings):
        prepare_instance_home(settings)
        outcome = _execute(job, settings, terminal)
        if only_extraction_failed(outcome.failed_steps):
            failed = ", ".join(step.removeprefix(EXTRACTION_STEP) for step in outcome.failed_steps)
            terminal.print(f"[yellow]{failed} failed[/]; building from what is there", highlight=False)
            outcome = outcome.followed_by(_execute(REBUILD, settings, terminal))
        return outcome


def bury_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process was killed: the caller holds the data folder, so none of them can be alive.

    A killed run keeps its pool slots, and without Dagster's daemon nobody frees them: with a limit of one, the next run from the
    terminal would wait for ever.

    Returns:
        Ids of the runs.
    """
    killed = instance.get_runs(
        filters=dg.RunsFilter(
            tags=TERMINAL_TAG,
            statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED],
        )
    )
    for run in killed:
        instance.report_run_failed(run, "The process of this run was killed; the next run found it so.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in killed]


def _tell(settings: Settings, instance: dg.DagsterInstance, terminal: Console) -> None:
    """Alert about what the run showed. The tables are built by now: a receiver that is down must not turn the run red."""
    from attribution_platform.alerting.evaluation import end_of_run

    try:
        sent = end_of_run(settings, instance)
    except Exception as error:
        # The type alone: a database's own words may hold its address.
        reason = str(error) if isinstance(error, SettingsError) else type(error).__name__
        terminal.print(
            f"[yellow]alerts could not be evaluated[/]: {reason}; the next run makes it good", highlight=False
        )
        return
    if sent.failed or sent.given_up:
        terminal.print(
            f"[yellow]{len(sent.failed) + len(sent.given_up)} alerts not delivered[/]; see `attribution alerts list`",
            highlight=False,
        )


def _execute(job: str, settings: Settings, terminal: Console) -> RunOutcome:
    from attribution_platform.definitions import build_defs

    log = settings.data_dir / "logs" / f"{job}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal.print(f"[bold]{job}[/]: loading definitions  [dim]details in {log}[/]", highlight=False)
    definitions = build_defs(settings, loggers={"console": progress_logger(terminal)})
    with log.open("w") as details, redirect_stdout(details), dg.DagsterInstance.get() as instance:
        bury_killed_runs(instance)
        result = definitions.resolve_job_def(job).execute_in_process(
            # Named here, or Dagster adds its own log of every event to ours.
            run_config={**run_config(job, settings), "loggers": {"console": {}}},
            instance=instance,
            tags=TERMINAL_TAG,
            raise_on_error=False,
        )
        _tell(settings, instance, terminal)
    return collect(result.run_id, result.all_events, result.success)
