"""What `attribution run` and `attribution ui` do, and how a finished run is shown."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from attribution_platform.layout import PROJECT_ROOT
from attribution_platform.resources.warehouse import Warehouse
from attribution_platform.run import BusyError, RunOutcome, prepare_instance_home, run_job
from attribution_platform.settings import (
    CONFIG_VARIABLE,
    DEFAULT_CONFIG,
    Settings,
    SettingsError,
    load_settings,
)
from attribution_platform.summary import Summary, summarise, watch_summary

JOBS = ("daily", "monthly", "full", "fast", "rebuild")


def say_error(errors: Console, message: object) -> None:
    errors.print(f"error: {message}", markup=False, highlight=False)


def frame_table(title: str, frame: pd.DataFrame, decimals: int = 1) -> Table:
    """A frame as a terminal table; its index is the first column."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    table.add_column(str(frame.index.name or ""))
    for name in frame.columns:
        table.add_column(str(name).replace("_", " "), justify="right")
    for label, row in frame.iterrows():
        cells = [
            "–" if pd.isna(value) else f"{value:,.{decimals}f}" if isinstance(value, float) else str(value)
            for value in row
        ]
        table.add_row(str(label), *cells)
    return table


def show_summary(summary: Summary, console: Console) -> None:
    conversions, revenue = summary.pivot("conversions"), summary.pivot("revenue")
    if conversions.empty:
        console.print("No conversions were found. `attribution doctor` shows what is configured.")
        return
    console.print(frame_table("Credited conversions", conversions))
    console.print()
    console.print(frame_table("Credited revenue", revenue, decimals=0))
    console.print()
    coverage = summary.coverage.set_index("metric")
    coverage["week_on"] = coverage["week_on"].astype(str).str.slice(0, 10)
    console.print(frame_table("Tracking coverage, last complete week", coverage, decimals=3))


def show_watch(warehouse: Warehouse, console: Console) -> None:
    """What the watch on the tracking says: green, or each alarm in a sentence."""
    watch = watch_summary(warehouse)
    console.print("\nWatch on the tracking", style="bold")
    left_out = ", ".join(f"{count} {reason}" for reason, count in watch.unjudged.items())
    standing = len(watch.sentences)
    verdict = "no drift" if not standing else "1 alarm stands" if standing == 1 else f"{standing} alarms stand"
    console.print(
        f"  {verdict}: {watch.judged} series judged" + (f"; no verdict: {left_out}" if left_out else ""),
        highlight=False,
    )
    for sentence in watch.sentences:
        console.print(f"  - {sentence}", markup=False, highlight=False)


def show_outcome(outcome: RunOutcome, console: Console) -> None:
    console.print(
        f"\n{outcome.materialized} tables materialized, {outcome.passed_checks} checks passed, "
        f"{len(outcome.failed_checks)} failed",
        highlight=False,
    )
    for asset, check, severity in outcome.failed_checks:
        console.print(f"  {severity}: {asset} · {check}", markup=False, highlight=False)
    for step, reason in outcome.failed_steps.items():
        console.print(f"  failed: {step}: {reason}", markup=False, highlight=False)


def show_where_next(settings: Settings, console: Console) -> None:
    console.print("\nWhere to look next", style="bold")
    for what, where in (
        ("Dagster UI", "make ui  (or: attribution ui)"),
        ("Report", settings.data_dir / "reports" / "attribution.html"),
        ("Data Docs", settings.data_dir / "data_docs" / "index.html"),
        ("Tables for BI", settings.serving_path),
    ):
        console.print(f"  {what:<14} {where}", highlight=False, markup=False)


def show_lab(scores: pd.DataFrame, console: Console) -> None:
    """Print the lab's tables: worlds models were developed on, and those kept apart."""
    from attribution_platform.lab.run import lab_table, withheld

    level = float(scores["level"].iloc[0])
    console.print(
        "Half the L1 distance of channel shares to the true Shapley shares: 0 is perfect, 1 disjoint.\n"
        f"coverage: share of channels whose {level:.0%} interval holds the true share.",
        highlight=False,
    )
    for seen, title in ((True, "Worlds models were developed on"), (False, "Worlds kept apart")):
        part = scores[scores["seen"] == seen]
        if len(part):
            console.print()
            console.print(frame_table(title, lab_table(part), decimals=3))
    for reason in withheld(scores):
        console.print(reason, markup=False, highlight=False)


def run_and_report(job: str, config: Path | None, console: Console, errors: Console) -> int:
    """Run a job and show the outcome; returns the exit code."""
    if job not in JOBS:
        say_error(errors, f"{job!r} is not a job. Choose one of: {', '.join(JOBS)}.")
        return 2
    try:
        settings = load_settings(config)
        if not settings.enabled_sources:
            raise SettingsError(
                f"{settings.config_path}: no source is enabled. Set `enabled = true` under one [sources.…] table."
            )
        outcome = run_job(job, settings, console)
    except (SettingsError, BusyError) as error:
        say_error(errors, error)
        return 2
    show_outcome(outcome, console)
    if outcome.success:
        from attribution_platform.resources.factory import build_warehouse

        console.print()
        warehouse = build_warehouse(settings)
        show_summary(summarise(warehouse), console)
        show_watch(warehouse, console)
        show_where_next(settings, console)
    return 0 if outcome.success else 1


def write_starter(folder: Path, console: Console, errors: Console) -> int:
    """Write a settings file to start from; one that is there stays as it is."""
    target = folder / DEFAULT_CONFIG
    if target.exists():
        say_error(errors, f"{target} exists and stays as it is. Edit it, or start in another folder.")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text((Path(__file__).parent / "templates" / DEFAULT_CONFIG).read_text())
    console.print(
        f"Wrote {target}. Edit it, put your files into {folder / 'inbox'}, and run `attribution doctor`.",
        highlight=False,
    )
    return 0


def open_ui(port: int, config: Path | None, console: Console, errors: Console) -> int:
    """Run `dagster dev` on our state until interrupted."""
    try:
        settings = load_settings(config)
    except SettingsError as error:
        say_error(errors, error)
        return 2
    prepare_instance_home(settings)
    os.environ[CONFIG_VARIABLE] = str(settings.config_path)
    console.print(
        f"Dagster UI: http://127.0.0.1:{port}  (state in {settings.data_dir}; stop with Ctrl-C)",
        highlight=False,
    )
    command = [
        sys.executable,
        "-m",
        "dagster",
        "dev",
        "-w",
        str(PROJECT_ROOT / "workspace.yaml"),
        "-p",
        str(port),
    ]
    return subprocess.run(command, cwd=PROJECT_ROOT, check=False).returncode
