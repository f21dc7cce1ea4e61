"""The same planning problem as a textbook time-indexed MILP: a second, independent formulation.

Deliberately plain and slow: every state has a variable, every rule its own row, nothing is
aggregated or left out because it could not matter. Its optimum is what the product must equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyomo.environ as pyo
from pyomo.contrib.solver.common.util import NoOptimalSolutionError
from pyomo.contrib.solver.solvers.highs import Highs

from optimizer.plan import Placement, Run, SiteFlows
from optimizer.problem import Problem
from optimizer.sites import Site
from tests.reference.event_rows import EventRows, add_events
from tests.reference.job_rows import JobRows, add_job
from tests.reference.reserve_rows import add_reserves, read_shares
from tests.reference.site_rows import SiteRows, add_site

OPTIONS = {
    "threads": 1,
    "mip_rel_gap": 0.0,
    "mip_abs_gap": 1e-9,
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
}


@dataclass(frozen=True, slots=True)
class Textbook:
    """The optimum: its value [EUR], and one plan that attains it."""

    objective: float
    placements: tuple[Placement, ...]
    flows: tuple[SiteFlows, ...]


def textbook_optimum(problem: Problem) -> Textbook:
    """Solve ``problem`` to proven optimality; every problem has a plan, so this always returns."""
    model: Any = pyo.ConcreteModel()
    names = [job.name for job in problem.jobs]
    model.job, model.site = pyo.Block(names), pyo.Block([site.name for site in problem.sites])
    model.rows = pyo.ConstraintList()
    jobs = {job.name: add_job(problem, job, model.job[job.name]) for job in problem.jobs}
    sites = {
        site.name: add_site(problem, site, list(jobs.values()), model.site[site.name])
        for site in problem.sites
    }
    _add_precedence(problem, jobs, model)
    events = add_events(problem, model)
    earned_eur, missed_eur = add_reserves(problem, jobs, model)
    events.earned_eur += earned_eur
    events.missed_eur += missed_eur
    model.objective = pyo.Objective(expr=_objective(problem, jobs, sites, events, model))
    try:
        Highs().solve(model, solver_options=OPTIONS)
    except NoOptimalSolutionError:
        # The presolve of HiGHS 1.15 takes a few of these for infeasible, which none is.
        Highs().solve(model, solver_options=OPTIONS | {"presolve": "off"})
    return Textbook(
        float(pyo.value(model.objective)),
        tuple(p for rows in jobs.values() for p in _placement(problem, rows)),
        tuple(_flows(problem, s, model.site[s.name], sites[s.name], events) for s in problem.sites),
    )


def _add_precedence(problem: Problem, jobs: dict[str, JobRows], model: Any) -> None:
    """A job runs in no slot that its predecessor has not finished before."""
    for job in problem.jobs:
        for name in job.after:
            earlier, later = jobs[name], jobs[job.name]
            model.rows.add(later.served <= earlier.served)
            for (_, t), runs in later.run.items():
                model.rows.add(runs <= earlier.finished[t])


def _objective(
    problem: Problem,
    jobs: dict[str, JobRows],
    sites: dict[str, SiteRows],
    events: EventRows,
    model: Any,
) -> Any:
    """Weighted sum of all terms, and the price of going above the two ceilings."""
    weights = problem.weights
    total = {
        term: sum(rows.terms[term] for rows in sites.values())
        for term in next(iter(sites.values())).terms
    }
    for term in ("restarts_eur", "data_transfer_eur", "lateness_eur", "churned"):
        total[term] = sum(getattr(rows, term) for rows in jobs.values())
    total["commitments"] = events.paid_eur - events.earned_eur
    unserved = sum(
        job.unserved_eur * job.priority * (1 - jobs[job.name].served)
        for job in problem.jobs
        if not job.can_wait
    )
    deferred = sum(
        job.unserved_eur * (1 - jobs[job.name].served) for job in problem.jobs if job.can_wait
    )
    return (
        weights.energy * (total["energy_bought"] - total["energy_sold"])
        + weights.network * total["network"]
        + weights.peak * total["peak"]
        + weights.generation * total["generation"]
        + weights.storage_wear * total["storage_wear"]
        - weights.storage_value * total["storage_value"]
        + weights.restarts * total["restarts_eur"]
        + weights.data_transfer * total["data_transfer_eur"]
        + weights.lateness * total["lateness_eur"]
        + weights.unserved * unserved
        + deferred
        + weights.carbon_eur_per_t * total["carbon_kg"] / 1000
        + weights.churn_eur_per_job * total["churned"]
        + total["commitments"]
        + events.missed_eur
        + sum(rows.violations_eur for rows in sites.values())
        + _ceilings(problem, total, model)
    )


def _ceilings(problem: Problem, total: dict[str, Any], model: Any) -> Any:
    model.carbon_over = pyo.Var(within=pyo.NonNegativeReals)
    model.cost_over = pyo.Var(within=pyo.NonNegativeReals)
    ceilings, penalties = problem.ceilings, problem.penalties
    money = (
        total["energy_bought"]
        - total["energy_sold"]
        + total["network"]
        + total["peak"]
        + total["generation"]
        + total["storage_wear"]
        + total["restarts_eur"]
        + total["data_transfer_eur"]
        + total["commitments"]
    )
    if ceilings.carbon_budget_kg is not None:
        model.rows.add(total["carbon_kg"] - model.carbon_over <= ceilings.carbon_budget_kg)
    if ceilings.cost_ceiling_eur is not None:
        model.rows.add(money - model.cost_over <= ceilings.cost_ceiling_eur)
    return (
        penalties.carbon_over_eur_per_kg * model.carbon_over
        + penalties.cost_over_eur_per_eur * model.cost_over
    )


def _placement(problem: Problem, rows: JobRows) -> tuple[Placement, ...]:
    """The job's runs as the plan's types, cut where its point changes; empty where unserved."""
    if pyo.value(rows.served) < 0.5:
        return ()
    slots = sorted((t, name) for (name, t), runs in rows.run.items() if pyo.value(runs) > 0.5)
    stretches = groupby(enumerate(slots), key=lambda item: (item[1][0] - item[0], item[1][1]))
    runs = []
    for (_, name), stretch in stretches:
        ts = [t for _, (t, _) in stretch]
        runs.append(Run(name, ts[0], ts[-1] + 1))
    return (Placement(rows.job.name, rows.job.point(runs[0].point).site, tuple(runs)),)


def _flows(
    problem: Problem, site: Site, block: Any, rows: SiteRows, events: EventRows
) -> SiteFlows:
    slots = range(problem.horizon.n_slots)

    def by_slot(variable: Any) -> tuple[float, ...]:
        return tuple(max(0.0, float(pyo.value(variable[t]))) for t in slots)

    def by_unit(variable: Any, count: int) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(max(0.0, float(pyo.value(variable[u, t]))) for t in slots) for u in range(count)
        )

    n_storage = len(site.storage)
    return SiteFlows(
        site=site.name,
        it_load_kw=tuple(float(pyo.value(kw)) for kw in rows.it_load),
        import_kw=by_slot(block.bought),
        export_kw=by_slot(block.sold),
        shortfall_kw=by_slot(block.short),
        renewable_kw=by_unit(block.renewable, len(site.renewables)),
        charge_kw=by_unit(block.charge, n_storage),
        discharge_kw=by_unit(block.discharge, n_storage),
        soc_kwh=by_unit(block.energy, n_storage),
        generator_kw=by_unit(block.generated, len(site.generators)),
        declined=tuple(
            event.name
            for event in problem.events
            if site.name in event.sites and pyo.value(events.takes_part[event.name]) < 0.5
        ),
        reserves=read_shares(problem, site, block.model()),
    )
