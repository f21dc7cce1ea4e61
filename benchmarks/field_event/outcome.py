"""What a plan makes of the field event: how fast each workload runs, and what the site draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.field_event.instance import (
    BEGIN,
    EVENT_BEGIN,
    SLOT_MINUTES,
    Call,
    Published,
    problem_of,
)
from benchmarks.field_event.possible import most_possible
from optimizer import Breach, Plan, Problem, SolveLimits, solve, verify
from scheduler.specs.fleet import BatterySpec

_SLOT = timedelta(minutes=SLOT_MINUTES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One plan.

    Attributes
    ----------
    performance
        Work done in the event by workload, as a share of that at full speed.
    weighted, possible
        Its mean, weighted by GPUs; and what no plan can exceed.
    import_kw, load_kw
        Of the site in each slot; the difference is the battery's.
    slots
        Those of the event.
    """

    call: Call
    limit_kw: float
    performance: Mapping[str, float]
    weighted: float
    possible: float
    import_kw: npt.NDArray[np.float64]
    load_kw: npt.NDArray[np.float64]
    slots: slice
    gap: float
    breaches: tuple[Breach, ...]
    n_violations: int

    @property
    def highest_kw(self) -> float:
        """Highest import of the event [kW]."""
        return float(self.import_kw[self.slots].max())


def planned(
    published: Published, call: Call, battery: BatterySpec | None, time_limit_s: float
) -> Outcome:
    """Plan the event, and verify the plan."""
    problem = problem_of(published, call, battery)
    plan = solve(problem, SolveLimits(time_limit_s=time_limit_s, mip_gap=1e-4))
    slots = slice((EVENT_BEGIN - BEGIN) // _SLOT, (call.end_at - BEGIN) // _SLOT)
    performance = _performance(problem, plan, slots)
    gpus = {workload.name: workload.gpus for workload in published.workloads}
    (flows,) = plan.flows
    import_kw = np.asarray(flows.import_kw, dtype=float)
    from_battery = np.zeros_like(import_kw)
    for charge, discharge in zip(flows.charge_kw, flows.discharge_kw, strict=True):
        from_battery += np.asarray(discharge) - np.asarray(charge)
    (limit,) = problem.capacity_limits
    bound = plan.objective if plan.bound is None else plan.bound
    return Outcome(
        call=call,
        limit_kw=limit.limit_kw,
        performance=performance,
        weighted=float(np.average([*performance.values()], weights=[gpus[n] for n in performance])),
        possible=most_possible(published, call, battery),
        import_kw=import_kw,
        load_kw=import_kw + from_battery,
        slots=slots,
        gap=(plan.objective - bound) / max(plan.objective, 1e-6),  # 0 where nobody is late
        breaches=verify(problem, plan),
        n_violations=len(plan.violations),
    )


def _performance(problem: Problem, plan: Plan, event: slice) -> dict[str, float]:
    """Return work done in the slots of the event, over what full speed does in them."""
    jobs = {job.name: job for job in problem.jobs}
    shares = {}
    for placement in plan.placements:
        job = jobs[placement.job]
        fastest = max(point.work_per_hour for point in job.points)
        done = sum(
            job.point(run.point).work_per_hour
            * max(0, min(run.end_slot, event.stop) - max(run.start_slot, event.start))
            for run in placement.runs
        )
        shares[placement.job] = done / fastest / (event.stop - event.start)
    return shares
