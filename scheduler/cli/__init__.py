"""The command line. One module per group of commands, each with ``register(app)``.

``gridtide --help`` lists the exit codes; see ``scheduler.cli.console.ExitCode``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Annotated, Any

import typer

from scheduler.cli.console import ErrorsAsExitCodes, exit_code_help

COMMANDS = {
    "plan": "scheduler.cli.plan",
    "verify": "scheduler.cli.verify",
    "compare": "scheduler.cli.compare",
    "explain": "scheduler.cli.explain",
    "backtest": "scheduler.cli.backtest",
    "demo": "scheduler.cli.demo",
    "serve": "scheduler.cli.processes",
    "api": "scheduler.cli.processes",
    "worker": "scheduler.cli.processes",
    "clock": "scheduler.cli.processes",
    "dispatcher": "scheduler.cli.processes",
    "control": "scheduler.cli.processes",
    "ingest": "scheduler.cli.processes",
    "fleet": "scheduler.cli.fleet",
    "signals": "scheduler.cli.signals",
    "streams": "scheduler.cli.streams",
    "jobs": "scheduler.cli.jobs",
    "plans": "scheduler.cli.plans",
    "events": "scheduler.cli.events",
    "ledger": "scheduler.cli.ledger",
    "keys": "scheduler.cli.keys",
    "clusters": "scheduler.cli.clusters",
    "db": "scheduler.cli.database",
}
"""Module of every command; its ``register(app)`` adds the command of this name."""


class LazyCommands(ErrorsAsExitCodes):
    """Imports the module of the command that is run, not the solver, server and charts of all."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is given
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module of a command and return what it registers."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        registered = typer.Typer()
        registered.callback()(lambda: None)
        import_module(module).register(registered)
        return typer.main.get_group(registered).get_command(ctx, cmd_name)


app = typer.Typer(
    name="gridtide",
    cls=LazyCommands,
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


def main() -> None:
    """Run the command line and exit with its code."""
    app()
