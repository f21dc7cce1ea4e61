"""How far forecasts are trusted in a solve: for several futures, and no wait within their error.

Whoever plans calls ``solve_in_doubt(problem, limits, doubt_of(fleet.planning, assembled))``: the
worker, ``gridtide plan``, and replays of history. There are scenarios where the fleet has a table
``planning.uncertainty`` and ``assemble`` was given a ``history`` (``Inputs.history``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from optimizer import (
    Clock,
    OnProgress,
    Plan,
    Problem,
    Risk,
    Scenario,
    SideBySide,
    SolveLimits,
    UncertainProblem,
    plan_for_scenarios,
    solve,
    start_early,
)
from scheduler.services.assemble import Assembled
from scheduler.specs.fleet import PlanningSpec

MOST_TIED = 2_000
"""Jobs up to which ties are moved to the earliest of equal slots: some milliseconds for each."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How the forecasts of a problem may turn out, and what is made of it.

    Attributes
    ----------
    scenarios
        None: they are taken at their word.
    first_slots, battery_slots, risk
        See ``UncertainProblem``; ``first_slots`` 0: the plan is made for the forecast alone.
    confidence
        Standard errors that a wait must gain; ``None``: any gain will do.
    """

    scenarios: tuple[Scenario, ...] = ()
    first_slots: int = 0
    battery_slots: int = 0
    risk: Risk = Risk()  # noqa: RUF009 - frozen
    confidence: float | None = None


NO_DOUBT = Doubt()


def doubt_of(planning: PlanningSpec, assembled: Assembled) -> Doubt:
    """Return what ``planning`` makes of the scenarios that were ``assembled``."""
    spec, window = planning.uncertainty, assembled.window
    if spec is None or not assembled.scenarios:
        return NO_DOUBT

    def slots(hours: int) -> int:
        return min(window.n_slots, round(hours / window.slot_hours))

    return Doubt(
        assembled.scenarios,
        slots(spec.first_hours) if spec.scenarios else 0,
        slots(spec.battery_hours) if spec.scenarios else 0,
        Risk(spec.cvar_weight, spec.cvar_alpha),
        spec.shift_confidence,
    )


def solve_in_doubt(
    problem: Problem,
    limits: SolveLimits,
    doubt: Doubt = NO_DOUBT,
    *,
    last_plan: Plan | None = None,
    on_progress: OnProgress | None = None,
    clock: Clock | None = None,
    side_by_side: SideBySide = map,
) -> Plan:
    """Solve ``problem`` as ``solve`` does, and make of its errors what ``doubt`` says.

    Jobs start at the earliest of equal slots in any case, if they are not too many.
    """
    if doubt.first_slots:
        uncertain = UncertainProblem(
            problem, doubt.scenarios, doubt.first_slots, doubt.battery_slots, doubt.risk
        )
        plan = plan_for_scenarios(
            uncertain,
            limits,
            warm_start=last_plan,
            last_plan=last_plan,
            on_progress=on_progress,
            clock=clock,
            # What solves small MILPs there places jobs there as well.
            apart=cast("Any", side_by_side),
        )
    else:
        plan = solve(
            problem,
            limits,
            warm_start=last_plan,
            last_plan=last_plan,
            on_progress=on_progress,
            clock=clock,
            side_by_side=side_by_side,
        )
    if doubt.confidence is not None and doubt.scenarios:
        return start_early(
            problem,
            plan,
            doubt.scenarios,
            doubt.confidence,
            limits=limits,
            battery_slots=doubt.battery_slots,
        )
    return start_early(problem, plan, limits=limits) if len(problem.jobs) <= MOST_TIED else plan
