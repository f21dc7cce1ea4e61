"""The policies a plan is measured against, under the same capacity and settled the same way.

A baseline places jobs in order of release, then priority, then position in the problem; each runs
in one piece at the first operating point listed for its site, where GPUs are free and the site's
connection, renewables and generators carry it. Pinned jobs come first: they hold their place
already, whatever the power. Batteries stay idle.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optimizer.dispatch import idle_dispatch, settled_plan
from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import usable_points
from optimizer.placements.priced import EnergyAtPrices, Priced, Window, cheapest_at
from optimizer.plan import Placement, Plan, Rung
from optimizer.problem import Problem
from optimizer.reasons import no_place
from optimizer.room import Room, WhereCarried, by_precedence, in_one_piece
from optimizer.tariffs import import_eur_per_kwh

Floats = NDArray[np.float64]


def run_now(problem: Problem) -> Plan:
    """Return the plan of first come, first served: every job starts as early as it can.

    Among sites where it can start equally early it takes the one that has its data, then the pool
    with most GPUs free while it runs, then the one listed first.
    """

    def rank(job: Job, priced: Priced, room: Room) -> tuple[float, ...]:
        placement = priced.placement
        is_away = job.data is not None and not job.data.is_at(placement.site)
        return (placement.start_slot, is_away, -_mean_free(job, placement, room))

    no_price = np.zeros((len(problem.sites), problem.horizon.n_slots))
    return _place_in_order(problem, no_price, rank, leaves_time=False)


def lowest_window(problem: Problem) -> Plan:
    """Return the plan of a carbon- and price-aware queue: every job waits for its cheapest window.

    It counts what imported energy costs by the operator's own weights, and ignores what queues,
    batteries, solar and peak charges make of it. Jobs that others wait for leave them time.
    """
    pue = np.array([site.pue for site in problem.sites])

    def rank(_: Job, priced: Priced, __: Room) -> tuple[float, ...]:
        return (priced.cost_eur, priced.placement.start_slot)

    prices = import_eur_per_kwh(problem) * pue
    return _place_in_order(problem, prices, rank, leaves_time=True)


BASELINES: dict[str, Callable[[Problem], Plan]] = {
    "run_now": run_now,
    "lowest_window": lowest_window,
}
"""Every policy to compare plans with, by name; plans themselves are told against ``run_now``."""


_Rank = Callable[[Job, Priced, Room], tuple[float, ...]]


def _place_in_order(
    problem: Problem, it_eur_per_kwh: Floats, rank: _Rank, *, leaves_time: bool
) -> Plan:
    room = Room.of(problem)
    placements, left_out = [], []
    for job in by_precedence(problem.jobs, _first_come_first_served):
        windows = room.windows(job)
        # Who starts as early as possible does not look ahead at those who wait for it.
        windows = windows if leaves_time else windows[-1:]
        priced = _best(room, job, windows, it_eur_per_kwh, rank)
        if priced is None:
            left_out.append(no_place(room, in_one_piece(job), default_points(room, job)))
        else:
            room.put(job, priced.placement)
            placements.append(priced.placement)
    flows = idle_dispatch(problem, placements)
    return settled_plan(problem, Rung.BASELINE, placements, left_out, flows)


def _first_come_first_served(job: Job) -> tuple[float, ...]:
    return (job.pin is None, job.release_slot, -job.priority)


def _best(
    room: Room, job: Job, windows: tuple[Window, ...], it_eur_per_kwh: Floats, rank: _Rank
) -> Priced | None:
    prices = EnergyAtPrices(it_eur_per_kwh, room.problem.horizon.slot_hours)
    offer = room.offer(prices if job.pin is not None else WhereCarried(room, prices))
    plain = in_one_piece(job)
    for window in windows:
        found = [
            cheapest_at(room.problem, plain, point, offer, window)
            for point in default_points(room, job)
        ]
        possible = [priced for priced in found if priced is not None]
        if possible:
            return min(possible, key=lambda priced: rank(job, priced, room))
    return None


def default_points(room: Room, job: Job) -> tuple[OperatingPoint, ...]:
    """Return the first usable point of each site in listed order; the pin's, if there is one."""
    points = usable_points(job, room.links, room.problem.horizon.slot_hours)
    if job.pin is not None:
        points = tuple(point for point in points if point.name == job.pin.point)
    first: dict[str, OperatingPoint] = {}
    for point in points:
        first.setdefault(point.site, point)
    return tuple(first.values())


def _mean_free(job: Job, placement: Placement, room: Room) -> float:
    pool = job.point(placement.runs[0].point).pool
    free = room.free_gpus[placement.site, pool]
    return float(free[placement.start_slot : placement.end_slot].mean())
