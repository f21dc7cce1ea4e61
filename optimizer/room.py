"""What is still free while jobs are placed one after another."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job
from optimizer.pieces import Links, links_of, slots_needed, usable_points
from optimizer.placements.priced import Offer, Window
from optimizer.placements.slot_costs import EnergyCost
from optimizer.plan import Placement, SlotPrices
from optimizer.problem import Problem
from optimizer.settlement import add_it_load, it_load_kw

Floats = NDArray[np.float64]
PoolKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Room:
    """GPUs and power that are left. Its arrays shrink as placements are put in.

    Attributes
    ----------
    free_gpus
        By (site, pool), there [slot].
    it_load_kw
        IT load so far, idle GPUs included [site, slot].
    supply_it_kw
        IT load that connection, renewables and generators together can carry [site, slot].
    ends
        Slot by whose start each served job is done.
    latest_ends
        Slot by whose start each job must be done, so that those after it can still be.
    """

    problem: Problem
    free_gpus: dict[PoolKey, Floats]
    it_load_kw: Floats
    supply_it_kw: Floats
    ends: dict[str, int]
    latest_ends: dict[str, int]
    links: Links

    @classmethod
    def of(cls, problem: Problem) -> Room:
        """Everything is free."""
        free = {
            (site.name, pool.name): np.array(pool.gpus)
            for site in problem.sites
            for pool in site.pools
        }
        supply = np.array([_supply_it_kw(problem, row) for row in range(len(problem.sites))])
        return cls(
            problem,
            free,
            it_load_kw(problem, ()),
            supply,
            {},
            latest_ends(problem),
            links_of(problem),
        )

    @classmethod
    def filled(cls, problem: Problem, placements: Iterable[Placement]) -> Room:
        """Everything is free but what ``placements`` take."""
        room = cls.of(problem)
        jobs = {job.name: job for job in problem.jobs}
        for placement in placements:
            room.put(jobs[placement.job], placement)
        return room

    def put(self, job: Job, placement: Placement, sign: int = 1) -> None:
        """Let ``placement`` take its GPUs and power; with ``sign`` -1, give them back."""
        for run in placement.runs:
            point = job.point(run.point)
            free = self.free_gpus[point.site, point.pool]
            free[run.start_slot : run.end_slot] -= sign * point.gpus
        added = added_it_kw(self.problem, job, placement, self.links)
        self.it_load_kw[self.row(placement.site)] += sign * added
        if sign > 0:
            self.ends[job.name] = placement.end_slot
        else:
            del self.ends[job.name]

    def row(self, site: str) -> int:
        """Index of the site called ``site``."""
        return next(row for row, known in enumerate(self.problem.sites) if known.name == site)

    def carries(self, site: int, it_kw: float) -> NDArray[np.bool_]:
        """Where the site of this index can draw ``it_kw`` more IT load [slot]."""
        spare = self.supply_it_kw[site] - self.it_load_kw[site]
        can: NDArray[np.bool_] = (spare >= it_kw - 1e-9) | (it_kw <= 0.0)
        return can

    def windows(self, job: Job) -> tuple[Window, ...]:
        """Slots ``job`` may run in, given those before it; none if one of them is unserved.

        First those that leave time for the jobs after it, then, if they differ, all.
        """
        if any(name not in self.ends for name in job.after):
            return ()
        earliest = max((self.ends[name] for name in job.after), default=0)
        own = Window(earliest, job.deadline_slot)
        kind = Window(earliest, self.latest_ends[job.name])
        is_own = kind.end_slot >= min(job.deadline_slot, self.problem.horizon.n_slots)
        return (own,) if is_own else (kind, own)

    def offer(self, energy: EnergyCost) -> Offer:
        """Return what is free, with this cost of energy and GPUs for nothing."""
        free_of_charge = np.zeros(self.problem.horizon.n_slots)
        gpus = dict.fromkeys(self.free_gpus, free_of_charge)
        return Offer(energy, gpus, self.free_gpus, self.links)


@dataclass(frozen=True, slots=True)
class WhereCarried:
    """Energy at ``cost``, where the site has the power left; else infinite."""

    room: Room
    cost: EnergyCost

    def eur(self, site: int, it_kw: float) -> Floats:
        """Cost of ``it_kw`` more IT load at the site of this index [slot]."""
        return np.where(self.room.carries(site, it_kw), self.cost.eur(site, it_kw), np.inf)


@dataclass(frozen=True, slots=True)
class EarlyOrLate:
    """Energy at a cost that rises, or falls, from slot to slot, whatever is drawn."""

    n_slots: int
    is_late: bool

    def eur(self, _site: int, _it_kw: float) -> Floats:
        """Cost of any load at any site [slot]."""
        slots = np.arange(self.n_slots, dtype=np.float64)
        return -slots if self.is_late else slots


def in_one_piece(job: Job) -> Job:
    """Return ``job`` as one that neither pauses nor minds when it is done."""
    pausing = job.pausing if job.pausing is None else replace(job.pausing, max_pauses=0)
    return replace(job, pausing=pausing, due_slot=None, announced=None)


def added_it_kw(problem: Problem, job: Job, placement: Placement, links: Links) -> Floats:
    """Return what ``placement`` adds to the IT load of its site [slot], net of idle GPUs."""
    added = np.zeros(problem.horizon.n_slots)
    add_it_load(added, job, placement, links, problem.horizon.slot_hours)
    for run in placement.runs:
        point = job.point(run.point)
        idle_kw = problem.site(point.site).pool(point.pool).idle_kw_per_gpu
        added[run.start_slot : run.end_slot] -= point.gpus * idle_kw
    return added


def gpu_prices_of(problem: Problem, prices: SlotPrices) -> dict[PoolKey, Floats]:
    """GPU prices [EUR/GPU-hour] by (site, pool), there [slot]."""
    return {
        (site.name, pool.name): np.asarray(values)
        for site, pools in zip(problem.sites, prices.gpu_eur_per_gpu_hour, strict=True)
        for pool, values in zip(site.pools, pools, strict=True)
    }


def _supply_it_kw(problem: Problem, row: int) -> Floats:
    site = problem.sites[row]
    supply = np.asarray(site.grid.import_limit_kw) - np.asarray(site.base_load_kw)
    supply = supply + sum(generator.max_kw for generator in site.generators)
    for plant in site.renewables:
        supply = supply + np.asarray(plant.available_kw)
    it_kw: Floats = supply / np.asarray(site.pue)
    return it_kw


def least_slots(problem: Problem, job: Job, links: Links) -> int:
    """Fewest slots ``job`` can run in; 1 where it has no usable point."""
    hours = problem.horizon.slot_hours
    points = usable_points(job, links, hours)
    return min((slots_needed(job, point, 0, links, hours) for point in points), default=1)


def latest_ends(problem: Problem) -> dict[str, int]:
    """Deadlines, earlier where a job that comes after needs the time at its fastest."""
    links = links_of(problem)
    ends = {job.name: min(job.deadline_slot, problem.horizon.n_slots) for job in problem.jobs}
    for job in reversed(by_precedence(problem.jobs, lambda _: ())):
        for before in job.after:
            latest_start = ends[job.name] - least_slots(problem, job, links)
            ends[before] = min(ends[before], latest_start)
    return ends


def by_precedence(jobs: Sequence[Job], rank: Callable[[Job], tuple[float, ...]]) -> list[Job]:
    """Order ``jobs`` by ``rank``, but none before one it comes after; ties keep their order."""
    keyed = {job.name: (rank(job), position) for position, job in enumerate(jobs)}
    waits_for = {job.name: len(job.after) for job in jobs}
    followers: dict[str, list[Job]] = {}
    for job in jobs:
        for before in job.after:
            followers.setdefault(before, []).append(job)
    ready = [keyed[job.name] for job in jobs if not job.after]
    heapq.heapify(ready)
    ordered: list[Job] = []
    while ready:
        _, position = heapq.heappop(ready)
        ordered.append(jobs[position])
        for follower in followers.get(jobs[position].name, ()):
            waits_for[follower.name] -= 1
            if not waits_for[follower.name]:
                heapq.heappush(ready, keyed[follower.name])
    return ordered
