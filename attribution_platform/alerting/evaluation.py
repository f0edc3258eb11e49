"""What is evaluated and when: every finished run once, and once an hour what did not happen. The sensors, `attribution run` and
`attribution alerts evaluate` all come through here."""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from attribution_platform.alerting.happenings import (
    BEFORE_WE_CAME,
    LOOK_BACK,
    RUNS_AT_ONCE,
    Timetable,
    has_published,
    missed_schedules,
    observations_of_run,
    runs_to_evaluate,
    stale_sources,
)
from attribution_platform.alerting.service import LOG, Alerting, Sent
from attribution_platform.alerting.signals import tracking_observations
from attribution_platform.alerting.store import Outcome
from attribution_platform.environment import AUTOMATION_IS_ON, resolve
from attribution_platform.schedules import crons_of
from attribution_platform.settings import Settings


def evaluate_run(
    alerting: Alerting, instance: dg.DagsterInstance, run: dg.DagsterRun, *, dry_run: bool = False, log: Any = LOG
) -> Outcome:
    """Evaluate one finished run: its checks, its sources, itself and, where it published, the tracking."""
    observations = observations_of_run(instance, run)
    if has_published(instance, run.run_id):
        observations += tracking_observations(alerting.settings)
    return alerting.evaluate(_name(run.run_id), observations, run.run_id, dry_run=dry_run, log=log)


def evaluate_finished_runs(
    alerting: Alerting, instance: dg.DagsterInstance, *, dry_run: bool = False, log: Any = LOG
) -> list[Outcome]:
    """Evaluate finished runs that were not, the oldest first and so many at a time that a tick stays short."""
    now = alerting.clock()
    began = alerting.store.first_evaluated_at() or now
    runs = runs_to_evaluate(instance, max(now - LOOK_BACK, began - BEFORE_WE_CAME))
    known = alerting.store.evaluated([_name(run.run_id) for run in runs])
    due = [run for run in runs if _name(run.run_id) not in known][:RUNS_AT_ONCE]
    return [evaluate_run(alerting, instance, run, dry_run=dry_run, log=log) for run in due]


def evaluate_silence(
    alerting: Alerting, instance: dg.DagsterInstance, *, dry_run: bool = False, log: Any = LOG
) -> Outcome | None:
    """Once an hour: sources nobody loaded, schedules nobody ran, and reminders. None when this hour's was done."""
    settings, now = alerting.settings, alerting.clock()
    name = f"hour:{now:%Y-%m-%dT%H}"
    if alerting.store.evaluated([name]):
        return None
    limits = settings.alerts
    observations = stale_sources(instance, settings.enabled_sources, now, limits.stale_after)
    began = alerting.store.first_evaluated_at() or now
    observations += missed_schedules(instance, timetables(settings), now, limits.schedule_grace, began)
    return alerting.evaluate(name, observations, dry_run=dry_run, log=log)


def timetables(settings: Settings) -> Iterable[Timetable]:
    """The schedules as they should run here."""
    is_on = resolve(AUTOMATION_IS_ON, "AUTOMATION_IS_ON")
    zone = settings.project.reporting_time_zone
    return [Timetable(f"{job}_schedule", job, cron, zone, is_on) for job, cron in crons_of(settings).items()]


def _name(run_id: str) -> str:
    return f"run:{run_id}"


def end_of_run(settings: Settings, instance: dg.DagsterInstance) -> Sent:
    """For runs from the terminal, which no daemon watches: evaluate whatever is due and send at once."""
    alerting = Alerting(settings)
    evaluate_finished_runs(alerting, instance)
    evaluate_silence(alerting, instance)
    return alerting.send()
