"""Sensors that turn what happened in a run into notifications.

A failed check that does not block leaves its run green, so a run-failure sensor alone never sees it: we look at the check
evaluations of every finished run, green or red. Reading them per run works on SQLite and PostgreSQL storage alike; a cursor over
the event log raises on SQLite.
"""

from collections.abc import Sequence

import dagster as dg

from attribution_platform.environment import AUTOMATION_IS_ON, resolve
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


def build_sensors() -> list[dg.SensorDefinition]:
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

    return [failed_checks_of_green_runs, failed_runs]
