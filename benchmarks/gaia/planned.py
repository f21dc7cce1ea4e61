"""What the planner makes of GAIA's week under GAIA's rules, told in its ticks.

In one piece it may start at any full five minutes. Paused at will, it plans by the hour: as carbon
intensity is constant within one, what counts is how many ticks of each hour a job runs, and an hour
of which it runs a part is told as an hour at a lower power. All or none of what an hour has for
the job, and one remainder, are enough for every optimum. Jobs do not meet (there is room for all),
so they are planned in groups.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.gaia.week import AMPLE, CARBON_ONLY, TICKS_PER_HOUR, ZONE, GaiaJob
from optimizer import (
    GridConnection,
    Horizon,
    Job,
    OperatingPoint,
    Pausing,
    Placement,
    Plan,
    Pool,
    Problem,
    Run,
    Rung,
    Site,
    SolveLimits,
    require_verified,
    solve,
)

Floats = npt.NDArray[np.float64]

TICKS_PER_STEP = 60
STEPS_PER_HOUR = TICKS_PER_HOUR // TICKS_PER_STEP
UNSERVED_EUR = 1e3  # far above any carbon here
LIMITS = SolveLimits(time_limit_s=120.0, mip_gap=0.0)
JOBS_AT_ONCE = 25


def in_one_piece(jobs: Sequence[GaiaJob], carbon: Floats, limits: SolveLimits) -> list[Placement]:
    """Plan every job in one piece, from a full five minutes on; as placements in ticks."""
    n_hours = -(-max(_last_tick(job) for job in jobs) // TICKS_PER_HOUR)
    series = np.repeat(carbon[:n_hours], STEPS_PER_HOUR)
    n_steps = len(series)
    pool = Pool("cpu", (AMPLE,) * n_steps)
    told = tuple(_in_steps(job) for job in jobs)
    problem = _problem(Horizon(n_steps, 1 / STEPS_PER_HOUR), series, (pool,), told)
    plan = solve(problem, limits, clock=time.process_time)
    by_name = plan.placements_by_job()
    placements = []
    for job in jobs:
        start = by_name[job.name].start_slot * TICKS_PER_STEP
        placements.append(_placement(job, [(start, start + job.length)]))
    return placements


def _in_steps(job: GaiaJob) -> Job:
    """Return the job with its length rounded up, its release up and its last start down."""
    n_steps = -(-job.length // TICKS_PER_STEP)
    release = -(-job.submit // TICKS_PER_STEP)
    last_start = (job.submit + job.wait_hours * TICKS_PER_HOUR) // TICKS_PER_STEP
    point = OperatingPoint("run", ZONE, "cpu", job.cpus, float(job.cpus), STEPS_PER_HOUR)
    return Job(
        job.name,
        work=float(n_steps),
        points=(point,),
        release_slot=release,
        deadline_slot=last_start + n_steps,
        unserved_eur=UNSERVED_EUR,
    )


def paused(jobs: Sequence[GaiaJob], carbon: Floats) -> Iterator[Placement]:
    """Plan every job paused at will, proven optimal; as placements in ticks."""
    for begin in range(0, len(jobs), JOBS_AT_ONCE):
        group = jobs[begin : begin + JOBS_AT_ONCE]
        first = min(job.submit for job in group) // TICKS_PER_HOUR
        end = -(-max(_last_tick(job) for job in group) // TICKS_PER_HOUR)
        rooms = [_room(job, first, end) for job in group]
        pools = tuple(Pool(job.name, tuple(room)) for job, room in zip(group, rooms, strict=True))
        told = tuple(_in_hours(job, room) for job, room in zip(group, rooms, strict=True))
        problem = _problem(Horizon(end - first, 1.0), carbon[first:end], pools, told)
        plan = _proven(problem)
        for job in group:
            yield _in_ticks(job, plan.placements_by_job()[job.name], first)


def _room(job: GaiaJob, first_hour: int, end_hour: int) -> list[float]:
    """Ticks of each hour that the job may run in."""
    hours = np.arange(first_hour, end_hour) * TICKS_PER_HOUR
    until = np.minimum(hours + TICKS_PER_HOUR, _last_tick(job))
    ticks: list[float] = np.maximum(0.0, until - np.maximum(hours, job.submit)).tolist()
    return ticks


def _in_hours(job: GaiaJob, room: Sequence[float]) -> Job:
    """Return the job with a point for each number of ticks that an optimum may have in an hour."""
    there = [hour for hour, ticks in enumerate(room) if ticks > 0.0]
    ends = {int(room[there[0]]), int(room[there[-1]]), 0}
    rests = {
        (job.length - one - other) % TICKS_PER_HOUR
        for one in {0, int(room[there[0]])}
        for other in {0, int(room[there[-1]])}
    }
    counts = sorted((ends | rests | {TICKS_PER_HOUR}) - {0})
    points = tuple(
        OperatingPoint(
            str(ticks),
            ZONE,
            job.name,
            gpus=ticks,
            power_kw=job.cpus * ticks / TICKS_PER_HOUR,
            work_per_hour=float(ticks),
        )
        for ticks in counts
    )
    return Job(
        job.name,
        work=float(job.length),
        points=points,
        release_slot=there[0],
        deadline_slot=there[-1] + 1,
        unserved_eur=UNSERVED_EUR,
        pausing=Pausing(),
        is_elastic=True,
    )


def _in_ticks(job: GaiaJob, placement: Placement, first_hour: int) -> Placement:
    """Tell ticks of hours as ticks on end: from the begin of the hour, or of what is left of it."""
    pieces: list[tuple[int, int]] = []
    for slot, point in placement.slots():
        begin = max((first_hour + slot) * TICKS_PER_HOUR, job.submit)
        end = begin + int(point)
        if pieces and pieces[-1][1] == begin:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((begin, end))
    return _placement(job, pieces)


def _proven(problem: Problem) -> Plan:
    plan = solve(problem, LIMITS)
    require_verified(problem, plan)
    if plan.rung is not Rung.EXACT:
        raise RuntimeError(f"a group of {len(problem.jobs)} jobs: {plan.rung}, must be proven")
    return plan


def _problem(
    horizon: Horizon,
    carbon: npt.NDArray[np.float64],
    pools: tuple[Pool, ...],
    jobs: tuple[Job, ...],
) -> Problem:
    nothing, ample = (0.0,) * horizon.n_slots, (AMPLE,) * horizon.n_slots
    grid = GridConnection(ample, nothing, nothing, nothing, nothing, tuple(carbon.tolist()))
    site = Site(ZONE, pools, grid, (1.0,) * horizon.n_slots, nothing)
    return Problem(horizon, (site,), jobs, weights=CARBON_ONLY)


def _last_tick(job: GaiaJob) -> int:
    return job.submit + job.length + job.wait_hours * TICKS_PER_HOUR


def _placement(job: GaiaJob, pieces: Sequence[tuple[int, int]]) -> Placement:
    return Placement(job.name, ZONE, tuple(Run("run", begin, end) for begin, end in pieces))
