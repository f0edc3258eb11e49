"""`attribution alerts …`: what is wrong now, what was, who is on it, and whether the routes work."""

import getpass
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from attribution_platform.terminal import ConfigOption, console, errors, fail

if TYPE_CHECKING:
    from attribution_platform.alerting.service import Alerting
    from attribution_platform.alerting.store import Outcome

app = typer.Typer(
    no_args_is_help=True, help="Alerts: see, silence and acknowledge them, try routes, evaluate and send."
)

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
SHORTEST_ID = 4
ForOption = Annotated[str, typer.Option("--for", help="How long: 30m, 8h, 2d or 1w.")]
ByOption = Annotated[str | None, typer.Option(help="Who; default: the name you are logged in under.")]
ReasonOption = Annotated[str, typer.Option(help="Why; shown in `alerts list`.")]


@contextmanager
def _alerting(config: Any) -> Iterator["Alerting"]:
    """The platform's alerting; whatever is wrong with settings, routes or database ends as one line."""
    import sqlalchemy as sa

    from attribution_platform.alerting.routes import DeliveryError, RouteError
    from attribution_platform.alerting.service import Alerting
    from attribution_platform.operations import DATABASE_URL_VARIABLE
    from attribution_platform.settings import SettingsError, load_settings

    try:
        yield Alerting(load_settings(config))
    except (SettingsError, RouteError, DeliveryError) as error:
        fail(str(error))
    except sa.exc.SQLAlchemyError as error:
        # The database's own words may hold its address.
        fail(
            f"the platform's database cannot be used ({type(error).__name__}). See whether ${DATABASE_URL_VARIABLE} is right "
            "and its server runs, or, where it is unset, whether operations.sqlite in the data folder can be written."
        )


def duration_of(text: str) -> timedelta:
    """`30m`, `8h`, `2d`, `1w` as a duration.

    Raises:
        ValueError: anything else, or nothing at all.
    """
    found = re.fullmatch(r"(\d{1,4})([mhdw])", text.strip().lower())
    if not found or int(found[1]) == 0:
        raise ValueError(f"{text!r} is not a duration. Write a number and a unit: 30m, 8h, 2d or 1w.")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _until(text: str, now: datetime) -> datetime:
    try:
        return now + duration_of(text)
    except ValueError as error:
        fail(str(error))


def _who(by: str | None) -> str:
    try:
        return by or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _show(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        # Segments are text that strangers wrote: no markup of theirs is obeyed.
        table.add_row(*(Text(_cell(value)) for value in row))
    console.print(table)
    console.print()


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


@app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also alerts that are over.")] = False,
    config: ConfigOption = None,
) -> None:
    """Open alerts, silences and acknowledgements that hold, and messages not delivered. Times are UTC."""
    from attribution_platform.alerting.message import headline_of
    from attribution_platform.alerting.tables import STATE

    with _alerting(config) as alerting:
        store, now = alerting.store, alerting.clock()
        rows = store.rows(STATE, STATE.c.metric, STATE.c.segment) if everything else store.open_alerts()
        acknowledgements = store.acknowledgements(now)
        known = {
            (row["metric"], row["segment"]): f"{row['by']} until {row['expires_at']:%d %b}" for row in acknowledgements
        }
        if rows:
            _show(
                f"{len(rows)} {'alerts' if everything else 'open alerts'}",
                ["id", "status", "severity", "what", "since", "reminders", "quiet because"],
                [
                    [
                        row["fingerprint"][:8],
                        row["status"],
                        row["severity"],
                        headline_of(row["metric"], row["segment"], row["direction"], row["details"]),
                        row["first_bad_on"] or row["started_at"],
                        row["reminders"],
                        row["muted"] or known.get((row["metric"], row["segment"])),
                    ]
                    for row in rows
                ],
            )
        else:
            console.print("No alert is open." if not everything else "There has been no alert yet.")
        if silences := store.silences(now):
            _show(
                "Silences",
                ["number", "metric", "segment", "until", "by", "reason"],
                [
                    [row[name] for name in ("silence_id", "metric", "segment", "ends_at", "by", "reason")]
                    for row in silences
                ],
            )
        _show_undelivered(alerting)


