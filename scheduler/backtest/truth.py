"""A past told as a problem and a plan of it: in steps of the world, of true signals and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from optimizer import (
    Job,
    Pausing,
    Placement,
    Plan,
    Pool,
    Problem,
    Run,
    Rung,
    Site,
    StorageFlows,
    Unserved,
    dispatch,
    pieces_of,
    restarts_of,
    settled_plan,
)
from scheduler.backtest.world import (
    STEP,
    Past,
    PastPower,
    PastRun,
    Scene,
    TrueJob,
    World,
    gpus_down,
)
from scheduler.db.models import JobStatus
from scheduler.services.assemble import Assembled, JobToPlan, assemble
from scheduler.services.window import PlanWindow

Floats = npt.NDArray[np.float64]
STEP_MINUTES = int(STEP / timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Told:
    """A past as a plan of a problem, whose jobs have the length and operating points they had.

    Attributes
    ----------
    late
        Jobs that were done after their deadline.
    unfinished
        Jobs of which something was done, but not all.
    """

    problem: Problem
    plan: Plan
    late: tuple[str, ...]
    unfinished: tuple[str, ...]


def true_problem(scene: Scene, signals: pd.DataFrame) -> Problem:
    """Return the whole scene as one problem in steps, of what truly came.

    Raises
    ------
    InputRefused
        A price or carbon intensity is missing, and for its time of day on all days before.
    ValueError
        A job cannot be told in steps; says why.
    """
    return assembled_truth(scene, signals).problem


def assembled_truth(scene: Scene, signals: pd.DataFrame) -> Assembled:
    """Return the same with the marks of its signals; raises as ``true_problem`` does."""
    n_steps = (scene.end - scene.begin) // STEP
    window = PlanWindow(scene.begin, STEP_MINUTES, n_steps)
    jobs = [_as_it_truly_is(job) for job in scene.jobs]
    notices = [call.notice for call in scene.calls]
    assembled = assemble(scene.fleet, jobs, signals, notices, window, now=scene.end)
    left_out = [mark for mark in assembled.marks if mark.startswith("job ")]
    if left_out or assembled.cut_jobs:
        raise ValueError(f"of {len(left_out)} jobs not all can be told: {left_out[:3]}")
    return replace(assembled, problem=_with_failures(assembled.problem, scene, window))


def _with_failures(problem: Problem, scene: Scene, window: PlanWindow) -> Problem:
    """Take away the GPUs that were gone, from the step on in which they failed."""
    if not scene.failures:
        return problem
    gone = {
        (site.name, pool.name): np.zeros(window.n_slots)
        for site in problem.sites
        for pool in site.pools
    }
    changes = sorted(
        {scene.begin}
        | {
            at
            for failure in scene.failures
            for at in (failure.start_at, failure.end_at)
            if scene.begin < at < scene.end
        }
    )
    for start, end in pairwise((*changes, scene.end)):
        part = slice(window.slot_of(start), window.slot_not_before(end))
        for key, count in gpus_down(scene.failures, start).items():
            gone[key][part] = count

    def as_it_was(site: Site, pool: Pool) -> Pool:
        return replace(
            pool, gpus=tuple((np.asarray(pool.gpus) - gone[site.name, pool.name]).tolist())
        )

    sites = tuple(
        replace(site, pools=tuple(as_it_was(site, pool) for pool in site.pools))
        for site in problem.sites
    )
    return replace(problem, sites=sites)


def told(problem: Problem, scene: Scene, past: Past, last: World) -> Told:
    """Tell ``past``, and what runs at its end, in terms of the ``true_problem`` of the scene."""
    runs: dict[str, list[PastRun]] = {}
    for run in (*past.runs, *_still_running(last)):
        runs.setdefault(run.job, []).append(run)
    window = PlanWindow(scene.begin, STEP_MINUTES, problem.horizon.n_slots)
    succeeded = {end.job for end in past.ends if end.status is JobStatus.SUCCEEDED}
    unlucky = {loss.job for loss in past.losses}
    jobs, placements, unserved, late = [], [], [], []
    for job in problem.jobs:
        if job.name not in runs:
            jobs.append(job)
            unserved.append(Unserved(job.name, "it was never started"))
            continue
        placement = _placement(runs[job.name], window)
        placements.append(placement)
        is_whole = job.name in succeeded and job.name not in unlucky
        was_struck = job.name in unlucky
        jobs.append(_as_it_was(job, placement, problem, is_whole=is_whole, was_struck=was_struck))
        if placement.end_slot > job.deadline_slot:
            late.append(job.name)
    whole = replace(problem, jobs=tuple(jobs))
    storage = {site.name: _storage(site, past.powers, scene) for site in problem.sites}
    flows = dispatch(whole, placements, storage)
    plan = settled_plan(whole, Rung.LAST_PLAN, placements, unserved, flows)
    unfinished = tuple(name for name in runs if name not in succeeded)
    return Told(whole, plan, tuple(late), unfinished)


def _as_it_truly_is(job: TrueJob) -> JobToPlan:
    """Return a job nothing was done of, with its true length and without wishes of its planner."""
    spec = job.spec.model_copy(update={"work_hours": job.true_work_hours})
    return JobToPlan(spec, job.true_work_hours)


def _as_it_was(
    job: Job, placement: Placement, problem: Problem, *, is_whole: bool, was_struck: bool
) -> Job:
    """Return ``job`` with what bound its plan but not the world left out.

    Plans keep minimum runs and deadlines; a world in which jobs take other times than stated may
    not, which is counted and no breach. Work of one that was never done, or that was done twice
    for GPUs that failed, is what its runs did.
    """
    used = {run.point for run in placement.runs}
    pausing = job.pausing or (Pausing() if was_struck else None)
    if pausing is not None:
        pausing = replace(pausing, min_run_slots=1, max_pauses=None)
    done = replace(
        job,
        points=tuple(point for point in job.points if point.name in used),
        deadline_slot=max(job.deadline_slot, placement.end_slot),
        pausing=pausing,
        is_elastic=len(used) > 1,
    )
    return done if is_whole else replace(done, work=_work_of(done, placement, problem))


def _work_of(job: Job, placement: Placement, problem: Problem) -> float:
    hours = problem.horizon.slot_hours
    worked = sum(
        job.point(run.point).work_per_hour * hours * (run.end_slot - run.start_slot)
        for run in placement.runs
    )
    lost = 0.0
    if job.pausing is not None:
        fastest = max(point.work_per_hour for point in job.points)
        n_restarts = len(restarts_of(job, pieces_of(job, placement)))
        lost = n_restarts * job.pausing.restart_slots * fastest * hours
    return max(worked - lost, 1e-6)


def _still_running(world: World) -> Iterable[PastRun]:
    for job in world.jobs:
        if job.site and job.point and job.begun_at is not None and job.begun_at < world.now:
            yield PastRun(job.true.spec.name, job.site, job.point, job.begun_at, world.now)


def _placement(runs: Sequence[PastRun], window: PlanWindow) -> Placement:
    site = runs[0].site
    ordered = sorted(runs, key=lambda run: run.start_at)
    in_slots = tuple(
        Run(f"{site}/{run.point}", window.slot_of(run.start_at), window.slot_of(run.end_at))
        for run in ordered
    )
    return Placement(runs[0].job, site, in_slots)


def _storage(site: Site, powers: Sequence[PastPower], scene: Scene) -> StorageFlows:
    """Lay what the batteries of a site did on the steps of the scene."""
    shape = len(site.storage), (scene.end - scene.begin) // STEP
    charge, discharge = np.zeros(shape), np.zeros(shape)
    rows: Mapping[str, int] = {unit.name: row for row, unit in enumerate(site.storage)}
    for power in powers:
        if power.site != site.name:
            continue
        first = (power.start_at - scene.begin) // STEP
        skipped = max(0, -first)
        part = slice(max(0, first), first + len(power.charge_kw))
        charge[rows[power.battery], part] = power.charge_kw[skipped:]
        discharge[rows[power.battery], part] = power.discharge_kw[skipped:]
    hours = STEP / timedelta(hours=1)
    efficiency_in = np.array([[unit.charge_efficiency] for unit in site.storage])
    efficiency_out = np.array([[unit.discharge_efficiency] for unit in site.storage])
    initial = np.array([[unit.soc_initial_kwh] for unit in site.storage])
    if not site.storage:
        return StorageFlows(charge, discharge, np.zeros(shape))
    change = hours * (efficiency_in * charge - discharge / efficiency_out)
    return StorageFlows(charge, discharge, initial + np.cumsum(change, axis=1))
