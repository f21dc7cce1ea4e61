"""The exact solve: build the master, solve its relaxation for prices, then the MIP, then tidy up.

HiGHS proves easy problems at once. What is not proven after a share of the time gets a search of
neighbourhoods, which finds good plans sooner, and HiGHS proves on from the best of them.

The last step fixes every integer and solves the LP that is left, so that flows are clean to the
tolerance of the LP; the bound is the MIP's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from pyomo.common.gc_manager import PauseGC

from optimizer.errors import SolverFailed
from optimizer.master import Master, build_master
from optimizer.plan import Plan, Rung, SlotPrices
from optimizer.problem import Problem
from optimizer.progress import OnProgress, Progress, SolveLimits
from optimizer.reasons import reasons_left_out
from optimizer.settlement import settle
from optimizer.solving.greedy import greedy
from optimizer.solving.highs import Solution, StandardForm, compile_model, run_highs
from optimizer.solving.integers import solve_integers, watch_as

BOUND_TOLERANCE = 1e-4  # relative: the tolerances of HiGHS times costs of unlike size
LITTLE_MORE = 1e-3
"""Load [kW] and GPUs by which the relaxation asks for one more."""


def solve_exact(
    problem: Problem, limits: SolveLimits, start: Plan | None, on_progress: OnProgress | None
) -> Plan:
    """Solve ``problem`` to the gap or time of ``limits``, from ``start`` if there is one.

    The time limit is HiGHS's: building the model comes on top.

    Raises
    ------
    SolverFailed
        No plan was found in time, or HiGHS failed.
    """
    if on_progress is not None and not on_progress(Progress("build", 0.0)):
        raise SolverFailed("stopped before the model was built")
    # Hundreds of thousands of live terms: collecting garbage meanwhile takes half of the time.
    with PauseGC():
        master = build_master(problem)
        form = compile_model(master.model)
    # The relaxation may take half of the time: without prices a plan is still a plan.
    relaxation = _solve_relaxation(master, form, limits, on_progress)
    if relaxation.was_stopped:
        raise SolverFailed("stopped before a plan was found")
    prices = _slot_prices(master, form, relaxation) if relaxation.is_proven else None
    start = _better_start(problem, start, prices)
    if start is not None:
        set_start(master, start)
    solution = solve_integers(master, form, limits, relaxation, on_progress)
    if solution.values is None:
        raise SolverFailed(f"HiGHS found no plan in {limits.time_limit_s:g} s: {solution.status}")
    tidy = run_highs(form.fixed_at(solution.values), {"random_seed": limits.seed})
    is_tidy = tidy.values is not None and tidy.is_proven
    final = tidy if is_tidy else solution
    if final.values is None:
        raise SolverFailed("HiGHS lost its plan at fixed integers")
    form.load(final.values)
    rung = Rung.EXACT if solution.is_proven else Rung.BEST_FOUND
    return _plan(master, rung, final.objective, solution.bound, prices)


def _solve_relaxation(
    master: Master, form: StandardForm, limits: SolveLimits, on_progress: OnProgress | None
) -> Solution:
    """Solve the LP relaxation with one more of everything; its bound is the bound without.

    Duals stay feasible when only right-hand sides change, so what they charge for the change is
    taken off the objective again.
    """
    relaxed = form.relaxed()
    shifted = _one_more(master, relaxed)
    relaxation = run_highs(
        shifted,
        {"time_limit": 0.5 * limits.time_limit_s, "random_seed": limits.seed},
        watch=watch_as("relax", 0.0, on_progress),
    )
    if relaxation.bound is None:
        return relaxation
    moved = np.isfinite(relaxed.row_upper)
    shift = shifted.row_upper[moved] - relaxed.row_upper[moved]
    charged = float(relaxation.row_duals[moved] @ shift)
    return replace(relaxation, bound=relaxation.bound - charged)


def _one_more(master: Master, form: StandardForm) -> StandardForm:
    """Return ``form`` with a little more IT load in every slot and a little less of every pool.

    Where nothing runs, or a pool is exactly full, duals are anything between the price of one less
    and of one more; this makes them the price of one more.
    """
    lower, upper = form.row_lower.copy(), form.row_upper.copy()
    for constraint in master.model.job_power.values():
        row = form.row(constraint)
        lower[row] += LITTLE_MORE
        upper[row] += LITTLE_MORE
    for constraint in master.model.pool_gpus.values():
        upper[form.row(constraint)] -= LITTLE_MORE
    return replace(form, row_lower=lower, row_upper=upper)


def _better_start(problem: Problem, start: Plan | None, prices: SlotPrices | None) -> Plan | None:
    """Return the cheaper of ``start`` and the greedy plan at the prices of the relaxation."""
    if prices is None:
        return start
    guided = greedy(problem, prices)
    return guided if start is None or guided.objective < start.objective else start


def set_start(master: Master, plan: Plan) -> None:
    """Give the binaries of ``master`` the values of ``plan``."""
    placed = {placement.job: placement for placement in plan.placements}
    for job in master.jobs:
        job.set_start(placed.get(job.job))
    master.set_flows(plan.flows)


def _slot_prices(master: Master, form: StandardForm, relaxation: Solution) -> SlotPrices:
    hours = master.problem.horizon.slot_hours
    slots = range(master.problem.horizon.n_slots)

    def dual(constraint: Any, index: tuple[Any, ...]) -> float:
        row = form.row(constraint[index]) if index in constraint else None
        return 0.0 if row is None else float(relaxation.row_duals[row])

    power, gpus = master.model.job_power, master.model.pool_gpus
    return SlotPrices(
        it_eur_per_kwh=tuple(
            tuple(dual(power, (site.name, t)) / hours for t in slots)
            for site in master.problem.sites
        ),
        gpu_eur_per_gpu_hour=tuple(
            tuple(
                tuple(max(0.0, -dual(gpus, (site.name, pool.name, t))) / hours for t in slots)
                for pool in site.pools
            )
            for site in master.problem.sites
        ),
    )


def _plan(
    master: Master, rung: Rung, objective: float, bound: float | None, prices: SlotPrices | None
) -> Plan:
    if bound is not None and bound > objective + BOUND_TOLERANCE * max(1.0, abs(objective)):
        raise SolverFailed(f"HiGHS proved a bound of {bound:g} above its plan's {objective:g}")
    found = [job.read() for job in master.jobs]
    placements = tuple(placement for placement in found if placement is not None)
    flows = tuple(site.read_flows() for site in master.sites)
    settlement = settle(master.problem, placements, flows)
    return Plan(
        rung=rung,
        placements=placements,
        unserved=reasons_left_out(master.problem, placements, prices),
        flows=flows,
        terms=settlement.terms,
        violations=settlement.violations,
        objective=objective,
        bound=None if bound is None else min(bound, objective),
        prices=prices,
    )
