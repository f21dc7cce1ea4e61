"""From a compiled master to the best integer point: prove, search, prove on.

The three runs share one time limit. The bound is the best any of them proved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from optimizer.master import Master
from optimizer.progress import OnProgress, Progress, SolveLimits
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
    if first.is_proven or first.was_stopped:
        return first
    spent_s = relaxation.seconds + first.seconds
    left_s = max(LEAST_SECONDS, limits.time_limit_s - spent_s)
    if first.values is None:
        return _prove(form, limits, None, left_s, spent_s, on_progress)
    better, was_stopped = _search(master, form, limits, first, left_s, spent_s, on_progress)
    if was_stopped:
        return replace(first, values=better.values, objective=better.objective, was_stopped=True)
    spent_s += better.seconds
    left_s = max(LEAST_SECONDS, limits.time_limit_s - spent_s)
    start = np.round(better.values[form.is_integer])
    last = _prove(form, limits, start, left_s, spent_s, on_progress)
    return _best_of(first, better, last)


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
) -> tuple[Found, bool]:
    """Improve the point of ``first``; say whether ``on_progress`` stopped the search."""
    if first.values is None:
        raise ValueError("a search needs a feasible point to start from")
    bound = -np.inf if first.bound is None else first.bound
    was_stopped = False

    def on_step(seconds: float, best: float) -> bool:
        nonlocal was_stopped
        if on_progress is not None:
            was_stopped = not on_progress(Progress("search", before_s + seconds, best, first.bound))
        return not was_stopped

    better = improve(
        form,
        _job_of_column(master, form),
        lambda values: _centre_of_job(master, form, values),
        Found(first.values, first.objective, 0.0),
        time_limit_s=left_s * SEARCH_SHARE,
        good_enough=bound + limits.mip_gap * abs(bound),
        seed=limits.seed,
        on_step=on_step,
    )
    return better, was_stopped


def _best_of(first: Solution, better: Found, last: Solution) -> Solution:
    bounds = [bound for bound in (first.bound, last.bound) if bound is not None]
    bound = max(bounds) if bounds else None
    if last.values is None or better.objective < last.objective:
        last = replace(last, values=better.values, objective=better.objective, is_proven=False)
    return replace(last, bound=bound)


def _job_of_column(master: Master, form: StandardForm) -> Integers:
    """Job each column belongs to [column], -1 for columns of sites."""
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
