"""Sensors: alerts about what happened and about what did not, their delivery, and the rebuild after a source failed.

They are thin. What is bad is in `alerting.happenings`, when to speak in `monitoring.alerts`, and what was already looked at in the
alert store: a tick that dies half-way, or runs twice, leaves nothing out and says nothing twice.
"""

from collections.abc import Iterable
from typing import Any

import dagster as dg

from attribution_platform.alerting.evaluation import evaluate_finished_runs, evaluate_silence
from attribution_platform.alerting.service import Alerting
from attribution_platform.alerting.store import Outcome
from attribution_platform.environment import AUTOMATION_IS_ON, resolve
from attribution_platform.jobs import REBUILD, only_extraction_failed
from attribution_platform.settings import Settings


def failed_steps(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    return [record.event_log_entry.step_key for record in records if record.event_log_entry.step_key]


def build_sensors(settings: Settings, rebuild: Any) -> list[dg.SensorDefinition]:
    """The sensors; `rebuild` is the job of that name."""
    status = (
        dg.DefaultSensorStatus.RUNNING
        if resolve(AUTOMATION_IS_ON, "AUTOMATION_IS_ON")
        else dg.DefaultSensorStatus.STOPPED
    )

    @dg.sensor(
        name="alerts_of_runs",
        default_status=status,
        minimum_interval_seconds=30,
        description="Failed checks, of green runs too, failed runs and sources, and drift of the tracking.",
    )
    def alerts_of_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        outcomes = evaluate_finished_runs(Alerting(settings), context.instance, log=context.log)
        return dg.SkipReason(f"{len(outcomes)} runs evaluated; {_summary(outcomes)}.")

    @dg.sensor(
        name="alerts_of_silence",
        default_status=status,
        minimum_interval_seconds=300,
        description="Once an hour: stale sources, missed schedules, reminders.",
    )
    def alerts_of_silence(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        outcome = evaluate_silence(Alerting(settings), context.instance, log=context.log)
        return dg.SkipReason("Done for this hour." if outcome is None else f"Evaluated; {_summary([outcome])}.")

    @dg.sensor(
        name="alert_delivery",
        default_status=status,
        minimum_interval_seconds=30,
        description="Sends what waits in the alert outbox and tries again what failed.",
    )
    def alert_delivery(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        sent = Alerting(settings).send(log=context.log)
        return dg.SkipReason(
            f"{len(sent.delivered)} sent, {len(sent.failed)} to be tried again, {len(sent.given_up)} given up."
        )

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

    return [alerts_of_runs, alerts_of_silence, alert_delivery, rebuild_after_failed_extraction]


def _summary(outcomes: Iterable[Outcome]) -> str:
    done = list(outcomes)
    transitions = sum(len(each.evaluation.transitions) for each in done)
    messages = sum(len(each.outgoing) for each in done)
    return f"{transitions} changes, {messages} messages to send"
