"""`attribution contracts …`: what changed in the raw tables, and accepting it."""

from typing import Annotated

import typer

from attribution_platform.terminal import ConfigOption, console, fail

app = typer.Typer(no_args_is_help=True, help="Pinned contracts of the raw tables: list differences, accept them.")


@app.command(name="list")
def list_contracts(config: ConfigOption = None) -> None:
    """Every raw table that differs from what was accepted."""
    from attribution_platform.contracts import differences, observed, pinned_contracts
    from attribution_platform.resources.factory import build_warehouse
    from attribution_platform.settings import SettingsError, load_settings

    try:
        settings = load_settings(config)
    except SettingsError as error:
        fail(str(error))
    warehouse = build_warehouse(settings)
    pins = pinned_contracts(warehouse)
    red = 0
    for table, pinned in sorted(pins.items()):
        now = observed(warehouse, table)
        found = differences(pinned, now) if now is not None else []
        red += bool(found)
        for change in found:
            console.print(f"{table}: {change}", markup=False, highlight=False)
    console.print(f"{len(pins)} contracts pinned, {red} differ.", highlight=False)


@app.command()
def accept(
    raw_table: Annotated[str, typer.Argument(help="As raw_hubspot.deal_stages.")],
    reason: Annotated[str, typer.Option(help="Why this is right; kept with the contract.")],
    config: ConfigOption = None,
) -> None:
    """Take what a raw table shows now for its contract."""
    from attribution_platform.contracts import ContractError
    from attribution_platform.contracts import accept as accept_contract
    from attribution_platform.resources.factory import build_warehouse
    from attribution_platform.run import BusyError, exclusive
    from attribution_platform.settings import SettingsError, load_settings

    try:
        settings = load_settings(config)
        with exclusive(settings):
            accepted = accept_contract(build_warehouse(settings), settings, raw_table, reason)
    except (SettingsError, BusyError, ContractError) as error:
        fail(str(error))
    for change in accepted:
        console.print(f"accepted: {raw_table}: {change}", markup=False, highlight=False)
