"""From a compiled master to the best integer point: prove, search, prove on.

The three runs share one time limit. The bound is the best any of them proved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from optimizer.master import Master
from optimizer.progress import OnProgress, Progress, SolveLimits, relative_gap
from optimizer.solving.highs import Floats, Solution, StandardForm, Watch, run_highs
from optimizer.solving.neighbourhood import Found, Integers, improve

FIRST_PROOF_SHARE = 0.25
SEARCH_SHARE = 0.6  # of what the first proof left
LEAST_SECONDS = 0.1


def solve_integers(
    master: Master,
    form: StandardForm,
    limits: SolveLimits,
    relaxation: Solution,
    on_progress: OnProgress | None,
) -> Solution:
    """Solve the MIP of ``master`` from the values its integer variables hold, if they hold any."""
    left_s = max(LEAST_SECONDS, limits.time_limit_s - relaxation.seconds)
    first_s = left_s * FIRST_PROOF_SHARE
    start = form.start_values()
    first = _prove(form, limits, start, first_s, relaxation.seconds, on_progress)
    first = _with_bound(first, relaxation.bound, limits)
    if first.is_proven or first.was_stopped:
        return first
    spent_s = relaxation.seconds + first.seconds
    left_s = max(LEAST_SECONDS, limits.time_limit_s - spent_s)
    if first.values is None and start is not None:
        first = _at(form, start, first)
    if first.values is None:
        last = _prove(form, limits, None, left_s, spent_s, on_progress)
        return _with_bound(last, first.bound, limits)
    found = _search(master, form, limits, first, left_s, spent_s, on_progress)
    better = replace(first, values=found.values, objective=found.objective)
    better = replace(_with_bound(better, first.bound, limits), was_stopped=found.was_stopped)
    if better.is_proven or better.was_stopped:
        return better
    spent_s += found.seconds
    left_s = max(LEAST_SECONDS, limits.time_limit_s - spent_s)
    start = np.round(found.values[form.is_integer])
    last = _prove(form, limits, start, left_s, spent_s, on_progress)
    if last.values is None or found.objective < last.objective:
        last = replace(last, values=found.values, objective=found.objective)
    return _with_bound(last, first.bound, limits)


def _at(form: StandardForm, start: Floats, first: Solution) -> Solution:
    """Give ``first`` the flows that are best at the integers it was to start from."""
    values = np.zeros(len(form.variables))
    values[form.is_integer] = start
    flows = run_highs(form.fixed_at(values), {})
    return replace(first, values=flows.values, objective=flows.objective)


def _with_bound(solution: Solution, other: float | None, limits: SolveLimits) -> Solution:
    """Take the better of two bounds; what it leaves of the gap says whether all is proven."""
    bounds = [bound for bound in (solution.bound, other) if bound is not None]
    bound = max(bounds) if bounds else None
    return replace(solution, bound=bound, is_proven=_is_proven(solution, bound, limits))


def _is_proven(solution: Solution, bound: float | None, limits: SolveLimits) -> bool:
    gap = relative_gap(solution.objective, bound)
    is_within = gap is not None and gap <= limits.mip_gap
    return solution.values is not None and (solution.is_proven or is_within)


def watch_as(phase: str, before_s: float, on_progress: OnProgress | None) -> Watch | None:
    """Return what tells ``on_progress`` of a run of HiGHS that starts at ``before_s``."""
    if on_progress is None:
        return None

    def watch(seconds: float, best: float | None, bound: float | None) -> bool:
        return on_progress(Progress(phase, before_s + seconds, best, bound))

    return watch


def _prove(
    form: StandardForm,
    limits: SolveLimits,
    start: Floats | None,
    time_limit_s: float,
    before_s: float,
    on_progress: OnProgress | None,
) -> Solution:
    options = {
        "time_limit": time_limit_s,
        "mip_rel_gap": limits.mip_gap,
        "random_seed": limits.seed,
    }
    return run_highs(form, options, start=start, watch=watch_as("prove", before_s, on_progress))


def _search(
    master: Master,
    form: StandardForm,
    limits: SolveLimits,
    first: Solution,
    left_s: float,
    before_s: float,
    on_progress: OnProgress | None,
) -> Found:
    """Improve the point of ``first`` until its bound proves it good enough, or time is up."""
    if first.values is None:
        raise ValueError("a search needs a feasible point to start from")

    def goes_on(seconds: float, best: float) -> bool:
        progress = Progress("search", before_s + seconds, best, first.bound)
        return on_progress is None or on_progress(progress)

    def is_good_enough(objective: float) -> bool:
        gap = relative_gap(objective, first.bound)
        return gap is not None and gap <= limits.mip_gap

    return improve(
        form,
        columns_by_job(master, form),
        lambda values: _centre_of_job(master, form, values),
        Found(first.values, first.objective, 0.0),
        time_limit_s=left_s * SEARCH_SHARE,
        is_good_enough=is_good_enough,
        seed=limits.seed,
        goes_on=goes_on,
    )


def columns_by_job(master: Master, form: StandardForm) -> Integers:
    """Return the job each column of the model belongs to [column], -1 for columns of sites."""
    number = {id(master.model.job[job.job]): k for k, job in enumerate(master.jobs)}

    def job_of(block: Any) -> int:
        while block is not None and id(block) not in number:
            block = block.parent_block()
        return -1 if block is None else number[id(block)]

    return np.array([job_of(variable.parent_block()) for variable in form.variables])


def _centre_of_job(master: Master, form: StandardForm, values: Floats) -> Floats:
    """Middle of every job's placement [job], in slots; of its window where it has none."""
    form.load(values)
    placed = [job.read() for job in master.jobs]
    return np.array(
        [
            (job.release_slot + job.deadline_slot) / 2
            if placement is None
            else (placement.start_slot + placement.end_slot) / 2
            for job, placement in zip(master.problem.jobs, placed, strict=True)
        ]
    )
