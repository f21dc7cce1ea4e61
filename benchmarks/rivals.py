"""What the optimiser is compared with, on the same instance and in the same time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pyomo.common.gc_manager import PauseGC

from benchmarks.apart import Tell, Unmeasurable
from benchmarks.draws import Size
from benchmarks.found import Found, Place
from benchmarks.instances import drawn
from benchmarks.wording import number
from optimizer import Placement, Plan, Problem, baselines, greedy
from optimizer.master import build_master
from optimizer.solving.highs import compile_model, run_highs


def pyomo_milp(tell: Tell, size: Size, time_limit_s: float) -> Found:
    """Give the time-indexed MILP of all placements to HiGHS, building it included in the time.

    Raises
    ------
    Unmeasurable
        The time was up before HiGHS began, or it found nothing.
    """
    problem = drawn(size)
    began = time.monotonic()
    tell("building the model")
    with PauseGC():
        master = build_master(problem)
        tell("compiling the model")
        form = compile_model(master.model)
    built_s = time.monotonic() - began
    n_rows, n_columns = form.matrix.shape
    note = f"{number(n_columns)} variables, {number(n_rows)} rows, built in {built_s:.0f} s"
    if built_s >= time_limit_s:
        raise Unmeasurable(f"no time left to solve: {note}")
    tell(f"solving ({note})")
    solution = run_highs(form, {"time_limit": time_limit_s - built_s})
    if solution.values is None:
        raise Unmeasurable(f"no plan found: {solution.status}, {note}")
    seconds = time.monotonic() - began
    form.load(solution.values)
    read = [terms.read() for terms in master.jobs]
    return Found(
        places=_places(problem, (placement for placement in read if placement is not None)),
        own_eur=solution.objective,
        bound_eur=solution.bound,
        seconds=seconds,
        note=note,
    )


def at_grid_prices(tell: Tell, size: Size, _: float) -> Found:
    """Let every job wait for its window of least grid prices, first come, first served."""
    return _of_policy(tell, size, baselines.lowest_window)


def at_marginal_cost(tell: Tell, size: Size, _: float) -> Found:
    """Place jobs one by one where they add least to what the sites pay."""
    return _of_policy(tell, size, greedy)


def _of_policy(tell: Tell, size: Size, policy: Callable[[Problem], Plan]) -> Found:
    problem = drawn(size)
    tell("placing jobs")
    began = time.monotonic()
    plan = policy(problem)
    seconds = time.monotonic() - began
    return Found(_places(problem, plan.placements), plan.objective, None, seconds)


def _places(problem: Problem, placements: Iterable[Placement]) -> tuple[Place | None, ...]:
    row_of = {site.name: row for row, site in enumerate(problem.sites)}
    place_of = {
        placement.job: (row_of[placement.site], tuple(slot for slot, _ in placement.slots()))
        for placement in placements
    }
    return tuple(place_of.get(job.name) for job in problem.jobs)
