"""Sensors that turn what happened in a run into notifications.

A failed check that does not block leaves its run green, so a run-failure sensor alone never sees it: we look at the check
evaluations of every finished run, green or red. Reading them per run works on SQLite and PostgreSQL storage alike; a cursor over
the event log raises on SQLite.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from attribution_platform.environment import AUTOMATION_IS_ON, resolve
from attribution_platform.jobs import REBUILD, only_extraction_failed
from attribution_platform.resources.notifier import Notification, Notifier

SAMPLE = 20


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    evaluations = [
        record.event_log_entry.dagster_event.event_specific_data
        for record in records
        if record.event_log_entry.dagster_event is not None
    ]
    return [item for item in evaluations if isinstance(item, dg.AssetCheckEvaluation) and not item.passed]


def compose(run: dg.DagsterRun, failures: Sequence[dg.AssetCheckEvaluation], failed: bool) -> Notification | None:
    """One message a run, or None when there is nothing to say."""
    if not failures and not failed:
        return None
    worst = "error" if failed or any(item.severity == dg.AssetCheckSeverity.ERROR for item in failures) else "warning"
    lines = [
        f"{item.asset_key.to_user_string()} · {item.check_name} · {item.severity.value}"
        + (f" · {item.description}" if item.description else "")
        for item in failures[:SAMPLE]
    ]
    if len(failures) > SAMPLE:
        lines.append(f"and {len(failures) - SAMPLE} more")
    what = f"{len(failures)} failed check(s)" if failures else "no check failed"
    return Notification(
        title=f"{run.job_name}: {'run failed, ' if failed else ''}{what}",
        severity=worst,
        fingerprint=run.run_id,
        run_id=run.run_id,
        lines=tuple(lines),
    )


def _notify(context: dg.RunStatusSensorContext, notifier: Notifier, failed: bool) -> None:
    # Dagster retries a whole run under a new id; only the last try is worth a message.
    if failed and context.dagster_run.tags.get("dagster/will_retry") == "true":
        return
    notification = compose(context.dagster_run, failed_checks(context.instance, context.dagster_run.run_id), failed)
    if notification is not None:
        route = notifier.send(notification, context.log)
        context.log.info(f"notified through {route}: {notification.title}")


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    return [record.event_log_entry.step_key for record in records if record.event_log_entry.step_key]


def build_sensors(rebuild: Any) -> list[dg.SensorDefinition]:
    """The sensors; `rebuild` is the job of that name."""
    status = (
        dg.DefaultSensorStatus.RUNNING
        if resolve(AUTOMATION_IS_ON, "AUTOMATION_IS_ON")
        else dg.DefaultSensorStatus.STOPPED
    )

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="failed_checks_of_green_runs",
        default_status=status,
        monitor_all_code_locations=True,
        description="Notifies about failed checks of a run that succeeded.",
    )
    def failed_checks_of_green_runs(context: dg.RunStatusSensorContext, notifier: Notifier) -> None:
        _notify(context, notifier, failed=False)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.FAILURE,
        name="failed_runs",
        default_status=status,
        monitor_all_code_locations=True,
        description="Notifies about a failed run, with the checks that failed in it.",
    )
    def failed_runs(context: dg.RunStatusSensorContext, notifier: Notifier) -> None:
        _notify(context, notifier, failed=True)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.FAILURE,
        name="rebuild_after_failed_extraction",
        default_status=status,
        request_job=rebuild,
        description="Builds from what the other sources delivered when a run failed at sources alone.",
    )
    def rebuild_after_failed_extraction(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if run.tags.get("dagster/will_retry") == "true":
            return dg.SkipReason("Dagster tries the run again.")
        if not only_extraction_failed(failed_steps(context.instance, run.run_id)):
            return dg.SkipReason("Something other than a source failed.")
        return dg.RunRequest(run_key=run.run_id, job_name=REBUILD)

    return [failed_checks_of_green_runs, failed_runs, rebuild_after_failed_extraction]
