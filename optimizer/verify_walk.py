"""Verification's own reading of a placement: walked slot by slot, apart from ``optimizer.pieces``.

The planners, the model and the settlement share ``optimizer.pieces``. A mistake there would pass
for the rule itself if verification read it too, so what a placement is is written out here again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.plan import Placement
from optimizer.problem import Problem

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Slots [start, end) without a gap, in one place on the same GPUs; maybe after a restart."""

    start: int
    end: int
    is_restart: bool
    is_carried_over: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """What walking along a placement shows.

    Attributes
    ----------
    done, last
        Work done in all, restarts' losses taken off, and what its last slot does [work].
    least_slots
        Least length of a stretch.
    moving_slots, moving_kw
        Data transfer before the start; ``moving_slots`` is ``None`` where no link leads there.
    """

    stretches: tuple[Stretch, ...]
    done: float
    last: float
    least_slots: int
    moving_slots: int | None
    moving_kw: float


def walk(problem: Problem, job: Job, placement: Placement) -> Walk:
    """Walk along ``placement``, which is well formed."""
    hours = problem.horizon.slot_hours
    points = {slot: job.point(name) for slot, name in placement.slots()}
    stretches = _stretches(job, points)
    open_points = _open_points(problem, job)
    done = sum(point.work_per_hour * hours for point in points.values())
    for stretch in stretches:
        if stretch.is_restart and job.pausing is not None:
            gpus = _gpus(points[stretch.start])
            fastest = max((p.work_per_hour for p in open_points if _gpus(p) == gpus), default=0.0)
            done -= job.pausing.restart_slots * fastest * hours
    needed = [
        max(1, math.ceil(job.work / (point.work_per_hour * hours) - 1e-9))
        for point in open_points or job.points
    ]
    wanted = 1 if job.pausing is None else job.pausing.min_run_slots
    moving_slots, moving_kw = _moving(problem, job, placement.site) or (None, 0.0)
    last = points[max(points)].work_per_hour * hours
    return Walk(stretches, done, last, min(wanted, *needed), moving_slots, moving_kw)


def it_load_and_gpus(
    problem: Problem, placements: Sequence[Placement]
) -> tuple[Floats, dict[tuple[str, str], Floats]]:
    """Return IT load in kW, idle GPUs too [site, slot], and GPUs held by (site, pool) [slot]."""
    n_slots, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    rows = {site.name: row for row, site in enumerate(problem.sites)}
    jobs = {job.name: job for job in problem.jobs}
    load_kw = np.zeros((len(rows), n_slots))
    held = {
        (site.name, pool.name): np.zeros(n_slots) for site in problem.sites for pool in site.pools
    }
    for placement in placements:
        job, row = jobs[placement.job], rows[placement.site]
        seen = walk(problem, job, placement)
        for slot, name in placement.slots():
            point = job.point(name)
            load_kw[row, slot] += point.power_kw
            held[point.site, point.pool][slot] += point.gpus
        for stretch in seen.stretches:
            if stretch.is_restart and job.pausing is not None:
                load_kw[row, stretch.start] += job.pausing.restart_kwh / hours
        first = placement.start_slot
        load_kw[row, max(0, first - (seen.moving_slots or 0)) : first] += seen.moving_kw
    for site in problem.sites:
        for pool in site.pools:
            idle = np.asarray(pool.gpus) - held[site.name, pool.name]
            load_kw[rows[site.name]] += pool.idle_kw_per_gpu * idle
    return load_kw, held


def _gpus(point: OperatingPoint) -> tuple[str, str, int]:
    """Which GPUs a point holds: others mean starting anew."""
    return point.site, point.pool, point.gpus


def _stretches(job: Job, points: dict[int, OperatingPoint]) -> tuple[Stretch, ...]:
    """Cut the slots it runs in where there is a gap, or other GPUs."""
    is_running = job.pin is not None and job.pin.is_running
    begins = [
        slot
        for slot in sorted(points)
        if slot - 1 not in points or _gpus(points[slot - 1]) != _gpus(points[slot])
    ]
    stretches = []
    for start, following in zip(begins, [*begins[1:], max(points) + 1], strict=True):
        n_slots = sum(slot in points for slot in range(start, following))
        is_restart = start > begins[0] or (job.had_started and not is_running)
        stretches.append(Stretch(start, start + n_slots, is_restart, is_running and start == 0))
    return tuple(stretches)


def _open_points(problem: Problem, job: Job) -> list[OperatingPoint]:
    """Points the job may use: where its data can be, and those its pin leaves."""
    reachable = [point for point in job.points if _moving(problem, job, point.site) is not None]
    if job.pin is None:
        return reachable
    held = job.point(job.pin.point)
    if job.is_elastic:
        return [point for point in reachable if point.site == held.site]
    return [point for point in reachable if point is held]


def _moving(problem: Problem, job: Job, site: str) -> tuple[int, float] | None:
    """Slots that moving its data to ``site`` takes, and the power it draws in them [kW].

    ``None`` where no link leads there.
    """
    has_run = job.had_started or (job.pin is not None and job.pin.is_running)
    if job.data is None or has_run or job.data.site == site:
        return 0, 0.0
    left_gb = dict(job.data.left_gb)
    if left_gb.get(site) == 0.0:
        return 0, 0.0
    way, hours = (job.data.site, site), problem.horizon.slot_hours
    link = next((link for link in problem.links if (link.from_site, link.to_site) == way), None)
    if link is None:
        return None
    size_gb = left_gb.get(site, job.data.size_gb)
    n_slots = max(0, math.ceil(size_gb / link.gb_per_hour / hours - 1e-9))
    energy_kwh = size_gb * link.kwh_per_gb
    return n_slots, energy_kwh / (n_slots * hours) if n_slots else 0.0
