"""Neighbourhood search: free a few jobs, keep the others where they are, solve, keep the better.

HiGHS proves bounds well and finds good plans slowly; this finds them fast and proves nothing. Every
sub-problem is the same standard form with the columns of the other jobs fixed, so whatever holds in
the master holds in the answer; batteries, generators and flows are always free.

Jobs freed together are those that lie close in time to one chosen at random: they compete for the
same GPUs and the same cheap hours. The number freed adapts to what HiGHS solves at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.solving.highs import Floats, Solution, StandardForm, Watch, run_highs

FIRST_FREED = 8
FEWEST_FREED = 4
SUB_GAP = 1e-3
SUB_NODES = 200
SUB_TIME_LIMIT_S = 3.0
QUICK_NODES = 1  # solved in no more than this: free more next time
LEAST_GAIN = 1e-7  # relative

Integers = NDArray[np.int64]
GoesOn = Callable[[float, float], bool]
"""Called now and then with seconds spent and best objective; False stops the search."""


@dataclass(frozen=True, slots=True)
class Found:
    """Best values found, their objective, solver seconds spent, and whether it was stopped."""

    values: Floats
    objective: float
    seconds: float
    was_stopped: bool = False


def improve(
    form: StandardForm,
    job_of_column: Integers,
    centre_of_job: Callable[[Floats], Floats],
    start: Found,
    *,
    time_limit_s: float,
    is_good_enough: Callable[[float], bool],
    seed: int,
    goes_on: GoesOn,
) -> Found:
    """Improve ``start`` until nothing near any job gets better, or time is up.

    Parameters
    ----------
    job_of_column
        Job of each column [column]; -1 for columns of sites, which are always free.
    centre_of_job
        Gives the middle of each job's placement [job], in slots, at given column values.
    is_good_enough
        Says of an objective whether to stop there.
    """
    rng = np.random.default_rng(seed)
    jobs = np.unique(job_of_column[job_of_column >= 0])
    best, n_freed, untried = start, min(FIRST_FREED, len(jobs)), rng.permutation(jobs)
    while len(untried) and best.seconds < time_limit_s and not is_good_enough(best.objective):
        freed = _close_to(untried[0], jobs, centre_of_job(best.values), n_freed)
        sub = _with_others_kept(form, job_of_column, freed, best.values)
        options = {
            "time_limit": min(SUB_TIME_LIMIT_S, time_limit_s - best.seconds),
            "mip_rel_gap": SUB_GAP,
            "mip_max_nodes": SUB_NODES,
            "random_seed": seed,
        }
        solution = run_highs(
            sub,
            options,
            start=np.round(best.values[form.is_integer]),
            watch=_watch_from(best, goes_on),
        )
        n_freed = _next_size(n_freed, len(jobs), solution)
        seconds = best.seconds + solution.seconds
        if _is_better(solution, best) and solution.values is not None:
            best = Found(solution.values, solution.objective, seconds)
            untried = rng.permutation(jobs)
        else:
            best = replace(best, seconds=seconds)
            untried = untried[1:]
        if solution.was_stopped or not goes_on(best.seconds, best.objective):
            return replace(best, was_stopped=True)
    return best


def _close_to(job: int, jobs: Integers, centre: Floats, n: int) -> Integers:
    distance = np.abs(centre[jobs] - centre[job])
    return jobs[np.argsort(distance, kind="stable")[:n]]


def _next_size(n_freed: int, n_jobs: int, solution: Solution) -> int:
    if not solution.is_proven:
        return min(n_jobs, max(FEWEST_FREED, n_freed - 1))
    return min(n_jobs, n_freed + 1) if solution.nodes <= QUICK_NODES else n_freed


def _is_better(solution: Solution, best: Found) -> bool:
    least_gain = LEAST_GAIN * max(1.0, abs(best.objective))
    return solution.values is not None and solution.objective < best.objective - least_gain


def _watch_from(best: Found, goes_on: GoesOn) -> Watch:
    return lambda seconds, _best, _bound: goes_on(best.seconds + seconds, best.objective)


def _with_others_kept(
    form: StandardForm, job_of_column: Integers, freed: Integers, values: Floats
) -> StandardForm:
    """Return ``form`` with the integers of all but the ``freed`` jobs kept at ``values``."""
    rounded = np.round(values)
    kept = form.is_integer & (job_of_column >= 0) & ~np.isin(job_of_column, freed)
    return replace(
        form,
        lower=np.where(kept, rounded, form.lower),
        upper=np.where(kept, rounded, form.upper),
    )
