"""``gridtide verify``: check a plan on disk against every limit of its problem."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optimizer import verify
from scheduler.cli.console import ExitCode, JsonOption, emit, working
from scheduler.files import read_plan

PlanPath = Annotated[Path, typer.Argument(help="plan.json, or the folder it is in.", exists=True)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_plan)


def verify_plan(
    plan: PlanPath,
    tolerance: Annotated[
        float, typer.Option(min=0, help="Largest breach to pass over, relative to the limit.")
    ] = 1e-5,
    as_json: JsonOption = False,
) -> None:
    """Recompute every limit and objective term of a plan; exit code 4 where one does not hold."""
    document = read_plan(plan)
    with working("Verifying"):
        breaches = [str(breach) for breach in verify(document.problem, document.plan, tolerance)]
    count = f"{len(document.plan.placements)} of {len(document.problem.jobs)} jobs placed"
    text = f"accepted: every limit holds ({count}, objective {document.plan.objective:.2f} EUR)"
    if breaches:
        text = "refused:\n" + "\n".join(f"  {breach}" for breach in breaches)
    emit({"is_accepted": not breaches, "breaches": breaches}, text, as_json)
    if breaches:
        raise typer.Exit(ExitCode.REFUSED)
