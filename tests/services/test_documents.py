"""A plan's document: nothing that a person must know is lost on the way to it."""

from __future__ import annotations

from dataclasses import replace

from optimizer import baselines
from scheduler.services.assemble import Assembled, PlanWindow
from scheduler.services.documents import make_document
from tests.optimizer.build import job, problem
from tests.services.builders import START, fleet_spec


def test_a_document_says_why_a_better_rung_was_not_reached() -> None:
    """Beside what was said of the inputs, and of the run."""
    case = problem(job())
    plan = replace(baselines.run_now(case), notes=("no exact plan: out of luck",))
    assembled = Assembled(case, PlanWindow(START, 60, 8), marks=("price: filled",))
    document = make_document(fleet_spec(), assembled, plan, plan, START, ("interrupted",))
    assert document.marks == ("interrupted", "no exact plan: out of luck", "price: filled")
