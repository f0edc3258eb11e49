"""`attribution doctor`: what is configured, what is missing, what to do, source by source."""

import os
import sys
from pathlib import Path

from rich.console import Console

from attribution_platform.environment import VARIABLE, UnknownEnvironmentError, current_environment
from attribution_platform.settings import HASH_KEY_VARIABLE, Route, Settings, SettingsError, load_settings
from dlt_pipelines.registry import SOURCES

# One visible width, or the columns after them would not line up.
OK, MISSING, OFF = "[green]ok  [/]", "[red]fix [/]", "[dim]off [/]"
STATES = {"ok": OK, "warning": "[yellow]warn[/]", "error": MISSING}


def _line(console: Console, state: str, what: str, detail: str) -> None:
    console.print(f"{state} {what:<14} {detail}", highlight=False)


def _check_source(name: str, settings: Settings, console: Console) -> int:
    spec = SOURCES[name]
    config = settings.source_config(name)
    if not config.enabled:
        _line(
            console,
            OFF,
            name,
            f"[dim]{spec.title}; turn on with `enabled = true` under \\[sources.{name}][/]",
        )
        return 0
    findings = spec.check(config)
    for finding in findings:
        text = f"{finding.subject}: {finding.message}" + (f" {finding.remedy}" if finding.remedy else "")
        _line(console, STATES[finding.level], name, text.replace("[", "\\["))
    return sum(finding.level == "error" for finding in findings)


def _check_route(route: Route, console: Console) -> int:
    from attribution_platform.alerting.routes import RouteError, check_route

    try:
        check_route(route)
    except RouteError as error:
        _line(console, MISSING, "alerts", str(error).replace("[", "\\["))
        return 1
    _line(
        console,
        OK,
        "alerts",
        f"{route.name}: {route.kind}, from {route.severity} up; try it: attribution alerts test {route.name}",
    )
    return 0


def _check_state(settings: Settings, console: Console) -> int:
    import sqlalchemy as sa

    from attribution_platform.operations import DATABASE_URL_VARIABLE, database_engine

    try:
        engine = database_engine(settings)
        with engine.connect():
            _line(
                console, OK, "state", f"kept in {engine.dialect.name}; {DATABASE_URL_VARIABLE} chooses another database"
            )
        return 0
    except SettingsError as error:
        reason = str(error)
    except sa.exc.SQLAlchemyError as error:
        reason = f"the database in ${DATABASE_URL_VARIABLE} cannot be reached ({type(error).__name__})"
    _line(console, MISSING, "state", reason)
    return 1


def run_doctor(config: Path | None, console: Console) -> int:
    """Print one line a finding; exit code 0 when a run could start, 1 when something must be fixed."""
    problems = 0
    try:
        _line(console, OK, "environment", f"{VARIABLE}={current_environment()}, Python {sys.version.split()[0]}")
    except UnknownEnvironmentError as error:
        _line(console, MISSING, "environment", str(error))
        return 1
    try:
        settings = load_settings(config)
    except SettingsError as error:
        _line(console, MISSING, "settings", str(error).replace("[", "\\["))
        return 1
    _line(console, OK, "settings", str(settings.config_path))
    if os.access(settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent, os.W_OK):
        _line(console, OK, "data folder", str(settings.data_dir))
    else:
        problems += 1
        _line(console, MISSING, "data folder", f"{settings.data_dir} cannot be written; set project.data_dir")
    if os.environ.get(HASH_KEY_VARIABLE):
        _line(console, OK, "hash key", f"from ${HASH_KEY_VARIABLE}")
    else:
        try:
            settings.hash_key()
            _line(
                console,
                OK,
                "hash key",
                f"kept in {settings.data_dir / 'hash_key'}; production needs ${HASH_KEY_VARIABLE}",
            )
        except SettingsError as error:
            problems += 1
            _line(console, MISSING, "hash key", str(error))
    if settings.conversions:
        _line(console, OK, "conversions", ", ".join(conversion.name for conversion in settings.conversions))
    elif settings.sources.files.enabled:
        _line(
            console,
            OK,
            "conversions",
            "those in the files source; add \\[\\[conversions]] for events, stages or subscriptions",
        )
    else:
        problems += 1
        _line(
            console,
            MISSING,
            "conversions",
            "none defined; add a \\[\\[conversions]] table, see docs/settings.md",
        )
    if not settings.enabled_sources:
        problems += 1
        _line(console, MISSING, "sources", "none is enabled")
    for name in SOURCES:
        problems += _check_source(name, settings, console)
    problems += _check_state(settings, console)
    for route in settings.alerts.routes:
        problems += _check_route(route, console)
    console.print(
        "\nEverything is in order." if not problems else f"\n{problems} thing(s) to fix before a run.",
        highlight=False,
    )
    return 1 if problems else 0
