"""``gridtide explain``: why a job stands where it stands in a plan on disk."""

from __future__ import annotations

from dataclasses import asdict
from difflib import get_close_matches
from typing import Annotated

import typer

from scheduler.cli.console import JsonOption, UserError, emit
from scheduler.cli.verify import PlanPath
from scheduler.files import read_plan
from scheduler.services.plan_document import PlanDocument
from scheduler.views import explain_job, explanation_text


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain_placement)


def explain_placement(
    plan: PlanPath,
    job: Annotated[str, typer.Argument(help="Name of the job.")],
    as_json: JsonOption = False,
) -> None:
    """Say why a job runs where and when it does, and what each alternative would cost."""
    document = read_plan(plan)
    zone = _zone_of(document, job)
    explanation = explain_job(document, job, zone)
    emit(asdict(explanation), explanation_text(document, explanation, zone), as_json)


def _zone_of(document: PlanDocument, job: str) -> str:
    names = [known.name for known in document.problem.jobs]
    if job not in names:
        close = get_close_matches(job, names, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise UserError(f"the plan has no job {job!r}{hint}")
    placement = document.plan.placement(job)
    return "UTC" if placement is None else document.fleet.site(placement.site).time_zone
