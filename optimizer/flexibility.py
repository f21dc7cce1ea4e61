"""What it costs to draw less, or more, than planned for some slots: by planning anew, both ways.

The power is compared with the plan as it is held; the cost is that of the best plan under the call
over that of the best plan without it. So what planning anew gains anyway is not counted for the
call. Where a solve proves only a bound, the cost is told as the interval that is proven.

*Down*: net import is held at a level by a demand event whose missed energy is dear. *Up*: it is
held below the level in the same way, and every kWh up to it is subsidised, so that the plan draws
as much as it can; the plan is then settled without the subsidy. Where every slot reaches the level
the subsidy is the same for every such plan, so the plan is the cheapest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.dispatch import settled_plan
from optimizer.events import DemandEvent
from optimizer.plan import Plan, Rung
from optimizer.problem import Problem
from optimizer.progress import Clock, SolveLimits
from optimizer.settlement import settle
from optimizer.sites import Site
from optimizer.solving.solve import solve

MOST_EUR_PER_KWH = 20.0
"""A kW that costs more per kWh is not offered."""

MET_WITHIN_KW = 1e-3

_NAME = "flexibility"


@dataclass(frozen=True, slots=True)
class LevelCall:
    """Draw at most (or, with ``is_up``, at least) ``level_kw`` net in sum of ``sites`` [slot]."""

    sites: tuple[str, ...]
    start_slot: int
    level_kw: tuple[float, ...]
    is_up: bool = False

    @property
    def end_slot(self) -> int:
        """Slot after the last it holds in."""
        return self.start_slot + len(self.level_kw)


@dataclass(frozen=True, slots=True)
class CallPrice:
    """What a call would cost.

    Attributes
    ----------
    is_met
        A plan was found that draws so in every slot.
    cost_eur
        Rise of the objective, of the plans found, at least what is proven; ``None``: it is not met.
    least_eur, most_eur
        Between these the true rise is proven to lie; ``most_eur`` is ``None`` where nothing is.
    moved
        Jobs that run otherwise than without the call.
    """

    is_met: bool
    cost_eur: float | None
    least_eur: float
    most_eur: float | None
    moved: tuple[str, ...]
    import_kw: tuple[float, ...]


def net_import_kw(plan: Plan, sites: Sequence[str]) -> NDArray[np.float64]:
    """Return import less export in sum of ``sites`` [slot]."""
    total: NDArray[np.float64] = np.sum(
        [
            np.subtract(flows.import_kw, flows.export_kw)
            for flows in plan.flows
            if flows.site in sites
        ],
        axis=0,
    )
    return total


def price_call(
    problem: Problem, reference: Plan, call: LevelCall, limits: SolveLimits, clock: Clock
) -> CallPrice:
    """Price ``call``; ``reference`` is the best plan of ``problem`` without it."""
    asked = _called(problem, call)
    begun = settled_plan(
        asked, Rung.LAST_PLAN, reference.placements, reference.unserved, reference.flows
    )
    plan = solve(asked, limits, warm_start=begun, clock=clock)
    settled = settle(problem, plan.placements, plan.flows)
    span = slice(call.start_slot, call.end_slot)
    drawn = net_import_kw(plan, call.sites)[span]
    beyond = (drawn - np.array(call.level_kw)) * (-1.0 if call.is_up else 1.0)
    is_met = bool(np.all(beyond <= MET_WITHIN_KW))
    bound = None if plan.bound is None else plan.bound + _subsidy_eur(problem, call)
    least = 0.0 if bound is None else max(0.0, bound - reference.objective)
    most = None if reference.bound is None else settled.objective - reference.bound
    return CallPrice(
        is_met=is_met,
        cost_eur=max(least, settled.objective - reference.objective) if is_met else None,
        least_eur=least,
        most_eur=most if is_met else None,
        moved=_moved(reference, plan) if is_met else (),
        import_kw=tuple(drawn.tolist()),
    )


def _called(problem: Problem, call: LevelCall) -> Problem:
    event = DemandEvent(
        name=_NAME,
        sites=call.sites,
        start_slot=call.start_slot,
        level_kw=call.level_kw,
        missed_eur_per_kwh=2 * MOST_EUR_PER_KWH if call.is_up else MOST_EUR_PER_KWH,
    )
    asked = replace(problem, events=(*problem.events, event))
    if not call.is_up:
        return asked
    sites = tuple(
        _subsidised(problem, site, call) if site.name in call.sites else site
        for site in problem.sites
    )
    # Money that nobody pays must not count towards a ceiling.
    return replace(asked, sites=sites, ceilings=replace(asked.ceilings, cost_ceiling_eur=None))


def _subsidised(problem: Problem, site: Site, call: LevelCall) -> Site:
    """Return ``site`` with energy cheaper in the slots of the call, bought and sold alike."""
    less = np.zeros(problem.horizon.n_slots)
    less[call.start_slot : call.end_slot] = 1000.0 * MOST_EUR_PER_KWH / problem.weights.energy
    grid = site.grid
    cheap = replace(
        grid,
        import_price_eur_per_mwh=tuple(np.subtract(grid.import_price_eur_per_mwh, less).tolist()),
        export_price_eur_per_mwh=tuple(np.subtract(grid.export_price_eur_per_mwh, less).tolist()),
    )
    return replace(site, grid=cheap)


def _subsidy_eur(problem: Problem, call: LevelCall) -> float:
    """Return what a plan that draws the level in every slot is subsidised with [EUR]."""
    if not call.is_up:
        return 0.0
    return MOST_EUR_PER_KWH * sum(call.level_kw) * problem.horizon.slot_hours


def _moved(before: Plan, after: Plan) -> tuple[str, ...]:
    old, new = before.placements_by_job(), after.placements_by_job()
    return tuple(sorted(job for job in old.keys() | new.keys() if old.get(job) != new.get(job)))
