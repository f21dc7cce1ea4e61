"""Jobs placed one after another, in what the ones before left; and who does not wait at all.

Pinned jobs come first: they hold their place already, whatever the power.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimizer.baselines.chances import Chance, chances, default_points, prices_of
from optimizer.dispatch import idle_dispatch, settled_plan
from optimizer.jobs import Job
from optimizer.placements.priced import EnergyCost, Priced, Window, cheapest_at
from optimizer.plan import Placement, Plan, Rung
from optimizer.problem import Problem
from optimizer.reasons import no_place
from optimizer.room import EarlyOrLate, PoolKey, Room, WhereCarried, by_precedence, in_one_piece

Floats = NDArray[np.float64]

Policy = Callable[[Problem], Plan]
"""Decides where and when every job of a problem runs."""

Place = Callable[[Room, Job, Window], Placement | None]
"""Where a policy puts one job within a window, given the room; ``None`` where it has no place."""


def run_now(problem: Problem) -> Plan:
    """Return the plan of first come, first served: every job starts as early as it can.

    Later jobs fill what earlier ones leave (backfill), at no cost to those. Among sites where it
    can start equally early a job takes the one that has its data, then the pool with most GPUs free
    while it runs, then the one listed first. It runs in one piece at its default point.
    """

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        ranked = [
            (*_rank(room, chance, int(starts[0])), order, chance.unbroken(int(starts[0])))
            for order, chance in enumerate(chances(room, job, window, prices))
            if len(starts := chance.starts())
        ]
        return min(ranked, key=lambda one: one[:-1])[-1] if ranked else None

    prices = prices_of(problem)
    return place_in_order(problem, place, leaves_time=False)


def _rank(room: Room, chance: Chance, start: int) -> tuple[int, bool, float]:
    """When it starts, whether its data lies elsewhere, and how full the pool is while it runs."""
    job, point = chance.job, chance.point
    free = room.free_gpus[point.site, point.pool][start : start + chance.n_slots]
    is_away = job.data is not None and not job.data.is_at(point.site)
    return start, is_away, -float(free.mean())


def place_in_order(problem: Problem, place: Place, *, leaves_time: bool = True) -> Plan:
    """Let ``place`` put every job in turn, and settle the plan that comes of it.

    Parameters
    ----------
    leaves_time
        Whether jobs are first offered the window that leaves time for those that wait for them.
    """
    room = Room.of(problem)
    placements, left_out = [], []
    for job in by_precedence(problem.jobs, _first_come_first_served):
        windows = room.windows(job)
        # Who starts as early as possible does not look ahead at those who wait for it.
        windows = windows if leaves_time else windows[-1:]
        found = (place(room, job, window) for window in windows)
        placement = next((one for one in found if one is not None), None)
        if placement is None:
            left_out.append(no_place(room, in_one_piece(job), default_points(room, job)))
        else:
            room.put(job, placement)
            placements.append(placement)
    flows = idle_dispatch(problem, placements)
    return settled_plan(problem, Rung.BASELINE, placements, left_out, flows)


def _first_come_first_served(job: Job) -> tuple[float, ...]:
    return (job.pin is None, job.release_slot, -job.priority)


def cheapest_by(
    room: Room,
    job: Job,
    window: Window,
    cost: EnergyCost,
    gpu_eur_per_gpu_hour: Mapping[PoolKey, Floats] | None = None,
) -> list[Priced]:
    """Return the cheapest placement of ``job`` at each default point where it has one.

    It may pause as the job may; lateness and what was announced do not count. GPUs cost nothing
    where they have no price.
    """
    plain = replace(job, due_slot=None, announced=None)
    offer = room.offer(cost if job.pin is not None else WhereCarried(room, cost))
    if gpu_eur_per_gpu_hour is not None:
        offer = replace(offer, gpu_eur_per_gpu_hour=gpu_eur_per_gpu_hour)
    found = [
        cheapest_at(room.problem, plain, point, offer, window)
        for point in default_points(room, job)
    ]
    return [priced for priced in found if priced is not None]


def earliest(room: Room, job: Job, window: Window) -> Placement | None:
    """Return the placement that is done first: what is left to a job that waited in vain."""
    soon = EarlyOrLate(room.problem.horizon.n_slots, is_late=False)
    placements = [priced.placement for priced in cheapest_by(room, job, window, soon)]
    return min(placements, key=lambda one: (one.end_slot, one.start_slot), default=None)
