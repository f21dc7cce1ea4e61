"""Verification, second part: every rule of a placement, and the GPUs of every pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from optimizer.breach import Breach
from optimizer.jobs import Job
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.verify_walk import Walk, it_load_and_gpus, walk

WORK_TOLERANCE = 1e-6
"""Work that may be missing, relative above 1."""


def job_breaches(problem: Problem, plan: Plan) -> tuple[Breach, ...]:
    """Rules of ``plan``'s placements that are broken; the plan is known to be well formed."""
    jobs = {job.name: job for job in problem.jobs}
    served = {placement.job: placement for placement in plan.placements}
    broken: list[Breach] = []
    for placement in plan.placements:
        job = jobs[placement.job]
        broken += _window(job, placement, problem.horizon.n_slots)
        for simple_rule in (_site, _one_point, _pin):
            broken += simple_rule(job, placement)
        walked = walk(problem, job, placement)
        for rule in (_pauses, _work, _min_run, _data):
            broken += rule(job, placement, walked)
        broken += _precedence(job, placement, served)
    broken += _deferred(plan, jobs)
    broken += _gpus(problem, plan)
    return tuple(broken)


def _window(job: Job, placement: Placement, n_slots: int) -> Iterator[Breach]:
    owner = f"job {job.name}"
    early = job.release_slot - placement.start_slot
    late = placement.end_slot - min(job.deadline_slot, n_slots)
    if early > 0:
        yield Breach(owner, "release", placement.start_slot, float(early), "slots")
    if late > 0:
        yield Breach(owner, "deadline", placement.end_slot - late, float(late), "slots")


def _site(job: Job, placement: Placement) -> Iterator[Breach]:
    for run in placement.runs:
        if job.point(run.point).site != placement.site:
            yield Breach(f"job {job.name}", "one_site", run.start_slot, 1.0, "run elsewhere")


def _one_point(job: Job, placement: Placement) -> Iterator[Breach]:
    n_points = len({run.point for run in placement.runs})
    if not job.is_elastic and n_points > 1:
        extra = float(n_points - 1)
        yield Breach(f"job {job.name}", "one_operating_point", None, extra, "points")


def _pauses(job: Job, _: Placement, walked: Walk) -> Iterator[Breach]:
    n_pauses = len(walked.stretches) - 1
    if job.pausing is None:
        if n_pauses:
            yield Breach(f"job {job.name}", "contiguous", None, float(n_pauses), "pauses")
    elif job.pausing.max_pauses is not None and n_pauses > job.pausing.max_pauses:
        extra = float(n_pauses - job.pausing.max_pauses)
        yield Breach(f"job {job.name}", "max_pauses", None, extra, "pauses")


def _work(job: Job, placement: Placement, walked: Walk) -> Iterator[Breach]:
    """Refuse a job that is not complete, or whose last slot it does not need."""
    owner, done, last = f"job {job.name}", walked.done, walked.last
    if done < job.work - WORK_TOLERANCE * max(1.0, job.work):
        yield Breach(owner, "work", None, job.work - done, "work not done")
    # Slots are counted with a hair of rounding (``slots_to_do``), so the last one has a hair too.
    if done - last >= job.work - 1e-9 * last:
        yield Breach(owner, "work_beyond", placement.end_slot - 1, done - last - job.work, "work")


def _min_run(job: Job, _: Placement, walked: Walk) -> Iterator[Breach]:
    if job.pausing is None:
        return
    for stretch in walked.stretches:
        n_slots = stretch.end - stretch.start
        if n_slots < walked.least_slots and not stretch.is_carried_over:
            short = float(walked.least_slots - n_slots)
            yield Breach(f"job {job.name}", "min_run", stretch.start, short, "slots")
        if stretch.is_restart and n_slots <= job.pausing.restart_slots:
            short = float(job.pausing.restart_slots + 1 - n_slots)
            yield Breach(f"job {job.name}", "restart_length", stretch.start, short, "slots")


def _pin(job: Job, placement: Placement) -> Iterator[Breach]:
    """Refuse a start other than the pin's, and leaving it before it or the job ends."""
    if job.pin is None:
        return
    pin, owner = job.pin, f"job {job.name}"
    if placement.start_slot != pin.start_slot:
        off = float(abs(placement.start_slot - pin.start_slot))
        yield Breach(owner, "pin", placement.start_slot, off, "slots")
    point_in = dict(placement.slots())
    for slot in range(pin.start_slot, min(pin.start_slot + pin.n_slots, placement.end_slot)):
        if point_in.get(slot) != pin.point:
            yield Breach(owner, "pin", slot, 1.0, "slots")
            return


def _data(job: Job, placement: Placement, walked: Walk) -> Iterator[Breach]:
    owner = f"job {job.name}"
    if walked.moving_slots is None:
        yield Breach(owner, "data_link", None, 1.0, f"link to {placement.site} missing")
    elif walked.moving_slots:
        late = job.release_slot + walked.moving_slots - placement.start_slot
        if late > 0:
            yield Breach(owner, "data_transfer", placement.start_slot, float(late), "slots")


def _precedence(
    job: Job, placement: Placement, served: Mapping[str, Placement]
) -> Iterator[Breach]:
    owner = f"job {job.name}"
    for name in job.after:
        if name not in served:
            yield Breach(owner, "precedence", None, 1.0, f"job before it ({name}) unserved")
        elif served[name].end_slot > placement.start_slot:
            early = float(served[name].end_slot - placement.start_slot)
            yield Breach(owner, "precedence", placement.start_slot, early, "slots")


def _deferred(plan: Plan, jobs: Mapping[str, Job]) -> Iterator[Breach]:
    for unserved in plan.unserved:
        if unserved.is_deferred != jobs[unserved.job].can_wait:
            yield Breach(f"job {unserved.job}", "deferred", None, 1.0, "job named wrongly")


def _gpus(problem: Problem, plan: Plan) -> Iterator[Breach]:
    _, used = it_load_and_gpus(problem, plan.placements)
    for site in problem.sites:
        for pool in site.pools:
            over = used[site.name, pool.name] - np.asarray(pool.gpus)
            for slot in np.flatnonzero(over > 1e-9):
                owner = f"pool {site.name}/{pool.name}"
                yield Breach(owner, "gpus", int(slot), float(over[slot]), "GPUs")
