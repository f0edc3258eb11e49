"""Faults switched on in the sandbox world: which alarm, after how many days, naming which segment; and a year without any.

    python benchmarks/fault_year.py [--people 5000] [--folder FOLDER] [--workers 2]

Each world runs through the real dbt models once (`world_coverage.py`); detection is then replayed. An alarm's day depends on no
later day, so one pass over the finished table says on which day each was known; what it named is asked on that day's table. The
renamed stage is a matter of the pinned contract, which is compared before and after as two runs would.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from attribution_platform.contracts import STAGES, compare
from attribution_platform.monitoring.detect import ALARM, is_fine_cut, segment_label
from attribution_platform.monitoring.explain import explain
from attribution_platform.resources.warehouse import DuckDBWarehouse
from attribution_platform.settings import Settings, Thresholds, load_settings
from attribution_platform.watch import NOT_JUDGED, anomalies_of, detect_options, judge_days
from benchmarks.world_coverage import coverage_table, land
from dlt_pipelines.sandbox.world import WorldConfig, build_world

# The isolation forest says nothing before day 112: 28 days until the charts judge, 84 that it learns.
START, FAULT_AFTER, DAYS = date(2026, 1, 5), 126, 142
FAULT_ON = START + timedelta(days=FAULT_AFTER)
# A year after the first baseline. People stay half as long as in the demo: more of them in as many rows.
BASELINE_DAYS, STAY_DAYS = 84, 60
QUIET_DAYS = BASELINE_DAYS + 365


@dataclass(frozen=True)
class Fault:
    """A fault, the metrics it must show in, and what must be named: a segment, or none where all are hit alike."""

    text: str
    metrics: tuple[str, ...]
    named: str


# Two faults share a world where they touch tables that have nothing to do with each other.
WORLDS: Mapping[str, tuple[Fault, ...]] = {
    "gclid_hubspot": (
        Fault("gclid_stripped:/sale", ("click_id_capture", "click_id_capture_of_ad_clicks"), "landing_page=/sale"),
        Fault("source_stalled:hubspot", ("freshness",), "source=hubspot"),
    ),
    "fbclid_spend": (
        Fault("fbclid_lost:Safari", ("click_id_capture", "click_id_capture_of_ad_clicks"), "browser=Safari"),
        Fault("spend_doubled:google_ads", ("cost_per_click",), "platform=google_ads"),
    ),
    "consent": (
        Fault("consent_halves_events", ("event_volume", "click_id_capture_of_ad_clicks", "behavioural_coverage"), ""),
    ),
    "identity_utm": (
        Fault(
            "identity_unstitched",
            ("authenticated_visits", "identity_tier_share", "cookie_user_coverage", "behavioural_coverage"),
            "",
        ),
        Fault("utm_mangled:generic-de", ("ad_visit_tagging", "utm_completeness"), "channel=Paid Search"),
    ),
    "ga4": (Fault("source_stalled:ga4", ("freshness", "event_volume"), "source=ga4"),),
    "quiet": (),
}
STAGE = "crm_stage_renamed:closedwon"
SHOWN = ["metric", "segment", "direction", "date", "recovered_on", "likely_segment"]


def days_of(coverage: pd.DataFrame) -> pd.DataFrame:
    """A coverage table as a run would judge it."""
    labels = [segment_label(*pair) for pair in zip(coverage["segment_type"], coverage["segment"], strict=True)]
    days = coverage.assign(segment=labels, date=pd.to_datetime(coverage["date_on"]))
    # Accounts in other time zones begin and end on a day of their own.
    first, last = pd.Timestamp(START), days["date"].max() - pd.Timedelta(days=2)
    days = days[(days["date"] >= first) & (days["date"] <= last) & ~days["metric"].isin(NOT_JUDGED)]
    days = days[["metric", "segment", "date", "numerator", "denominator"]]
    return days.astype({"numerator": float, "denominator": float}).reset_index(drop=True)


def alarms_of(days: pd.DataFrame) -> pd.DataFrame:
    signals = judge_days(days, detect_options(Thresholds()))
    return signals[signals["status"] == ALARM].reset_index(drop=True)


def named(days: pd.DataFrame, alarm: pd.Series) -> str:
    """The segment the explanation gives with the days there were when the alarm was raised, and in the end if that differs."""
    row = alarm.drop("recovered_on").to_frame().T
    first, last = (
        str(explain(known, row)["likely_segment"].iloc[0]) or "itself"
        for known in (days[days["date"] <= alarm["date"]], days)
    )
    return first if first == last else f"{first}, later {last}"


def settings_of_worlds() -> Settings:
    settings = load_settings()
    return settings.model_copy(update={"project": settings.project.model_copy(update={"history_start": START})})


def coverage_of(name: str, people: int, folder: Path) -> float:
    """Write a world's coverage table, unless the folder has it; returns the seconds it took.

    A process works in one place, so that dbt parses the project once and not once a world.
    """
    begun = time.perf_counter()
    kept = folder / f"{name}.parquet"
    if not kept.exists():
        dated = tuple(f"{fault.text}@{FAULT_ON}" for fault in WORLDS[name])
        quiet = name == "quiet"
        size, days = (people * (QUIET_DAYS + STAY_DAYS) // (DAYS + STAY_DAYS), QUIET_DAYS) if quiet else (people, DAYS)
        config = WorldConfig(size, START, days, 12 if quiet else 11, faults=dated, stay_days=STAY_DAYS)
        workplace = folder / f"worker-{os.getpid()}"
        warehouse = coverage_table(build_world(config, with_shares=False), settings_of_worlds(), workplace)
        warehouse.query("select * from marts.mart_attribution__coverage_daily").to_parquet(kept)
    return time.perf_counter() - begun


def day_number(day: pd.Timestamp) -> int:
    """The day it broke is day 1."""
    return (day - pd.Timestamp(FAULT_ON)).days + 1


def report_faults(name: str, days: pd.DataFrame) -> list[dict[str, object]]:
    """One line a fault: its first alarm of a total, what that named then, and how many more there were."""
    alarms = alarms_of(days)
    alarms = alarms[~is_fine_cut(alarms["segment"])]
    for row in alarms[alarms["date"] < pd.Timestamp(FAULT_ON)].to_dict("records"):
        print(f"{name}: before the fault {row['metric']} {row['segment']} {row['direction']}, {str(row['date'])[:10]}")
    alarms = alarms[alarms["date"] >= pd.Timestamp(FAULT_ON)]
    odd = odd_days(days)
    rows: list[dict[str, object]] = []
    explained: list[object] = []
    for fault in WORLDS[name]:
        own = alarms[alarms["metric"].isin(fault.metrics)]
        if "stalled" in fault.text:
            own = own[own["segment"].isin([fault.named, "all"]) & (own["metric"] == "freshness")]
        explained.extend(own.index)
        own = own.sort_values(["date", "metric", "segment"]).reset_index(drop=True)
        rows.append(
            {
                "fault": fault.text,
                "day": day_number(own["date"].iloc[0]) if len(own) else "not found",
                "alarms": "; ".join(
                    f"{each['metric']} {each['segment']} (day {day_number(each['date'])}, names {named(days, each)})"
                    for _, each in own.iterrows()
                ),
                "must name": fault.named or "–",
                "odd day": next((day_number(day) for day in odd if day >= pd.Timestamp(FAULT_ON)), "none"),
            }
        )
    other = alarms.drop(index=explained)
    for row in other.to_dict("records"):
        print(f"{name}: also {row['metric']} {row['segment']} {row['direction']}, day {day_number(row['date'])}")
    before = sum(day < pd.Timestamp(FAULT_ON) for day in odd)
    after = sum(day >= pd.Timestamp(FAULT_ON) for day in odd)
    print(f"{name}: isolation forest: {before} odd days before the fault, {after} since")
    return rows


def odd_days(days: pd.DataFrame) -> list[pd.Timestamp]:
    found = anomalies_of(days, detect_options(Thresholds()))
    return list(found.loc[found["status"] == ALARM, "date"])


def report_stage(folder: Path) -> str:
    """What two runs say of the pipeline's stages, one before the rename and one after."""
    settings = settings_of_worlds()
    table = STAGES["hubspot"][0]
    found: list[str] = []
    for faults in ((), (f"{STAGE}@{START + timedelta(days=10)}",)):
        land(build_world(WorldConfig(60, START, 20, 11, faults), with_shares=False), folder / "landing")
        warehouse = DuckDBWarehouse(path=str(folder / "w.duckdb"), landing_dir=str(folder / "landing"))
        found = compare(warehouse, settings, [table])[table]
    return f"{STAGE}: contract of {table} at the next run: {'; '.join(found)}"


