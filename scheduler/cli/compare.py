"""``gridtide compare``: two plans on disk, side by side."""

from __future__ import annotations

from dataclasses import asdict

import typer

from scheduler.cli.console import JsonOption, emit
from scheduler.cli.verify import PlanPath
from scheduler.files import read_plan
from scheduler.views import compare


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare_plans)


def compare_plans(first: PlanPath, second: PlanPath, as_json: JsonOption = False) -> None:
    """Show totals of two plans side by side, and the jobs that moved, appeared or left."""
    comparison = compare(read_plan(first), read_plan(second))
    emit(asdict(comparison), comparison.text(), as_json)
