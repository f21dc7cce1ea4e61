"""The command line. One module per group of commands, each with ``register(app)``.

``gridtide --help`` lists the exit codes; see ``scheduler.cli.console.ExitCode``.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from scheduler.cli import compare, explain, plan, verify
from scheduler.cli.console import ErrorsAsExitCodes, exit_code_help

COMMAND_GROUPS = (plan, verify, compare, explain)

app = typer.Typer(
    name="gridtide",
    cls=ErrorsAsExitCodes,
    help="Plan deferrable GPU work with the grid around it, and carry the plan out.",
    epilog=exit_code_help(),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gridtide {installed_version('gridtide')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


for group in COMMAND_GROUPS:
    group.register(app)


def main() -> None:
    """Run the command line and exit with its code."""
    app()
