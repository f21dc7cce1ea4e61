"""What decisions cost in every scenario, and the plan they make.

The plan answers the problem as forecast: its first decisions are those that all scenarios share,
and the rest is planned anew on the forecast with these decided. So whoever verifies, dispatches or
explains it has an ordinary plan; what it comes to in the scenarios is its ``Outlook``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.plan import Outlook, Placement, Plan, Rung, SiteFlows, SlotPrices
from optimizer.problem import Problem
from optimizer.progress import SolveLimits
from optimizer.reasons import reasons_left_out
from optimizer.scenarios.extensive import Futures, flows_with
from optimizer.scenarios.first_stage import first_placements, what_is_left
from optimizer.scenarios.futures import Floats, UncertainProblem, cvar_eur, risk_eur
from optimizer.settlement import settle

Solve = Callable[[Problem], Plan]
"""Solves one ordinary problem."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is done in every scenario, and what it costs there [scenario]."""

    first: tuple[Placement, ...]
    futures: Futures
    cost_eur: Floats
    minimised_eur: float


def settled(uncertain: UncertainProblem, problems: Sequence[Problem], futures: Futures) -> Settled:
    """Settle what is done in every scenario."""
    done = zip(problems, futures.placements, futures.flows, strict=True)
    cost_eur = np.array([settle(*one).objective for one in done])
    first = first_placements(uncertain.nominal, futures.placements[0], uncertain.first_slots)
    minimised = risk_eur(cost_eur, uncertain.probability, uncertain.risk)
    return Settled(first, futures, cost_eur, minimised)


def outlook(uncertain: UncertainProblem, decided: Settled, bound_eur: float | None) -> Outlook:
    """Say what ``decided`` comes to."""
    cost_eur, probability, risk = decided.cost_eur, uncertain.probability, uncertain.risk
    expected = float(probability @ cost_eur)
    return Outlook(
        scenario_eur=tuple(cost_eur.tolist()),
        probability=tuple(probability.tolist()),
        expected_eur=expected,
        spread_eur=float(np.sqrt(probability @ (cost_eur - expected) ** 2)),
        cvar_eur=cvar_eur(cost_eur, probability, risk.alpha),
        cvar_alpha=risk.alpha,
        cvar_weight=risk.weight,
        minimised_eur=decided.minimised_eur,
        bound_eur=None if bound_eur is None else min(bound_eur, decided.minimised_eur),
        first_slots=uncertain.first_slots,
    )


def nominal_plan(
    uncertain: UncertainProblem,
    decided: Settled,
    limits: SolveLimits,
    solve: Solve,
    *,
    bound_eur: float | None,
    prices: SlotPrices | None,
) -> Plan:
    """Return the plan of the problem as forecast that begins with what was ``decided``.

    Raises
    ------
    SolverFailed
        There are no flows around it.
    """
    problem = uncertain.nominal
    rest = solve(what_is_left(problem, decided.first, uncertain.first_slots))
    position = {job.name: row for row, job in enumerate(problem.jobs)}
    placements = sorted((*decided.first, *rest.placements), key=lambda placed: position[placed.job])
    flows = _flows(uncertain, decided, placements, limits)
    settlement = settle(problem, placements, flows)
    return Plan(
        rung=Rung.BEST_FOUND,
        placements=tuple(placements),
        unserved=reasons_left_out(problem, tuple(placements), prices),
        flows=flows,
        terms=settlement.terms,
        violations=settlement.violations,
        objective=settlement.objective,
        bound=None,
        prices=prices,
        notes=rest.notes,
        outlook=outlook(uncertain, decided, bound_eur),
    )


def _flows(
    uncertain: UncertainProblem,
    decided: Settled,
    placements: Sequence[Placement],
    limits: SolveLimits,
) -> tuple[SiteFlows, ...]:
    """Find flows on the forecast, batteries beginning as decided."""
    begun, n_slots = decided.futures.flows[0], uncertain.battery_slots
    return flows_with(uncertain.nominal, placements, limits, begun, n_slots)


def without_outlook(plan: Plan, why: str) -> Plan:
    """Return ``plan`` with a note of why it was made for one future alone."""
    return replace(plan, notes=(*plan.notes, f"planned for the forecast alone: {why}"))
