"""Five ways to plan one week, each settled with the same function and verified.

What a battery is told in its own plan it does whatever the jobs do meanwhile: how full it is does
not depend on them, what the site imports does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.co_optimisation.instance import without_batteries
from optimizer import (
    Breach,
    Placement,
    Plan,
    Problem,
    Rung,
    Site,
    SiteFlows,
    SolveLimits,
    StorageFlows,
    baselines,
    dispatch,
    it_load_kw,
    settled_plan,
    solve,
    verify,
)

IDLE: Mapping[str, StorageFlows] = {}


@dataclass(frozen=True, slots=True)
class Result:
    """What one way came to; ``breach_kwh`` is energy above the ceilings of calls."""

    plan: Plan
    breaches: tuple[Breach, ...]
    breach_kwh: float
    peaks_kw: tuple[float, ...]

    @property
    def eur(self) -> float:
        """The objective: money, carbon at its price, calls missed, less the charge left."""
        return self.plan.objective

    @property
    def cost_eur(self) -> float:
        """Money paid, less what the charge left in batteries is worth."""
        return self.plan.terms.money_eur - self.plan.terms.storage_value_eur


def results(problem: Problem, time_limit_s: float) -> dict[str, Result]:
    """Plan the week in every way."""
    limits = SolveLimits(time_limit_s=time_limit_s, mip_gap=0.001)
    now = baselines.run_now(problem).placements
    jobs_alone = solve(without_batteries(problem), limits).placements
    batteries_alone = _batteries_for(problem, now)
    in_turn = _batteries_for(problem, jobs_alone)
    together = solve(problem, limits, warm_start=_told(problem, jobs_alone, in_turn))
    told = {
        "neither": _told(problem, now, IDLE),
        "batteries": _told(problem, now, batteries_alone),
        "jobs": _told(problem, jobs_alone, IDLE),
        "separately": _told(problem, jobs_alone, batteries_alone),
        "in_turn": _told(problem, jobs_alone, in_turn),
        "together": together,
    }
    return {name: _result(problem, plan) for name, plan in told.items()}


def _batteries_for(problem: Problem, placements: Sequence[Placement]) -> dict[str, StorageFlows]:
    """Return the optimum of the batteries for jobs that stand where they stand."""
    it_kw = it_load_kw(problem, placements)
    sites = tuple(
        replace(site, base_load_kw=_with(site, it_kw[row]))
        for row, site in enumerate(problem.sites)
    )
    plan = solve(replace(problem, sites=sites, jobs=()), SolveLimits(mip_gap=1e-6))
    return {flows.site: _storage(flows) for flows in plan.flows}


def _with(site: Site, it_kw: np.ndarray) -> tuple[float, ...]:
    whole = np.asarray(site.base_load_kw) + np.asarray(site.pue) * it_kw
    return tuple(whole.tolist())


def _storage(flows: SiteFlows) -> StorageFlows:
    return StorageFlows(
        *(np.array(rows) for rows in (flows.charge_kw, flows.discharge_kw, flows.soc_kwh))
    )


def _told(
    problem: Problem, placements: Sequence[Placement], storage: Mapping[str, StorageFlows]
) -> Plan:
    flows = dispatch(problem, placements, storage)
    return settled_plan(problem, Rung.GREEDY, placements, (), flows)


def _result(problem: Problem, plan: Plan) -> Result:
    hours = problem.horizon.slot_hours
    missed = [one for one in plan.violations if one.kind == "capacity_limit"]
    return Result(
        plan,
        verify(problem, plan),
        sum(one.amount for one in missed) * hours,
        tuple(max(flows.import_kw) for flows in plan.flows),
    )
