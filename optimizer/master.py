r"""The master: energy blocks of every site and one placement per job, linked by power and GPUs.

.. math::
    \ell_{st} - \sum_j \left( p_{jst} - \sum_q \text{idle}_q g_{jqt} \right)
        = \sum_q \text{idle}_q \text{gpus}_{qt}                                \tag{M1}
    \sum_j g_{jqt} \le \text{gpus}_{qt}                                        \tag{M2}
    F_{bt} \le E_{at} \quad \text{for a before b}                              \tag{M3}

A job enters only through ``JobTerms``. A further placement of a job is a further column of the rows
``job_power[site, slot]`` (its IT power less the idle power of the GPUs it holds), ``pool_gpus[site,
pool, slot]`` and, in its job's block, ``at_most_once``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from optimizer.commitments_model import COMMITMENT_TERMS, CommitmentsModel, add_commitments
from optimizer.energy.ceilings import add_ceilings
from optimizer.jobs import Job
from optimizer.placements.enumerated import add_enumerated, columns_of, runs_in_one_piece
from optimizer.placements.interface import JobTerms, LinearSum
from optimizer.placements.job_costs import JOB_TERMS, left_out
from optimizer.placements.slotwise import add_slotwise
from optimizer.placements.ways import Surroundings, ways_of
from optimizer.plan import MONEY_TERMS, SiteFlows
from optimizer.problem import Problem
from optimizer.settlement import objective_coefficients
from optimizer.site_model import SITE_TERMS, SiteModel, add_site


@dataclass(frozen=True, slots=True)
class Master:
    """A built model and what reads it back."""

    problem: Problem
    model: pyo.ConcreteModel
    sites: tuple[SiteModel, ...]
    jobs: tuple[JobTerms, ...]
    commitments: CommitmentsModel

    def set_flows(self, flows: Sequence[SiteFlows]) -> None:
        """Give the integers of sites and commitments the values that ``flows`` imply."""
        for site, own in zip(self.sites, flows, strict=True):
            site.set_start(own)
        self.commitments.set_start(flows)


def build_master(problem: Problem, jobs: Sequence[Job] | None = None) -> Master:
    """Build the MILP of ``problem``; with ``jobs``, of these jobs only.

    The others are then for the caller to add, as columns of (M1) and (M2).
    """
    own = problem.jobs if jobs is None else jobs
    model = pyo.ConcreteModel()
    model.site = pyo.Block([site.name for site in problem.sites])
    sites = tuple(add_site(model.site[site.name], problem, site) for site in problem.sites)
    around = Surroundings.of(problem)
    model.job = pyo.Block([job.name for job in own])
    terms = tuple(_add_job(model.job[job.name], job, around) for job in own)
    model.commitments = pyo.Block()
    commitments = add_commitments(model.commitments, problem, sites, terms)
    sites = tuple(commitments.reading(site) for site in sites)
    _link_power(model, problem, sites, terms)
    _link_gpus(model, problem, terms)
    _add_precedence(model, own, terms)
    _add_objective(model, problem, sites, terms, commitments)
    return Master(problem, model, sites, terms, commitments)


def _add_job(block: pyo.Block, job: Job, around: Surroundings) -> JobTerms:
    ways = ways_of(job, around)
    if not ways:
        return left_out(job)
    if runs_in_one_piece(job, ways, around):
        columns = columns_of(job, ways, around)
        return add_enumerated(block, job, columns, around) if columns else left_out(job)
    return add_slotwise(block, job, ways, around)


def _link_power(
    model: pyo.ConcreteModel,
    problem: Problem,
    sites: Sequence[SiteModel],
    jobs: Sequence[JobTerms],
) -> None:
    """Add (M1)."""
    slots = range(problem.horizon.n_slots)
    idle_kw = {
        (site.name, pool.name): pool.idle_kw_per_gpu
        for site in problem.sites
        for pool in site.pools
    }
    drawn = {(site.name, t): LinearSum() for site in problem.sites for t in slots}
    for job in jobs:
        for key, power_kw in job.it_power_kw.items():
            drawn[key].add_sum(power_kw)
        for (site, pool, t), gpus in job.gpus.items():
            drawn[site, t].add_sum(gpus, -idle_kw[site, pool])
    it_load = {
        site.name: built.balance.it_load_kw
        for site, built in zip(problem.sites, sites, strict=True)
    }
    idle_all = {
        (site.name, t): sum(pool.idle_kw_per_gpu * pool.gpus[t] for pool in site.pools)
        for site in problem.sites
        for t in slots
    }

    def job_power(_: pyo.Block, site: str, t: int) -> Any:
        row = LinearSum()
        row.add(1.0, it_load[site][t])
        row.add_sum(drawn[site, t], -1.0)
        return row.expression() == idle_all[site, t]

    model.job_power = pyo.Constraint(list(drawn), rule=job_power)  # (M1)


def _link_gpus(model: pyo.ConcreteModel, problem: Problem, jobs: Sequence[JobTerms]) -> None:
    """Add (M2) wherever a job can hold GPUs."""
    available = {(site.name, pool.name): pool.gpus for site in problem.sites for pool in site.pools}
    held: dict[tuple[str, str, int], LinearSum] = {}
    for job in jobs:
        for key, gpus in job.gpus.items():
            if gpus.variables:
                held.setdefault(key, LinearSum()).add_sum(gpus)

    def pool_gpus(_: pyo.Block, site: str, pool: str, t: int) -> Any:
        return held[site, pool, t].expression() <= available[site, pool][t]

    model.pool_gpus = pyo.Constraint(sorted(held), rule=pool_gpus)  # (M2)


def _add_precedence(
    model: pyo.ConcreteModel, jobs: Sequence[Job], job_terms: Sequence[JobTerms]
) -> None:
    """Add (M3): in every slot a job may start in, it has started only if the other is done."""
    terms = {job.job: job for job in job_terms}
    index = [
        (before, job.name, t)
        for job in jobs
        for before in job.after
        for t in terms[job.name].start_slots
    ]

    def done_before(_: pyo.Block, before: str, job: str, t: int) -> Any:
        row = terms[job].started_by(t)
        if not row.variables:
            return pyo.Constraint.Skip
        row.add_sum(terms[before].finished_by(t), -1.0)
        return row.expression() <= 0

    model.done_before = pyo.Constraint(index, rule=done_before)  # (M3)


def _add_objective(
    model: pyo.ConcreteModel,
    problem: Problem,
    sites: Sequence[SiteModel],
    jobs: Sequence[JobTerms],
    commitments: CommitmentsModel,
) -> None:
    terms: dict[str, Any] = {
        name: pyo.quicksum(site.terms[name] for site in sites) for name in SITE_TERMS
    }
    for name in JOB_TERMS:
        total = LinearSum()
        for job in jobs:
            total.add_sum(job.costs[name])
        terms[name] = total.expression()
    terms |= {name: commitments.terms[name] for name in COMMITMENT_TERMS}
    terms["violations_eur"] += commitments.terms["violations_eur"]
    model.ceilings = pyo.Block()
    over = add_ceilings(
        model.ceilings,
        problem.ceilings,
        problem.penalties,
        carbon_kg=terms["carbon_kg"],
        money_eur=_sum_of(terms, MONEY_TERMS),
    )
    terms["violations_eur"] += over.over_eur
    model.term = pyo.Expression(list(terms), rule=lambda _, name: terms[name])
    factors = objective_coefficients(problem.weights)
    model.objective = pyo.Objective(expr=_sum_of(model.term, factors))


def _sum_of(terms: Mapping[str, Any], factors: Mapping[str, float]) -> Any:
    return pyo.quicksum(factor * terms[term] for term, factor in factors.items())
