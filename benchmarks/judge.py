"""One judge for all: the cheapest flows for the places found, settled and verified.

So no rival is flattered or hurt by how it treats energy, or by the rounding it needs for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.apart import Tell
from benchmarks.draws import Size
from benchmarks.found import Found, adjacent
from benchmarks.instances import drawn
from optimizer import (
    Placement,
    Plan,
    Problem,
    Run,
    Rung,
    SolverFailed,
    Unserved,
    it_load_kw,
    settled_plan,
    verify,
)
from optimizer.master import build_master
from optimizer.solving.highs import compile_model, run_highs


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the places found cost with the cheapest flows [EUR], and what ``verify`` says."""

    objective_eur: float
    n_unserved: int
    breaches: tuple[str, ...]


def judge(tell: Tell, size: Size, found: Found) -> Verdict:
    """Judge what a rival found for the instance of ``size``."""
    problem = drawn(size)
    tell("settling")
    plan = with_cheapest_flows(problem, placements_of(problem, found))
    tell("verifying")
    breaches = tuple(str(breach) for breach in verify(problem, plan))
    return Verdict(plan.objective, len(plan.unserved), breaches)


def placements_of(problem: Problem, found: Found) -> tuple[Placement, ...]:
    """Say the places found in the words of ``problem``; points are in the order of the sites."""
    placements = []
    for job, place in zip(problem.jobs, found.places, strict=True):
        if place is not None:
            site, slots = place
            point = job.points[site]
            runs = tuple(Run(point.name, first, end) for first, end in adjacent(slots))
            placements.append(Placement(job.name, point.site, runs))
    return tuple(placements)


def with_cheapest_flows(problem: Problem, placements: Sequence[Placement]) -> Plan:
    """Return the plan of ``placements`` whose energy flows, batteries included, cost least.

    Raises
    ------
    SolverFailed
        No flows carry them.
    """
    master = build_master(problem, ())
    form = compile_model(master.model)
    load_kw = it_load_kw(problem, placements)
    lower, upper = form.row_lower.copy(), form.row_upper.copy()
    for number, site in enumerate(problem.sites):
        for t in range(problem.horizon.n_slots):
            row: Any = form.row(master.model.job_power[site.name, t])
            lower[row] = upper[row] = load_kw[number, t]
    flows = run_highs(replace(form, row_lower=lower, row_upper=upper), {"mip_rel_gap": 0.0})
    if flows.values is None:
        raise SolverFailed(f"no flows carry the jobs: {flows.status}")
    form.load(flows.values)
    served = {placement.job for placement in placements}
    return settled_plan(
        problem,
        Rung.BEST_FOUND,
        placements,
        [Unserved(job.name, "") for job in problem.jobs if job.name not in served],
        [site.read_flows() for site in master.sites],
    )
