"""What every command shares: the two consoles, the --config option, and one way to fail."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

# A pipe has no width of its own, and a table folded at 80 columns cannot be read.
console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 160)
errors = Console(stderr=True, soft_wrap=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file; default ./attribution.toml.")]


def fail(message: str, code: int = 2) -> NoReturn:
    """Say what is wrong in one plain message and leave."""
    errors.print(f"error: {message}", markup=False, highlight=False)
    raise typer.Exit(code)
