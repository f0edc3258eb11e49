"""`attribution …`: the command line. Commands are thin; the work is in the modules they call.

Heavy imports happen inside the commands: `attribution --help` must not pay for Dagster, dbt and dlt (about 6 s together).
"""

from pathlib import Path
from typing import Annotated

import typer

from attribution_platform import alert_commands, contract_commands, drift_commands
from attribution_platform.environment import switch_telemetry_off
from attribution_platform.terminal import ConfigOption, console, errors, fail

switch_telemetry_off()

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Open marketing attribution: from raw vendor data to credited channels.",
)
app.add_typer(drift_commands.app, name="drift")
app.add_typer(contract_commands.app, name="contracts")
app.add_typer(alert_commands.app, name="alerts")


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to write attribution.toml.")] = Path(".")) -> None:
    """Write an attribution.toml to start from."""
    from attribution_platform.commands import write_starter

    raise typer.Exit(write_starter(folder.resolve(), console, errors))


@app.command("new-source")
def new_source(
    name: Annotated[str, typer.Argument(help="As in settings and tables: lower case, such as corner_shop.")],
    title: Annotated[str, typer.Option(help="The vendor's name as people write it.")] = "",
    into: Annotated[Path, typer.Option(help="Checkout of the project.")] = Path("."),
) -> None:
    """Write a source that already works, to make a vendor's own of; docs/adding-a-source.md goes on from there."""
    from attribution_platform.new_source import NewSourceError, new_source_command

    try:
        new_source_command(name, into.resolve(), title, lambda text: console.print(text, markup=False, highlight=False))
    except NewSourceError as error:
        fail(str(error))


@app.command()
def run(
    job: Annotated[str, typer.Option(help="daily, monthly, full, fast or rebuild.")] = "daily",
    config: ConfigOption = None,
) -> None:
    """Run a job on your own attribution.toml: pull, rebuild, check, publish."""
    from attribution_platform.commands import run_and_report

    raise typer.Exit(run_and_report(job, config, console, errors))


@app.command()
def demo(
    people: Annotated[int, typer.Option(min=200, help="Size of the simulated world; half of them at a time.")] = 4000,
    days: Annotated[int, typer.Option(min=30, help="Days of history.")] = 120,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 7,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="Break something: gclid, fbclid, utm, consent, identity, spend, source or crm; docs/sandbox.md."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Start the sandbox, run everything against it, and show what came out beside the known truth."""
    from attribution_platform.demo import run_demo

    raise typer.Exit(run_demo(people, days, seed, config, console, errors, fault or ()))


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Check settings, credentials and connections, source by source, and say what to fix."""
    from attribution_platform.doctor import run_doctor

    raise typer.Exit(run_doctor(config, console))


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    config: ConfigOption = None,
) -> None:
    """Open the Dagster UI on the state of the last run."""
    from attribution_platform.commands import open_ui

    raise typer.Exit(open_ui(port, config, console, errors))


