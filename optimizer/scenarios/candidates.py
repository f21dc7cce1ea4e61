"""Every start of a job in one piece, as arrays: what is compared with the place it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
    begins_with_restart,
    slots_needed,
    transfer_to,
    usable_points,
)
from optimizer.placements.slot_costs import Window
from optimizer.plan import Placement, Run
from optimizer.problem import Problem
from optimizer.room import Room, added_it_kw
from optimizer.settlement import Floats, is_churned, own_costs

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Places of one job at one site, all of ``n_slots`` slots.

    Attributes
    ----------
    runs
        How it runs in each [candidate].
    start_slot
        [candidate].
    it_kw
        What each adds to the IT load, net of idle GPUs [candidate, slot].
    own_eur
        Weighted cost of each apart from energy: restarts, transfer, lateness, churn [candidate].
    """

    job: str
    site: str
    n_slots: int
    runs: tuple[tuple[Run, ...], ...]
    start_slot: Integers
    it_kw: Floats
    own_eur: Floats

    def placement(self, k: int) -> Placement:
        """Return candidate ``k``."""
        return Placement(self.job, self.site, self.runs[k])


def one_of(problem: Problem, room: Room, job: Job, placed: Placement) -> Candidates:
    """Return ``placed`` as the only candidate."""
    n_slots = sum(run.end_slot - run.start_slot for run in placed.runs)
    return Candidates(
        job.name,
        placed.site,
        n_slots,
        (placed.runs,),
        np.array([placed.start_slot]),
        added_it_kw(problem, job, placed, room.links)[None, :],
        np.array([_own_eur(problem, room, job, placed)]),
    )


def candidates_at(problem: Problem, room: Room, job: Job, window: Window) -> Iterator[Candidates]:
    """Yield all places in ``window`` that ``room`` has for ``job``, in one piece, by its points."""
    hours = problem.horizon.slot_hours
    for point in usable_points(job, room.links, hours):
        transfer = transfer_to(job, point.site, room.links, hours)
        n_moving = 0 if transfer is None else transfer.n_slots
        n_slots = slots_needed(job, point, 0, room.links, hours)
        first = max(window.start_slot, job.release_slot + n_moving)
        last = min(window.end_slot, job.deadline_slot, problem.horizon.n_slots) - n_slots
        starts = np.arange(first, last + 1)
        if not len(starts):
            continue
        moving_kw = 0.0 if transfer is None else transfer.it_kw
        it_kw = _added_kw(problem, job, point, starts, n_slots, (n_moving, moving_kw))
        fits = _has_gpus(room, point, starts, n_slots) & _is_carried(room, point.site, it_kw)
        starts, it_kw = starts[fits], it_kw[fits]
        runs = tuple((Run(point.name, int(t), int(t) + n_slots),) for t in starts)
        places = [Placement(job.name, point.site, one) for one in runs]
        own = np.array([_own_eur(problem, room, job, placed) for placed in places])
        if len(starts):
            yield Candidates(job.name, point.site, n_slots, runs, starts, it_kw, own)


def _added_kw(
    problem: Problem,
    job: Job,
    point: OperatingPoint,
    starts: Integers,
    n_slots: int,
    moving: tuple[int, float],
) -> Floats:
    """Return what each start adds to the IT load [candidate, slot]."""
    idle_kw = problem.site(point.site).pool(point.pool).idle_kw_per_gpu
    slots = np.arange(problem.horizon.n_slots)
    after = slots - starts[:, None]
    n_moving, moving_kw = moving
    added = np.zeros(after.shape)
    added[(after >= 0) & (after < n_slots)] = point.power_kw - point.gpus * idle_kw
    added[(after < 0) & (after >= -n_moving)] = moving_kw
    if job.pausing is not None and begins_with_restart(job):
        added[after == 0] += job.pausing.restart_kwh / problem.horizon.slot_hours
    return added


def _has_gpus(room: Room, point: OperatingPoint, starts: Integers, n_slots: int) -> Bools:
    free = room.free_gpus[point.site, point.pool] >= point.gpus - 1e-9
    windows: Bools = np.lib.stride_tricks.sliding_window_view(free, n_slots)
    fits: Bools = np.logical_and.reduce(windows, axis=1)
    return fits[starts]


def _is_carried(room: Room, site: str, it_kw: Floats) -> Bools:
    row = room.row(site)
    spare = room.supply_it_kw[row] - room.it_load_kw[row]
    fits: Bools = ((it_kw <= spare + 1e-9) | (it_kw <= 0.0)).all(axis=1)
    return fits


def _own_eur(problem: Problem, room: Room, job: Job, placed: Placement) -> float:
    own = own_costs(job, placed, room.links, problem.horizon.slot_hours)
    churn = problem.weights.churn_eur_per_job * is_churned(job, placed)
    return own.weighted_eur(problem.weights) + churn
