"""What every policy, and the planner, makes of the week under given conditions; one settlement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.gaia.conditions import SLOTS_PER_HOUR
from optimizer import (
    Plan,
    Problem,
    SolveLimits,
    baselines,
    dispatch,
    require_verified,
    settled_plan,
    solve,
)

MIP_GAP = 0.001
PLANNED, IN_ONE_PIECE = "planned", "planned, in one piece"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way came to.

    Attributes
    ----------
    cpu_hours
        Of the jobs that are done [CPU-h], as long as they run at their own width.
    wait_hours
        Mean and 95th percentile of the time by which a job that is done was done later than if it
        had been started at once [h].
    gap
        Proven distance from the best plan; ``None``: nothing was proven.
    """

    name: str
    carbon_kg: float
    money_eur: float
    objective_eur: float
    cpu_hours: float
    wait_hours: tuple[float, float]
    n_left_out: int
    gap: float | None
    seconds: float

    @property
    def g_per_cpu_hour(self) -> float:
        """Carbon of what was done."""
        return self.carbon_kg * 1e3 / self.cpu_hours


def outcomes(problem: Problem, time_limit_s: float) -> Iterator[Outcome]:
    """Yield every policy's, then the planner's without pauses, and from there with them."""
    for name, policy in baselines.BASELINES.items():
        begun = time.process_time()
        plan = policy(problem)
        yield outcome_of(name, problem, plan, time.process_time() - begun)
    limits, before = SolveLimits(time_limit_s, MIP_GAP), None
    for name, asked in ((IN_ONE_PIECE, unbroken(problem)), (PLANNED, problem)):
        begun = time.process_time()
        plan = solve(asked, limits, warm_start=before, clock=time.process_time)
        yield outcome_of(name, problem, plan, time.process_time() - begun)
        before = plan


def unbroken(problem: Problem) -> Problem:
    """Return the problem of who neither pauses jobs nor changes them while they run."""
    jobs = tuple(replace(job, pausing=None, is_elastic=False) for job in problem.jobs)
    return replace(problem, jobs=jobs)


def outcome_of(name: str, problem: Problem, plan: Plan, seconds: float) -> Outcome:
    """Settle what was decided, as for every other; refuse it where it breaks a limit.

    Raises
    ------
    PlanRefused
        It does.
    """
    flows = dispatch(problem, plan.placements, {})
    settled = settled_plan(problem, plan.rung, plan.placements, plan.unserved, flows)
    require_verified(problem, settled)
    jobs = {job.name: job for job in problem.jobs}
    waits, cpu_hours = [], 0.0
    for placement in plan.placements:
        job = jobs[placement.job]
        cpu_hours += job.work * job.points[0].gpus
        at_once = job.release_slot + job.work * SLOTS_PER_HOUR
        waits.append((placement.end_slot - at_once) / SLOTS_PER_HOUR)
    return Outcome(
        name,
        settled.terms.carbon_kg,
        settled.terms.money_eur,
        settled.objective,
        cpu_hours,
        (float(np.mean(waits)), float(np.quantile(waits, 0.95))),
        len(plan.unserved),
        plan.gap,
        seconds,
    )
