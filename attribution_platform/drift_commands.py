"""`attribution drift …`: judge a file, and decide about the phases of the charts."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from attribution_platform.terminal import ConfigOption, console, fail

app = typer.Typer(invoke_without_command=True, help="Find drift in daily counts, and start new baselines.")


@app.callback()
def drift(
    context: typer.Context,
    in_path: Annotated[
        Path | None, typer.Option("--in", help="CSV or Parquet: metric, segment, date, numerator, denominator.")
    ] = None,
    out_path: Annotated[
        Path | None, typer.Option("--out", help="Signals: one row an alarm, or why there is none.")
    ] = None,
    phases: Annotated[
        Path | None, typer.Option(help="Baselines you accept: metric, segment, phase_start_on; `*` for any.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Judge daily counts of your own with the platform's drift detection and thresholds: try them on history first."""
    if context.invoked_subcommand is not None:
        return
    from attribution_platform.drift import DriftInputError, DriftOptions, drift_file
    from attribution_platform.settings import SettingsError, load_settings
    from attribution_platform.watch import detect_options

    if in_path is None or out_path is None:
        fail("give --in FILE and --out FILE; or `attribution drift phase`, `attribution drift phases`.")
    try:
        options = DriftOptions(detect_options(load_settings(config).alerts.thresholds), phases)
        summary = drift_file(in_path, out_path, options)
    except (DriftInputError, SettingsError) as error:
        fail(str(error))
    console.print(str(summary), markup=False, highlight=False)


@app.command()
def phase(
    metric: Annotated[str, typer.Option(help="Metric, or `*` for every one.")],
    segment: Annotated[str, typer.Option(help="`all`, `browser=Safari`, `browser=*` or `*`.")],
    start_on: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day of the new phase.")],
    reason: Annotated[str, typer.Option(help="What changed, in words; kept with the phase.")],
    config: ConfigOption = None,
) -> None:
    """Say that a change was meant: from that day on charts get new limits and the detection a new baseline."""
    from attribution_platform.resources.factory import build_warehouse
    from attribution_platform.run import BusyError, exclusive
    from attribution_platform.settings import SettingsError, load_settings
    from attribution_platform.watch import WatchError, start_phase

    try:
        settings = load_settings(config)
        with exclusive(settings):
            charts = start_phase(build_warehouse(settings), settings, metric, segment, start_on.date(), reason)
    except (SettingsError, BusyError, WatchError) as error:
        fail(str(error))
    console.print(
        f"{metric} · {segment}: new phase from {start_on:%Y-%m-%d} on {charts} chart(s). The next run applies it.",
        markup=False,
        highlight=False,
    )


@app.command()
def phases(config: ConfigOption = None) -> None:
    """List the phases of the charts, and who began them why."""
    from attribution_platform.monitoring.detect import segment_label
    from attribution_platform.resources.factory import build_warehouse
    from attribution_platform.settings import SettingsError, load_settings
    from attribution_platform.watch import known_phases

    try:
        settings = load_settings(config)
    except SettingsError as error:
        fail(str(error))
    known = known_phases(build_warehouse(settings))
    if known.empty:
        console.print("No phase was begun and no limits are frozen yet: every chart is in its first phase.")
    for row in known.to_dict("records"):
        limits = (
            ""
            if row["centre"] != row["centre"]
            else f", frozen at {row['centre']:.4g} ± {2.66 * row['mean_moving_range']:.2g}"
        )
        console.print(
            f"{str(row['phase_start_on'])[:10]}  {row['metric']} · "
            f"{segment_label(row['segment_type'], row['segment'])}: {row['reason']} ({row['decided_by']}){limits}",
            markup=False,
            highlight=False,
        )
