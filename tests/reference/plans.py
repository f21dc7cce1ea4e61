"""The textbook's optimum as a ``Plan``, so that the product's checks can be run on it."""

from __future__ import annotations

from optimizer import Plan, Problem, Rung, Unserved, settle
from tests.reference.textbook import Textbook


def plan_of(problem: Problem, textbook: Textbook) -> Plan:
    """Wrap placements and flows of ``textbook``, settled by the product's settlement."""
    settled = settle(problem, textbook.placements, textbook.flows)
    served = {placement.job for placement in textbook.placements}
    unserved = tuple(
        Unserved(job.name, "left out by the textbook", job.can_wait)
        for job in problem.jobs
        if job.name not in served
    )
    return Plan(
        Rung.EXACT,
        textbook.placements,
        unserved,
        textbook.flows,
        settled.terms,
        settled.violations,
        settled.objective,
        bound=textbook.objective,
    )
