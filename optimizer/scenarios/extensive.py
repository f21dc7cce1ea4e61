r"""The extensive form: the master of every scenario in one model, first decisions tied together.

.. math::
    \min (1 - \beta) \sum_s \pi_s C_s
        + \beta \Bigl(\eta + \frac{1}{1 - \alpha} \sum_s \pi_s \xi_s\Bigr)         \tag{X5} \\
    \xi_s \ge C_s - \eta, \quad \xi_s \ge 0                                        \tag{X6}

(X6) are the rows of Rockafellar and Uryasev; where the mean alone counts there are none. What ties
scenarios together is in ``scenarios.tied``.

Everything is in it, so it grows with scenarios times jobs: it is for few of them, and the yardstick
of what does without. With the jobs fixed it is the cheapest flows around them, for any number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from optimizer.errors import SolverFailed
from optimizer.master import Master, build_master
from optimizer.pieces import links_of
from optimizer.plan import Placement, SiteFlows
from optimizer.pledges import shed_by_jobs, with_shed_load
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.scenarios.futures import UncertainProblem
from optimizer.scenarios.tied import tie_answers, tie_batteries, tie_jobs
from optimizer.settlement import is_churned, it_load_kw, left_out_eur, own_costs
from optimizer.solving.highs import StandardForm, compile_model, run_highs

FLOWS_GAP = 1e-4
"""Relative gap of flows around fixed jobs, where they need binaries."""
LEAST_FLOWS_S = 10.0
"""Flows are mostly a linear programme of a second, and without them all before was in vain."""


@dataclass(frozen=True, slots=True)
class Futures:
    """What is done in each scenario, and a lower bound of (X5) [EUR].

    ``bound_eur`` is ``None`` where nothing was proven, or only something of fixed jobs.
    """

    placements: tuple[tuple[Placement, ...], ...]
    flows: tuple[tuple[SiteFlows, ...], ...]
    bound_eur: float | None


def solve_extensive(
    uncertain: UncertainProblem, limits: SolveLimits, problems: Sequence[Problem] | None = None
) -> Futures:
    """Solve the extensive form to the gap or time of ``limits``.

    Raises
    ------
    SolverFailed
        HiGHS found nothing in time.
    """
    with PauseGC():
        model, masters = extensive_model(uncertain, problems)
        form = compile_model(model)
    bound = _solve(form, limits)
    placements = tuple(
        tuple(placed for job in master.jobs if (placed := job.read()) is not None)
        for master in masters
    )
    return Futures(placements, _flows(masters), bound)


def extensive_model(
    uncertain: UncertainProblem, problems: Sequence[Problem] | None = None
) -> tuple[pyo.ConcreteModel, list[Master]]:
    """Build the extensive form, and return with it the master of each scenario."""
    masters = [build_master(problem) for problem in problems or uncertain.problems()]
    model = _joined(uncertain, masters, [0.0] * len(masters))
    tie_jobs(model, uncertain, masters)
    tie_batteries(model, uncertain, masters)
    tie_answers(model, masters)
    return model, masters


def flows_around(
    uncertain: UncertainProblem,
    placements: Sequence[Sequence[Placement]],
    limits: SolveLimits,
    problems: Sequence[Problem] | None = None,
) -> Futures:
    """Find the flows of every scenario that are best around its ``placements`` [scenario].

    Raises
    ------
    SolverFailed
        HiGHS found none in time.
    """
    found = zip(problems or uncertain.problems(), placements, strict=True)
    with PauseGC():
        pairs = [_around(problem, placed) for problem, placed in found]
        masters = [master for master, _ in pairs]
        model = _joined(uncertain, masters, [own_eur for _, own_eur in pairs])
        tie_batteries(model, uncertain, masters)
        tie_answers(model, masters)
        form = compile_model(model)
    _solve(form, _flows_limits(limits))
    return Futures(tuple(tuple(placed) for placed in placements), _flows(masters), None)


def flows_with(
    problem: Problem,
    placements: Sequence[Placement],
    limits: SolveLimits,
    first: Sequence[SiteFlows] = (),
    battery_slots: int = 0,
) -> tuple[SiteFlows, ...]:
    """Find the cheapest flows around ``placements``, beginning as ``first`` does.

    Batteries do what it says for ``battery_slots``, and events have its answers.

    Raises
    ------
    SolverFailed
        HiGHS found none in time.
    """
    with PauseGC():
        master, _ = _around(problem, placements)
        for site, flows in zip(master.sites, first, strict=False):
            for u in range(len(site.site.storage)):
                for t in range(battery_slots):
                    site.storage.charge_kw[u, t].fix(flows.charge_kw[u][t])
                    site.storage.discharge_kw[u, t].fix(flows.discharge_kw[u][t])
            for name, declined in site.is_declined.items():
                declined.fix(int(name in flows.declined))
        form = compile_model(master.model)
    _solve(form, _flows_limits(limits))
    return tuple(site.read_flows() for site in master.sites)


def _flows_limits(limits: SolveLimits) -> SolveLimits:
    return replace(limits, time_limit_s=max(LEAST_FLOWS_S, limits.time_limit_s), mip_gap=FLOWS_GAP)


def _around(problem: Problem, placements: Sequence[Placement]) -> tuple[Master, float]:
    """Build the flows of ``problem`` around ``placements``; return what jobs cost by themselves."""
    jobs, links = {job.name: job for job in problem.jobs}, links_of(problem)
    weights, hours = problem.weights, problem.horizon.slot_hours
    own_eur = money_eur = 0.0
    for placed in placements:
        job = jobs.pop(placed.job)
        own = own_costs(job, placed, links, hours)
        own_eur += own.weighted_eur(weights) + weights.churn_eur_per_job * is_churned(job, placed)
        money_eur += own.restarts_eur + own.data_transfer_eur
    own_eur += sum(left_out_eur(job, weights) for job in jobs.values())
    ceiling = problem.ceilings.cost_ceiling_eur
    if ceiling is not None:
        problem = replace(
            problem, ceilings=replace(problem.ceilings, cost_ceiling_eur=ceiling - money_eur)
        )
    load_kw, shed = it_load_kw(problem, placements), shed_by_jobs(problem, placements)
    sites = tuple(with_shed_load(site, shed[site.name]) for site in problem.sites)
    problem = replace(problem, sites=sites)
    master = build_master(problem, ())
    master.model.job_power.deactivate()
    for row, site in enumerate(master.sites):
        for t, variable in site.balance.it_load_kw.items():
            variable.fix(max(0.0, float(load_kw[row, t])))
    return master, own_eur


def _joined(
    uncertain: UncertainProblem, masters: Sequence[Master], own_eur: Sequence[float]
) -> pyo.ConcreteModel:
    """Put ``masters`` into one model with the objective (X5) and the rows (X6)."""
    model = pyo.ConcreteModel()
    costs: list[Any] = []
    for k, (master, own) in enumerate(zip(masters, own_eur, strict=True)):
        master.model.objective.deactivate()
        costs.append(master.model.objective.expr + own)
        model.add_component(f"scenario_{k}", master.model)
    probability, risk = uncertain.probability.tolist(), uncertain.risk
    mean = pyo.quicksum(share * cost for share, cost in zip(probability, costs, strict=True))
    if risk.weight == 0.0:
        model.objective = pyo.Objective(expr=mean)
        return model
    every = range(len(masters))
    model.value_at_risk_eur = pyo.Var()
    model.beyond_eur = pyo.Var(every, within=pyo.NonNegativeReals)
    model.beyond = pyo.Constraint(  # (X6)
        every, rule=lambda _, s: model.beyond_eur[s] >= costs[s] - model.value_at_risk_eur
    )
    beyond = pyo.quicksum(probability[s] * model.beyond_eur[s] for s in every)
    cvar = model.value_at_risk_eur + beyond / (1.0 - risk.alpha)
    model.objective = pyo.Objective(expr=(1.0 - risk.weight) * mean + risk.weight * cvar)
    return model


def _solve(form: StandardForm, limits: SolveLimits) -> float | None:
    """Solve ``form``, tidy up at fixed integers and load the values; return the bound."""
    options = {
        "time_limit": limits.time_limit_s,
        "mip_rel_gap": limits.mip_gap,
        "random_seed": limits.seed,
    }
    solution = run_highs(form, options)
    if solution.values is None:
        raise SolverFailed(
            f"no plan for all scenarios in {limits.time_limit_s:g} s: {solution.status}"
        )
    values = solution.values
    if form.is_integer.any():
        tidy = run_highs(form.fixed_at(values), {"random_seed": limits.seed})
        values = tidy.values if tidy.values is not None and tidy.is_proven else values
    form.load(np.asarray(values))
    return solution.bound


def _flows(masters: Sequence[Master]) -> tuple[tuple[SiteFlows, ...], ...]:
    return tuple(tuple(site.read_flows() for site in master.sites) for master in masters)
