"""From Dagster's instance to observations: checks and runs that failed, sources that grew old, schedules that were missed.

Everything is read per run or per asset. A cursor over the event log would raise on SQLite, whose event ids start anew with every
run, so the position is not a cursor at all: it is what the alert store remembers to have evaluated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._utils.schedules import get_latest_completed_cron_tick

from attribution_platform import keys
from attribution_platform.alerting.wording import (
    CHECK_PREFIX,
    RUN_PREFIX,
    SCHEDULE_PREFIX,
    SOURCE_FRESHNESS,
    SOURCE_LOAD,
)
from attribution_platform.ingestion import EXTRACTION_STEP
from attribution_platform.jobs import only_extraction_failed
from attribution_platform.monitoring.alerts import Health, Observation, Severity
from attribution_platform.monitoring.detect import LOW_VOLUME, SHORT_HISTORY, STALE
from dlt_pipelines.registry import SOURCES

WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
LOOK_BACK = timedelta(days=7)
BEFORE_WE_CAME = timedelta(hours=24)
RUNS_AT_ONCE = 25
# PostgreSQL stamps rows with its session's clock on the wall, which Dagster then reads as UTC: filters on those stamps are wide,
# and the exact limit is drawn by the times Dagster itself writes.
CLOCK_SLACK = timedelta(days=1)
RECENT_RUNS = 20
PUBLISHED = dg.AssetKey([keys.SERVING, "published_marts"])
# Drift has its own signals, by segment; its checks say the same once more.
DRIFT = dg.AssetKey(["monitoring", "drift_signals"])
NO_VERDICT = (LOW_VOLUME, SHORT_HISTORY, STALE, "no complete week", "no data")
ERROR_LENGTH = 300


def runs_to_evaluate(instance: dg.DagsterInstance, since: datetime) -> list[dg.DagsterRun]:
    """Runs that finished since then, the oldest first; one that Dagster tries again is left out, its last try speaks for it."""
    filters = dg.RunsFilter(statuses=FINISHED, updated_after=since - CLOCK_SLACK)
    records = [each for each in instance.get_run_records(filters=filters) if _ended_at(each) >= since]
    records.sort(key=lambda each: (_ended_at(each), each.dagster_run.run_id))
    return [each.dagster_run for each in records if each.dagster_run.tags.get("dagster/will_retry") != "true"]


def _ended_at(record: dg.RunRecord) -> datetime:
    if record.end_time is not None:
        return datetime.fromtimestamp(record.end_time, UTC)
    return record.update_timestamp.replace(tzinfo=UTC)


def _events(instance: dg.DagsterInstance, run_id: str, *kinds: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    records = instance.get_records_for_run(run_id, of_type=set(kinds)).records
    return [each.event_log_entry.dagster_event for each in records if each.event_log_entry.dagster_event is not None]


def has_published(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run made new tables readable."""
    events = _events(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return any(event.asset_key == PUBLISHED for event in events)


def observations_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Observation]:
    """What a finished run says of its checks, its sources and itself. A check that does not block leaves its run green, so the
    checks of green runs are read too."""
    return [*_checks(instance, run), *_steps(instance, run)]


def _checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterable[Observation]:
    latest: dict[str, Observation] = {}
    for event in _events(instance, run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        result = event.event_specific_data
        if not isinstance(result, dg.AssetCheckEvaluation) or result.asset_key == DRIFT:
            continue
        metric = f"{CHECK_PREFIX}{result.asset_key.to_user_string()}/{result.check_name}"
        is_error = result.severity == dg.AssetCheckSeverity.ERROR
        sentence = (result.description or "").strip()
        health = Health.GOOD if result.passed else Health.BAD
        if health is Health.BAD and not is_error and sentence.startswith(NO_VERDICT):
            health = Health.UNKNOWN
        latest[metric] = Observation(
            metric,
            "all",
            health,
            Severity.CRITICAL if is_error else Severity.WARNING,
            details={} if health is not Health.BAD else {"what": _short(sentence), "facts": _figures(result.metadata)},
        )
    return latest.values()


def _figures(metadata: Any) -> dict[str, str]:
    """The short values of a check's metadata; tables and paths stay in Dagster."""
    shown = {}
    for name, value in metadata.items():
        if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue) and value.value is not None:
            shown[str(name).replace("_", " ").capitalize()] = f"{value.value:,.6g}"
    return dict(list(shown.items())[:4])


