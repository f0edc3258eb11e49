"""What Dagster's instance tells, on SQLite and on PostgreSQL storage: runs, checks, sources and schedules."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorStatus
from dagster._core.test_utils import instance_for_test

from attribution_platform.alerting.evaluation import end_of_run, evaluate_finished_runs, evaluate_silence
from attribution_platform.alerting.happenings import Timetable, missed_schedules, observations_of_run, stale_sources
from attribution_platform.alerting.service import Alerting
from attribution_platform.alerting.signals import drift_observations
from attribution_platform.alerting.store import AlertStore
from attribution_platform.monitoring.alerts import Health, Severity
from attribution_platform.operations import engine_of
from attribution_platform.sensors import build_sensors
from attribution_platform.settings import load_settings

CONFIG = """
[project]
data_dir = "data"
reporting_time_zone = "Europe/Berlin"
[sources.files]
enabled = true
path = "inbox"
[sources.ga4]
enabled = true
property_id = "1"
"""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def instance(request, tmp_path_factory):
    if request.param == "sqlite":
        overrides = {}
    else:
        address = request.getfixturevalue("postgresql")
        administrator = sa.create_engine(
            sa.make_url(address).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT"
        )
        with administrator.connect() as connection:
            connection.execute(sa.text("drop database if exists dagster with (force)"))
            connection.execute(sa.text("create database dagster"))
        administrator.dispose()
        url = address.replace("postgresql://", "postgresql+psycopg2://").replace("/postgres?", "/dagster?")
        overrides = {"storage": {"postgres": {"postgres_url": url}}}
    with instance_for_test(overrides=overrides, temp_dir=str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


@pytest.fixture
def alerting(tmp_path):
    path = tmp_path / "attribution.toml"
    path.write_text(CONFIG)
    engine = engine_of("sqlite://")
    yield Alerting(load_settings(path), AlertStore(engine))
    engine.dispose()


WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def run_once(instance, *, passed=True, broken="", tags=None, publishes=False, more=()):
    """One run of a small graph: a source, a table, checks on it; `more`: name, severity and description of checks that fail."""

    @dg.multi_asset(name="extract_files", specs=[dg.AssetSpec(["raw_files", "events"])])
    def extract():
        if broken == "extract_files":
            raise ValueError("inbox/events.csv, row 7: no such day")
        yield dg.MaterializeResult(asset_key=["raw_files", "events"])

    @dg.asset(key=["marts", "table"], deps=[["raw_files", "events"]])
    def table() -> None:
        if broken == "table":
            raise RuntimeError("the disk is full")

    @dg.asset(key=["serving", "published_marts"], deps=[["marts", "table"]])
    def published() -> None:
        return None

    key = dg.AssetKey(["marts", "table"])
    failing = [*(() if passed else [("is_fine", WARN, "3 rows are not")]), *more]

    @dg.multi_asset_check(
        specs=[dg.AssetCheckSpec(name, asset=key) for name in {"is_fine", *(each[0] for each in more)}]
    )
    def checks():
        if passed:
            yield dg.AssetCheckResult(asset_key=key, check_name="is_fine", passed=True)
        for name, severity, description in failing:
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=name,
                passed=False,
                severity=severity,
                description=description,
                metadata={"bad_rows": 3},
            )

    assets = [extract, table, *([published] if publishes else [])]
    definitions = dg.Definitions(assets=assets, asset_checks=[checks], jobs=[dg.define_asset_job("daily")])
    job = definitions.resolve_job_def("daily")
    return job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)


def seen(instance, result):
    return {each.metric: each for each in observations_of_run(instance, result.dagster_run)}


CHECK = "check/marts/table/is_fine"


@pytest.fixture(scope="module")
def green(instance):
    """A run that succeeded although checks failed."""
    thin = ("is_steady", WARN, "insufficient volume: google_ads")
    return run_once(instance, passed=False, more=[thin, ("is_right", ERROR, "wrong")])


def test_a_failed_check_of_a_green_run_is_seen(instance, green):
    assert green.success
    found = seen(instance, green)
    assert (found[CHECK].health, found[CHECK].severity) == (Health.BAD, Severity.WARNING)
    assert found[CHECK].details == {"what": "3 rows are not", "facts": {"Bad rows": "3"}}
    assert found["run/daily"].health is Health.GOOD
    assert found["source_load"].health is Health.GOOD


def test_a_check_that_could_not_judge_is_neither_good_nor_bad(instance, green):
    assert seen(instance, green)["check/marts/table/is_steady"].health is Health.UNKNOWN


def test_an_error_is_critical(instance, green):
    assert seen(instance, green)["check/marts/table/is_right"].severity is Severity.CRITICAL


def test_a_source_that_failed_speaks_for_its_run(instance):
    found = seen(instance, run_once(instance, broken="extract_files"))
    assert found["source_load"].health is Health.BAD
    assert found["source_load"].segment == "source=files"
    assert found["source_load"].details == {"error": "ValueError: inbox/events.csv, row 7: no such day"}
    assert found["run/daily"].health is Health.UNKNOWN


def test_a_failed_run_names_step_and_cause(instance):
    found = seen(instance, run_once(instance, broken="table"))
    assert found["run/daily"].health is Health.BAD
    assert found["run/daily"].details == {"what": "failed: marts__table", "error": "RuntimeError: the disk is full"}


def test_every_finished_run_is_evaluated_once_the_last_try_only_and_in_order(instance, alerting):
    began = datetime.now(UTC)
    run_once(instance, broken="table", tags={"dagster/will_retry": "true"})
    results = [run_once(instance, broken="table"), run_once(instance), run_once(instance)]
    outcomes = evaluate_finished_runs(alerting, instance)
    ids = [row["evaluation_id"] for row in alerting.store.events()]
    assert len(outcomes) >= 3
    assert evaluate_finished_runs(alerting, instance) == []
    assert {f"run:{result.run_id}" for result in results} == alerting.store.evaluated(
        [f"run:{result.run_id}" for result in results]
    )
    own = [each for each in reversed(ids) if each in {f"run:{result.run_id}" for result in results}]
    # Fires with the first (or an earlier run of this module did), clears with the third.
    assert own[-1] == f"run:{results[-1].run_id}"
    states = {row["metric"]: row for row in alerting.store.events()}
    assert states["run/daily"]["state"] in ("resolved", "ok", "pending", "firing")
    assert began <= alerting.store.first_evaluated_at()


def test_a_crash_between_two_runs_of_a_tick_skips_and_repeats_none(instance, alerting, monkeypatch):
    results = [run_once(instance, passed=False), run_once(instance, passed=False)]
    names = [f"run:{result.run_id}" for result in results]
    evaluate, count = alerting.evaluate, list[str]()

    def deadly(name, *args, **kwargs):
        if name == names[1] and not count:
            count.append(name)
            raise KeyboardInterrupt
        return evaluate(name, *args, **kwargs)

    monkeypatch.setattr(alerting, "evaluate", deadly)
    with pytest.raises(KeyboardInterrupt):
        evaluate_finished_runs(alerting, instance)
    assert alerting.store.evaluated(names) == {names[0]}
    assert len(evaluate_finished_runs(alerting, instance)) == 1
    [state] = [state for state in alerting.store.states() if state.metric == CHECK]
    assert state.bad_in_row >= 2


def test_sources_grow_stale_by_their_last_load(instance, green):
    now = datetime.now(UTC)
    [fresh] = stale_sources(instance, ["files", "hubspot"], now, 36 * HOUR)
    assert (fresh.segment, fresh.health) == ("source=files", Health.GOOD)
    [stale] = stale_sources(instance, ["files"], now + 37 * HOUR, 36 * HOUR)
    assert stale.health is Health.BAD
    assert stale.details["facts"]["Expected every"] == "36 h"


def test_schedules_are_missed_when_no_run_followed(instance, green):
    now = datetime.now(UTC)
    before = now - timedelta(days=30)

    def look(job, *, on=True, at=now, since=before, name="daily_schedule"):
        table = Timetable(name, job, "0 6 * * *", "Europe/Berlin", on)
        return [each.health for each in missed_schedules(instance, [table], at, HOUR, since)]

    assert look("daily", at=now + timedelta(days=2)) == [Health.BAD]
    assert look("never_run") == [Health.BAD]
    assert look("never_run", since=now) == [], "what was due before we watched is no business of ours"
    assert look("never_run", on=False) == [], "off where it is meant to be off"
    due = now.replace(microsecond=0) - timedelta(minutes=90)
    table = Timetable("soon", "daily", f"{due.minute} {due.hour} * * *", "UTC", True)
    assert [each.health for each in missed_schedules(instance, [table], now, HOUR, before)] == [Health.GOOD]


def test_a_schedule_that_was_stopped_says_so(instance):
    @dg.schedule(cron_schedule="0 6 * * *", job_name="never_run", name="stopped_schedule")
    def stopped():
        return None

    class State:
        instigator_name, status = "stopped_schedule", InstigatorStatus.STOPPED

    class Instance:
        def all_instigator_state(self, **kwargs):
            return [State()]

        def get_run_records(self, **kwargs):
            return []

    now = datetime(2026, 3, 3, 12, tzinfo=UTC)
    table = Timetable("stopped_schedule", "never_run", "0 6 * * *", "UTC", True)
    [missed] = missed_schedules(Instance(), [table], now, HOUR, now - timedelta(days=9))
    assert missed.details["facts"] == {"Due": "2026-03-03 06:00 UTC", "Schedule": "stopped by a person"}


def test_once_an_hour_what_did_not_happen(instance, alerting):
    assert evaluate_silence(alerting, instance) is not None
    assert evaluate_silence(alerting, instance) is None


def publish(settings, recovered=None):
    """A serving file as a run leaves it, with one lasting alarm."""
    settings.serving_path.parent.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(str(settings.serving_path))
    connection.execute("create schema monitoring")
    connection.register("signals", signals(recovered))
    connection.execute("create table monitoring.drift_signals as select * from signals")
    connection.close()


def signals(recovered=None):
    def row(segment, z, status="alarm"):
        day = pd.Timestamp("2026-03-05")
        recovery = pd.NaT if recovered is None else pd.Timestamp(recovered)
        return {
            "metric": "click_id_capture",
            "segment": segment,
            "date": day,
            "scheme": "cusum",
            "direction": "down",
            "z": z,
            "first_bad_on": day,
            "status": status,
            "recovered_on": recovery,
            "expected": 0.8,
            "observed": 0.65,
            "size": -0.15,
            "size_low": -0.18,
            "size_high": -0.12,
            "n": 400.0,
        }

    silence = {
        **row("source=ga4", None),
        "metric": "freshness",
        "expected": 900.0,
        "observed": 0.0,
        "size": -1.0,
        "n": 3.0,
    }
    moved = [row("platform=google_ads", -6.0), row("browser=Safari", -8.0), row("device=mobile", -9.0)]
    return pd.DataFrame([*moved, silence])


def test_a_run_that_published_brings_the_tracking_along(instance, alerting):
    publish(alerting.settings)
    run_once(instance, publishes=True)
    evaluate_finished_runs(alerting, instance)
    rows = {(row["metric"], row["segment"]): row for row in alerting.store.open_alerts()}
    capture = rows["click_id_capture", "platform=google_ads"]
    assert (capture["severity"], capture["muted"]) == ("critical", "inhibited by freshness, source=ga4")
    assert capture["details"]["where"] == ["device=mobile", "browser=Safari"]
    silent = rows["freshness", "source=ga4"]
    assert (silent["first_bad_on"].isoformat(), silent["severity"], silent["muted"]) == ("2026-03-05", "critical", None)
    assert silent["details"]["n"] == 3


def test_parts_are_named_on_totals_only():
    found = {each.segment: each for each in drift_observations(signals(), ["click*"])}
    assert "where" in found["platform=google_ads"].details
    assert "where" not in found["browser=Safari"].details
    assert found["browser=Safari"].severity is Severity.CRITICAL
    assert {each.health for each in drift_observations(signals("2026-03-09"), [])} == {Health.GOOD}


def test_a_run_from_the_terminal_is_told_of_at_its_end(instance, alerting):
    run_once(instance, passed=False)
    end_of_run(alerting.settings, instance)
    kept = Alerting(alerting.settings).store
    assert CHECK in {row["metric"] for row in kept.open_alerts()}


def test_the_sensors_tick(instance, alerting):
    @dg.job(name="rebuild")
    def rebuild():
        return None

    run_once(instance, passed=False)
    by_name = {sensor.name: sensor for sensor in build_sensors(alerting.settings, rebuild)}
    for name, word in [
        ("alerts_of_runs", "evaluated"),
        ("alerts_of_silence", "Evaluated"),
        ("alert_delivery", "0 sent"),
    ]:
        with dg.build_sensor_context(instance=instance) as context:
            said = by_name[name](context)
        assert word in said.skip_message
    assert CHECK in {row["metric"] for row in Alerting(alerting.settings).store.open_alerts()}