def _show_undelivered(alerting: "Alerting") -> None:
    names = {route.name for route in alerting.routes}
    left = [row for row in alerting.store.outbox() if row["status"] != "sent"]
    if left:
        _show(
            "Messages not delivered",
            ["route", "message", "status", "attempts", "next attempt", "last error"],
            [
                [
                    row["route"],
                    row["message"]["title"],
                    row["status"].replace("_", " ") if row["route"] in names else "route is gone from attribution.toml",
                    row["attempts"],
                    row["next_attempt_at"] if row["status"] == "waiting" else None,
                    row["last_error"],
                ]
                for row in left
            ],
        )


@app.command()
def history(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest changes.")] = 40,
    config: ConfigOption = None,
) -> None:
    """What changed and when, the newest first. Times are UTC."""
    with _alerting(config) as alerting:
        rows = alerting.store.events(limit)
        if not rows:
            console.print("Nothing has happened yet.")
            return
        _show(
            f"The newest {len(rows)} changes",
            ["when", "from", "to", "severity", "what", "first bad day", "quiet because"],
            [
                [
                    row[name]
                    for name in ("occurred_at", "state_before", "state", "severity", "message", "first_bad_on", "muted")
                ]
                for row in rows
            ],
        )


@app.command("test")
def try_route(
    route: Annotated[str, typer.Argument(help="Name of a route in attribution.toml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the route and show the message, but send nothing.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Send a made-up alert through one route, and its all-clear, so that no incident stays open."""
    from attribution_platform.alerting.message import Links
    from attribution_platform.alerting.render import as_text
    from attribution_platform.alerting.routes import check_route, deliver
    from attribution_platform.alerting.sample import sample_messages

    with _alerting(config) as alerting:
        target, now = alerting.route(route), alerting.clock()
        limits = alerting.settings.alerts
        check_route(target)
        for key, message in sample_messages(now, Links(limits.dagster_url, limits.data_docs_url)):
            if dry_run:
                console.print(as_text(message, key), markup=False, highlight=False)
                console.print()
            else:
                deliver(target, message, key, now)
        kind = {"pagerduty": "PagerDuty", "email": "mail server"}.get(target.kind, target.kind.capitalize())
        done = "is set up; nothing was sent" if dry_run else f"works: {kind} took an alert and its all-clear"
        console.print(f"route {route} {done}.", markup=False, highlight=False)


@app.command()
def silence(
    for_: ForOption,
    metric: Annotated[str, typer.Option(help="Metric; `*` for any text, e.g. 'check/marts/*'.")] = "",
    segment: Annotated[str, typer.Option(help="Segment; `*` for any text, e.g. 'browser=*'.")] = "",
    reason: ReasonOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold messages back for a while. An alert that still fires when the silence ends is sent then."""
    from attribution_platform.monitoring.alert_model import ANY, Silence

    if not metric and not segment:
        fail("say what to silence: --metric, --segment or both; --metric '*' is everything.")
    with _alerting(config) as alerting:
        now = alerting.clock()
        held = Silence(now, _until(for_, now), metric or ANY, segment or ANY, _who(by), reason)
        number = alerting.store.add_silence(held)
        covered = [state for state in alerting.store.states() if held.covers(state.key, now)]
        console.print(
            f"Silence {number} holds until {held.ends_at:%Y-%m-%d %H:%M} UTC; it covers {len(covered)} of the alerts known "
            f"so far. `attribution alerts lift {number}` ends it.",
            markup=False,
            highlight=False,
        )


@app.command()
def lift(
    number: Annotated[int, typer.Argument(help="As shown by `alerts list`.")], config: ConfigOption = None
) -> None:
    """End a silence now."""
    with _alerting(config) as alerting:
        if not alerting.store.lift_silence(number, alerting.clock()):
            fail(f"no silence {number} holds now. `attribution alerts list` shows those that do.")
        console.print(f"Silence {number} has ended.")


@app.command()
def ack(
    alert: Annotated[str, typer.Argument(help="The id in `alerts list`, or its first four signs.")],
    for_: ForOption = "1w",
    reason: ReasonOption = "",
    by: ByOption = None,
    config: ConfigOption = None,
) -> None:
    """Say that somebody is on it: no reminders of this episode for a while. The all-clear is still sent."""
    from attribution_platform.monitoring.alert_model import Acknowledgement

    with _alerting(config) as alerting:
        rows = alerting.store.open_alerts()
        found = [row for row in rows if row["fingerprint"].startswith(alert.lower())]
        if len(alert) < SHORTEST_ID or len(found) != 1:
            many = "is no open alert" if not found else "fits several open alerts"
            fail(f"{alert!r} {many}. Give an id of `attribution alerts list`, at least {SHORTEST_ID} signs of it.")
        row, now = found[0], alerting.clock()
        expires = _until(for_, now)
        who = _who(by)
        alerting.store.acknowledge(Acknowledgement(row["metric"], row["segment"], now, expires, who), reason)
        console.print(
            f"{row['metric']}, {row['segment']}: acknowledged by {who} until {expires:%Y-%m-%d %H:%M} UTC.",
            markup=False,
            highlight=False,
        )


@app.command()
def evaluate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change and be sent; keep nothing.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Look at every finished run not looked at yet, and at what did not happen. The sensors do this by themselves."""
    import os

    import dagster as dg

    from attribution_platform.alerting.evaluation import evaluate_finished_runs, evaluate_silence
    from attribution_platform.run import prepare_instance_home

    with _alerting(config) as alerting:
        if not os.environ.get("DAGSTER_HOME"):
            prepare_instance_home(alerting.settings)
        with dg.DagsterInstance.get() as instance:
            runs = evaluate_finished_runs(alerting, instance, dry_run=dry_run)
            hourly = evaluate_silence(alerting, instance, dry_run=dry_run)
    outcomes = [*runs, *([hourly] if hourly else [])]
    for outcome in outcomes:
        _show_outcome(outcome, dry_run)
    changes = sum(len(outcome.evaluation.transitions) for outcome in outcomes)
    messages = sum(len(outcome.outgoing) for outcome in outcomes)
    verb = "would wait" if dry_run else "wait"
    console.print(
        f"{len(runs)} runs evaluated, {changes} changes; {messages} messages {verb} to be sent"
        + ("." if dry_run or not messages else ": `attribution alerts send`."),
        highlight=False,
    )


def _show_outcome(outcome: "Outcome", dry_run: bool) -> None:
    from attribution_platform.alerting.message import Message
    from attribution_platform.alerting.render import as_text

    for step in outcome.evaluation.transitions:
        muted = outcome.evaluation.muted.get((step.metric, step.segment))
        line = f"{step.metric}, {step.segment}: {step.before} → {step.after}" + (f" ({muted})" if muted else "")
        console.print(line, markup=False, highlight=False)
    for each in outcome.outgoing if dry_run else ():
        console.print(f"\nto {each.route}:", style="bold", markup=False)
        console.print(as_text(Message.from_record(each.message), each.key), markup=False, highlight=False)
        console.print()


@app.command()
def send(
    again: Annotated[
        bool, typer.Option("--again", help="Also what was given up or waits for its next attempt.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what waits; send nothing.")] = False,
    config: ConfigOption = None,
) -> None:
    """Send what waits in the outbox. The sensors do this by themselves."""
    import logging

    with _alerting(config) as alerting:
        if dry_run:
            waiting = alerting.store.outbox("waiting")
            for row in waiting:
                console.print(f"{row['route']}: {row['message']['title']}", markup=False, highlight=False)
            console.print(f"{len(waiting)} messages wait; nothing was sent.", highlight=False)
            return
        if again:
            alerting.store.retry_now(alerting.clock())
        quiet = logging.Logger("alerts")
        sent = alerting.send(log=quiet)
        console.print(
            f"{len(sent.delivered)} sent, {len(sent.failed)} to be tried again, {len(sent.given_up)} given up.",
            highlight=False,
        )
        if sent.failed or sent.given_up:
            reasons = {
                row["last_error"]
                for row in alerting.store.outbox()
                if row["message_key"] in {*sent.failed, *sent.given_up}
            }
            for reason in sorted(filter(None, reasons)):
                errors.print(reason, markup=False, highlight=False)
            raise typer.Exit(1)