def report_quiet(days: pd.DataFrame) -> None:
    signals = judge_days(days, detect_options(Thresholds()))
    judged = signals.loc[signals["status"].isin(["ok", ALARM]), ["metric", "segment"]].drop_duplicates()
    alarms = signals[(signals["status"] == ALARM)]
    alarms = alarms[alarms["date"] >= pd.Timestamp(START) + pd.Timedelta(days=BASELINE_DAYS)]
    fine, fine_judged = is_fine_cut(alarms["segment"]), is_fine_cut(judged["segment"])
    print(
        f"\na year without faults: {(~fine_judged).sum()} series and {fine_judged.sum()} fine cuts judged; "
        f"{(~fine).sum()} and {fine.sum()} alarms"
    )
    if len(alarms):
        print(
            explain(days, alarms)
            .merge(alarms[["metric", "segment", "date", "recovered_on"]])[SHOWN]
            .to_string(index=False)
        )
    anomalies = anomalies_of(days, detect_options(Thresholds()))
    print(f"isolation forest: {anomalies['status'].value_counts().to_dict()}")


def build_all(people: int, folder: Path, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # The longest first, so that it is not the last.
    names = sorted(WORLDS, key=lambda name: name != "quiet")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {name: pool.submit(coverage_of, name, people, folder) for name in names}
        for name, each in waiting.items():
            print(f"{name}: built in {each.result():.0f} s", flush=True)
    for workplace in folder.glob("worker-*"):
        shutil.rmtree(workplace)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="Where coverage tables are kept for the next time.")
    given = parser.parse_args()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.folder or Path(scratch)).resolve()
        build_all(given.people, folder, given.workers)
        tables = {name: days_of(pd.read_parquet(folder / f"{name}.parquet")) for name in WORLDS}
        rows = [row for name, days in tables.items() if name != "quiet" for row in report_faults(name, days)]
        print()
        for row in rows:
            print(f"{row['fault']}: day {row['day']}; must name {row['must name']}; odd day {row['odd day']}")
            print(f"    {row['alarms']}")
        print(report_stage(Path(scratch) / "stage"))
        visits = tables["ga4"].query("metric == 'event_volume' and segment.str.startswith('platform=')")
        print(visits.groupby("segment")["numerator"].mean().round(1).to_dict(), "visits from ads a day")
        report_quiet(tables["quiet"])
    print(f"\n{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