def _steps(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterable[Observation]:
    failed = {}
    for event in _events(instance, run.run_id, dg.DagsterEventType.STEP_FAILURE):
        if event.step_key:
            failed[event.step_key] = _root_cause(event.step_failure_data.error)
    done = _events(instance, run.run_id, dg.DagsterEventType.STEP_SUCCESS)
    for step in sorted({event.step_key for event in done if event.step_key} | set(failed)):
        if step.startswith(EXTRACTION_STEP):
            source = step.removeprefix(EXTRACTION_STEP)
            health = Health.BAD if step in failed else Health.GOOD
            details = {"error": failed[step]} if step in failed else {}
            yield Observation(SOURCE_LOAD, f"source={source}", health, Severity.CRITICAL, details=details)
    if run.job_name.startswith("__"):
        # Started by a person on chosen assets, who is looking at it.
        return
    health = Health.GOOD if run.status == dg.DagsterRunStatus.SUCCESS else Health.BAD
    # The sources speak for themselves, and a rebuild follows.
    health = Health.UNKNOWN if only_extraction_failed(failed) else health
    details = {}
    if health is Health.BAD:
        steps = ", ".join(failed) or "no step failed: the run was killed or could not start"
        details = {"what": f"failed: {steps}", "error": next(iter(failed.values()), "")}
    yield Observation(f"{RUN_PREFIX}{run.job_name}", "all", health, Severity.CRITICAL, details=details)


def _root_cause(error: Any) -> str:
    """The innermost message: Dagster wraps an asset's own exception twice."""
    if error is None:
        return ""
    while error.cause is not None:
        error = error.cause
    return _short(str(error.message).strip() or str(error.cls_name))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= ERROR_LENGTH else f"{line[: ERROR_LENGTH - 1]}…"


# ---- what did not happen ---------------------------------------------------------------------------------------------


def stale_sources(
    instance: dg.DagsterInstance, sources: Sequence[str], now: datetime, stale_after: timedelta
) -> list[Observation]:
    """Sources by the age of their last load; one that was never loaded says nothing."""
    found = []
    for source in sources:
        tables = [dg.AssetKey(keys.raw_key(source, resource.name)) for resource in SOURCES[source].resources]
        times = [
            record.asset_entry.last_materialization_record.timestamp
            for record in instance.get_asset_records(tables)
            if record.asset_entry.last_materialization_record is not None
        ]
        if not times:
            continue
        loaded_at = datetime.fromtimestamp(max(times), UTC)
        is_stale = now - loaded_at > stale_after
        facts = {
            "Last loaded": f"{loaded_at:%Y-%m-%d %H:%M} UTC",
            "Expected every": f"{stale_after / timedelta(hours=1):g} h",
        }
        found.append(
            Observation(
                SOURCE_FRESHNESS,
                f"source={source}",
                Health.BAD if is_stale else Health.GOOD,
                Severity.CRITICAL,
                first_bad_on=(loaded_at + stale_after).date() if is_stale else None,
                details={"facts": facts} if is_stale else {},
            )
        )
    return found


@dataclass(frozen=True)
class Timetable:
    """One schedule as far as its punctuality is concerned. `is_on_by_default`: it should run here unless somebody stopped it."""

    name: str
    job: str
    cron: str
    time_zone: str
    is_on_by_default: bool


def missed_schedules(
    instance: dg.DagsterInstance,
    timetables: Iterable[Timetable],
    now: datetime,
    grace: timedelta,
    watching_since: datetime,
) -> list[Observation]:
    """Schedules whose last due time, `grace` ago or more, was followed by no run of their job. Runs are looked for and not ticks:
    a daemon that is down makes no ticks, and a run a person started instead is just as good."""
    states = {
        state.instigator_name: state.status
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    }
    found = []
    for each in timetables:
        status = states.get(each.name, InstigatorStatus.DECLARED_IN_CODE)
        if not each.is_on_by_default and status is not InstigatorStatus.RUNNING:
            continue
        due = get_latest_completed_cron_tick(each.cron, now - grace, each.time_zone).astimezone(UTC)
        if due < watching_since:
            continue
        runs = instance.get_run_records(filters=dg.RunsFilter(job_name=each.job), limit=RECENT_RUNS)
        started = [record.start_time for record in runs if record.start_time is not None]
        # A person may have started it a moment early.
        is_missed = not started or max(started) < (due - timedelta(minutes=1)).timestamp()
        facts = {"Due": f"{due:%Y-%m-%d %H:%M} UTC"}
        if status is InstigatorStatus.STOPPED:
            facts["Schedule"] = "stopped by a person"
        if any(record.dagster_run.status in WAITING for record in runs):
            facts["Queue"] = "a run of the job waits to be started"
        found.append(
            Observation(
                f"{SCHEDULE_PREFIX}{each.name}",
                "all",
                Health.BAD if is_missed else Health.GOOD,
                Severity.CRITICAL,
                first_bad_on=due.date() if is_missed else None,
                details={"facts": facts} if is_missed else {},
            )
        )
    return found