@app.command()
def credit(
    out: Annotated[Path, typer.Option(help="Folder for credit.csv and the detail tables.")],
    touchpoints: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: user_id, occurred_at, channel[, campaign, cost].")
    ] = None,
    conversions: Annotated[
        Path | None, typer.Option(help="CSV or Parquet: user_id, converted_at[, revenue, conversion_type].")
    ] = None,
    spend: Annotated[Path | None, typer.Option(help="CSV or Parquet: channel, cost[, date, campaign].")] = None,
    paths: Annotated[
        Path | None,
        typer.Option(help='CSV or Parquet: path ("a > b"), total_conversions, total_conversion_value, total_null.'),
    ] = None,
    lookback_days: Annotated[
        int, typer.Option(min=1, help="Days before a conversion in which a touch earns credit.")
    ] = 90,
    half_life_days: Annotated[float, typer.Option(min=0.01, help="Half-life of time decay, in days.")] = 7.0,
    min_conversions: Annotated[
        int,
        typer.Option(min=1, help="Under this many conversions a data-driven model says so instead of a number."),
    ] = 1000,
    markov_order: Annotated[int, typer.Option(min=0, max=4, help="1 to 4; 0 chooses by held-out likelihood.")] = 1,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A model by name; repeat for several. Default: the usual eight.")
    ] = None,
    include_channel: Annotated[list[str] | None, typer.Option(help="Only these channels may earn credit.")] = None,
    exclude_channel: Annotated[list[str] | None, typer.Option(help="These channels earn none, e.g. Direct.")] = None,
    include_campaign: Annotated[
        list[str] | None, typer.Option(help="Only campaigns in which this pattern is found.")
    ] = None,
    exclude_campaign: Annotated[
        list[str] | None, typer.Option(help="No campaign in which this pattern is found.")
    ] = None,
    lookback_steps: Annotated[int | None, typer.Option(min=1, help="Only so many of a journey's last touches.")] = None,
    path_transform: Annotated[
        str, typer.Option(help="How repeats count: unique (each), exposure (runs), first, frequency.")
    ] = "unique",
    replicates: Annotated[int, typer.Option(min=0, help="Bootstrap replicates; 0 leaves the intervals empty.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    b2b: Annotated[bool, typer.Option(help="Accounts buy, not single people; only the recommendation asks.")] = False,
    experiments: Annotated[
        Path | None, typer.Option(help="CSV or Parquet of geo and holdout experiments that replace models' credit.")
    ] = None,
    residual: Annotated[
        str, typer.Option(help="Who shares what experiments leave: proportional, channels or unattributed.")
    ] = "proportional",
    residual_channel: Annotated[
        list[str] | None, typer.Option(help="A channel that shares it, with --residual channels; repeat for several.")
    ] = None,
) -> None:
    """Credit channels from your own files, with every model and its interval. Needs no set-up."""
    from attribution_platform.credit.eligibility import Eligibility
    from attribution_platform.credit.registry import DEFAULT_MODELS
    from attribution_platform.credit_files import CreditInputError, credit_command
    from attribution_platform.lift_calibration import calibration_of

    try:
        eligibility = Eligibility(
            tuple(include_channel or ()),
            tuple(exclude_channel or ()),
            tuple(include_campaign or ()),
            tuple(exclude_campaign or ()),
            lookback_steps,
            path_transform,  # type: ignore[arg-type]  # checked by the class
        )
    except ValueError as error:
        fail(str(error))
    try:
        summary = credit_command(
            touchpoints=touchpoints,
            conversions=conversions,
            spend=spend,
            paths=paths,
            out=out,
            lookback_days=lookback_days,
            half_life_days=half_life_days,
            min_conversions=min_conversions,
            markov_order=markov_order,
            replicates=replicates,
            seed=seed,
            b2b=b2b,
            models=models or DEFAULT_MODELS,
            eligibility=eligibility,
            calibration=calibration_of(experiments, residual, residual_channel or ()),
        )
    except CreditInputError as error:
        fail(str(error))
    console.print(summary, markup=False, highlight=False)


@app.command()
def classify(
    in_path: Annotated[
        Path,
        typer.Option("--in", help="CSV or Parquet: source, medium, campaign, referrer, landing_url, user_agent."),
    ],
    out_path: Annotated[Path, typer.Option("--out", help="The same rows with channel, channel_reason and more.")],
    config: ConfigOption = None,
) -> None:
    """Explain any list of visits with the platform's own channel rules: why is this Direct?"""
    from attribution_platform.classify import ClassifyInputError, classify_file
    from attribution_platform.settings import SettingsError, load_settings

    try:
        chosen = load_settings(config)
        summary = classify_file(
            in_path,
            out_path,
            channel_rules=[rule.model_dump(exclude_none=True) for rule in chosen.channel_rules],
            own_domains=list(chosen.project.own_domains),
        )
    except (SettingsError, ClassifyInputError) as error:
        fail(str(error))
    console.print(str(summary), markup=False, highlight=False)
    own = ", ".join(chosen.project.own_domains) or "none"
    console.print(
        f"settings of {chosen.config_path}: own domains {own}; custom rules {len(chosen.channel_rules)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.command()
def lab(
    worlds: Annotated[
        str, typer.Option(help="Names of worlds, separated by commas. Default: those models were developed on.")
    ] = "",
    people: Annotated[int, typer.Option(min=1000, help="People in each world.")] = 60_000,
    seeds: Annotated[int, typer.Option(min=1, max=50, help="Draws of each world.")] = 1,
    models: Annotated[str, typer.Option(help="Names of models, separated by commas. Default: all.")] = "",
    unseen: Annotated[bool, typer.Option("--unseen", help="Also the worlds kept apart from development.")] = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also other attribution libraries that are installed.")
    ] = False,
    min_conversions: Annotated[
        int, typer.Option(min=1, help="Under this many conversions a data-driven model withholds its number.")
    ] = 1,
    level: Annotated[float, typer.Option(min=0.5, max=0.99, help="Of the intervals whose coverage is counted.")] = 0.9,
    out: Annotated[Path | None, typer.Option(help="CSV with every score.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Chart: .png, or .html that needs no network.")] = None,
) -> None:
    """Score every credit model on simulated worlds whose true effects are known."""
    from attribution_platform.commands import show_lab
    from attribution_platform.lab.run import run_lab
    from attribution_platform.lab.score import LabOptions
    from attribution_platform.lab.worlds import LabError

    try:
        scores = run_lab(
            worlds=_names(worlds),
            models=_names(models),
            unseen=unseen,
            peers=peers,
            options=LabOptions(people=people, draws=seeds, level=level, min_conversions=min_conversions),
            out=out,
            plot=plot,
            say=lambda text: errors.print(text, markup=False, highlight=False),
        )
    except LabError as error:
        fail(str(error))
    show_lab(scores, console)
    for path in (out, plot):
        if path is not None:
            console.print(f"Written: {path}", markup=False, highlight=False)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def main() -> None:
    app()


if __name__ == "__main__":
    main()
