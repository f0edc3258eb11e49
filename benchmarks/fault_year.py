"""Faults switched on in the sandbox world: which alarm, after how many days, naming which segment; and a year without any.

    python benchmarks/fault_year.py [--people 4000] [--folder FOLDER]

Each world runs through the real dbt models once (`world_coverage.py`, about two minutes each on two cores); detection is then
replayed. An alarm's day depends on no later day, so one pass over the finished table says on which day each was known.
"""

import argparse
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from attribution_platform.monitoring.detect import is_fine_cut, segment_label
from attribution_platform.monitoring.explain import explain
from attribution_platform.settings import Thresholds, load_settings
from attribution_platform.watch import NOT_JUDGED, detect_options, judge_days
from dlt_pipelines.sandbox.world import WorldConfig, build_world

START, FIRST_DAY, FAULT_ON = date(2026, 1, 5), "2026-02-14", date(2026, 5, 25)
DAYS, QUIET_DAYS = 160, 494
# Two faults share a world where they touch tables that have nothing to do with each other.
WORLDS = {
    "gclid": ("gclid_stripped:/sale",),
    "fbclid_spend": ("fbclid_lost:Safari", "spend_doubled:google_ads"),
    "consent": ("consent_halves_events",),
    "identity_hubspot": ("identity_unstitched", "source_stalled:hubspot"),
    "utm_stage": ("utm_mangled:generic-de", "crm_stage_renamed:closedwon"),
    "ga4": ("source_stalled:ga4",),
}
SHOWN = ["metric", "segment", "direction", "date", "first_bad_low", "first_bad_high", "likely_segment", "likely_share"]


@dataclass(frozen=True)
class Judged:
    """One world's signals and explanations."""

    signals: pd.DataFrame
    explained: pd.DataFrame


def judge(coverage: pd.DataFrame) -> Judged:
    """Judge a coverage table as a run would; the first weeks, in which nobody has come back yet, are left out."""
    labels = [segment_label(*pair) for pair in zip(coverage["segment_type"], coverage["segment"], strict=True)]
    days = coverage.assign(segment=labels, date=pd.to_datetime(coverage["date_on"]))
    # Accounts in other time zones begin and end on a day of their own.
    last = days["date"].max() - pd.Timedelta(days=2)
    days = days[(days["date"] >= FIRST_DAY) & (days["date"] <= last) & ~days["metric"].isin(NOT_JUDGED)]
    days = days[["metric", "segment", "date", "numerator", "denominator"]].reset_index(drop=True)
    signals = judge_days(days, detect_options(Thresholds()))
    return Judged(signals, explain(days, signals))


def coverage_of(name: str, faults: tuple[str, ...], people: int, days: int, seed: int, folder: Path) -> pd.DataFrame:
    """A world's coverage table, built unless the folder has it."""
    kept = folder / name / "coverage.parquet"
    if not kept.exists():
        from benchmarks.world_coverage import coverage_table

        dated = tuple(f"{fault}@{FAULT_ON}" for fault in faults)
        world = build_world(WorldConfig(people=people, start_on=START, days=days, seed=seed, faults=dated))
        kept.parent.mkdir(parents=True, exist_ok=True)
        warehouse = coverage_table(world, load_settings(), kept.parent)
        warehouse.query("select * from marts.mart_attribution__coverage_daily").to_parquet(kept)
    return pd.read_parquet(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=4000)
    parser.add_argument("--quiet-people", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="Where coverage tables are kept for the next time.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        for name, faults in WORLDS.items():
            judged = judge(coverage_of(name, faults, given.people, DAYS, 11, folder))
            table = judged.explained[judged.explained["date"] >= pd.Timestamp(FAULT_ON)]
            table = table.assign(days=(table["date"] - pd.Timestamp(FAULT_ON)).dt.days + 1).sort_values(
                ["date", "metric"]
            )
            coarse = table[~is_fine_cut(table["segment"])]
            print(f"\n{name}: {', '.join(faults)}; {len(coarse)} alarms, {len(table) - len(coarse)} of fine cuts")
            print(coarse[["days", *SHOWN]].to_string(index=False))
            print(table[is_fine_cut(table["segment"])][["days", *SHOWN[:4]]].head(8).to_string(index=False))
        judged = judge(coverage_of("quiet", (), given.quiet_people, QUIET_DAYS, 12, folder))
        first = pd.Timestamp(FIRST_DAY) + pd.Timedelta(days=84)
        year = judged.explained[judged.explained["date"] >= first]
        watched = judged.signals[judged.signals["status"].isin(["ok", "alarm"])]
        pairs = watched[["metric", "segment"]].drop_duplicates()
        coarse, fine = year[~is_fine_cut(year["segment"])], year[is_fine_cut(year["segment"])]
        print(
            f"\na year without faults: {(~is_fine_cut(pairs['segment'])).sum()} series and {is_fine_cut(pairs['segment']).sum()} "
            f"fine cuts judged; {len(coarse)} and {len(fine)} alarms"
        )
        print(year[SHOWN].to_string(index=False))


if __name__ == "__main__":
    main()
