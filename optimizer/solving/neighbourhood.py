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

from optimizer.solving.highs import Floats, StandardForm, run_highs

FIRST_FREED = 8
FEWEST_FREED = 4
SUB_GAP = 1e-3
SUB_NODES = 200
SUB_TIME_LIMIT_S = 3.0
QUICK_SHARE = 0.25  # of the sub time limit: solved faster than this, free more next time
LEAST_GAIN = 1e-7  # relative

Integers = NDArray[np.int64]
OnBetter = Callable[[float, float], bool]
"""Called after every step with seconds spent and best objective; False stops the search."""


@dataclass(frozen=True, slots=True)
class Found:
    """Best values found, their objective, and the solver seconds it took."""

    values: Floats
    objective: float
    seconds: float


def improve(
    form: StandardForm,
    job_of_column: Integers,
    centre_of_job: Callable[[Floats], Floats],
    start: Found,
    *,
    time_limit_s: float,
    good_enough: float,
    seed: int,
    on_step: OnBetter,
) -> Found:
    """Improve ``start`` until nothing near any job gets better, or time is up.

    Parameters
    ----------
    job_of_column
        Job of each column [column]; -1 for columns of sites, which are always free.
    centre_of_job
        Gives the middle of each job's placement [job], in slots, at given column values.
    good_enough
        Objective at which to stop.
    """
    rng = np.random.default_rng(seed)
    jobs = np.unique(job_of_column[job_of_column >= 0])
    best, n_freed, untried = start, min(FIRST_FREED, len(jobs)), rng.permutation(jobs)
    while len(untried) and best.seconds < time_limit_s and best.objective > good_enough:
        freed = _close_to(untried[0], jobs, centre_of_job(best.values), n_freed)
        limit_s = min(SUB_TIME_LIMIT_S, time_limit_s - best.seconds)
        found, is_solved = _reoptimise(form, job_of_column, freed, best, limit_s, seed)
        took_s = found.seconds - best.seconds
        n_freed = _next_size(n_freed, len(jobs), is_solved, took_s)
        is_better = found.objective < best.objective - LEAST_GAIN * max(1.0, abs(best.objective))
        untried = rng.permutation(jobs) if is_better else untried[1:]
        best = found if is_better else replace(best, seconds=found.seconds)
        if not on_step(best.seconds, best.objective):
            break
    return best


def _close_to(job: int, jobs: Integers, centre: Floats, n: int) -> Integers:
    distance = np.abs(centre[jobs] - centre[job])
    return jobs[np.argsort(distance, kind="stable")[:n]]


def _next_size(n_freed: int, n_jobs: int, is_solved: bool, took_s: float) -> int:
    if not is_solved:
        return min(n_jobs, max(FEWEST_FREED, n_freed - 1))
    return min(n_jobs, n_freed + 1) if took_s < QUICK_SHARE * SUB_TIME_LIMIT_S else n_freed


def _reoptimise(
    form: StandardForm,
    job_of_column: Integers,
    freed: Integers,
    best: Found,
    time_limit_s: float,
    seed: int,
) -> tuple[Found, bool]:
    """Solve with all but the ``freed`` jobs kept; say whether HiGHS proved its answer."""
    rounded = np.round(best.values)
    kept = form.is_integer & (job_of_column >= 0) & ~np.isin(job_of_column, freed)
    sub = replace(
        form,
        lower=np.where(kept, rounded, form.lower),
        upper=np.where(kept, rounded, form.upper),
    )
    options = {
        "time_limit": time_limit_s,
        "mip_rel_gap": SUB_GAP,
        "mip_max_nodes": SUB_NODES,
        "random_seed": seed,
    }
    solution = run_highs(sub, options, start=rounded[form.is_integer])
    seconds = best.seconds + solution.seconds
    if solution.values is None:
        return replace(best, seconds=seconds), False
    return Found(solution.values, solution.objective, seconds), solution.is_proven
