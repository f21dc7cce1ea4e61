"""What one job finds at one operating point: where it may start, and what running there costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.pieces import usable_points
from optimizer.placements.priced import EnergyAtPrices, Window
from optimizer.placements.slot_costs import WayCosts, way_to_run
from optimizer.plan import Placement, Run
from optimizer.problem import Problem
from optimizer.room import Room, WhereCarried, in_one_piece
from optimizer.tariffs import import_eur_per_kwh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Chance:
    """One job at one point, in the room that is left.

    Attributes
    ----------
    way
        Its costs by slot of its window, as one that runs without a pause; infinite where there is
        no room.
    eur
        Cost of running in a slot of the horizon [slot], room or not.
    """

    job: Job
    point: OperatingPoint
    way: WayCosts
    eur: Floats

    @property
    def first_slot(self) -> int:
        """First slot of its window."""
        return int(self.way.lo_slot[0])

    @property
    def n_slots(self) -> int:
        """Slots it runs in without a pause."""
        return self.way.rhythm.n_slots

    @property
    def is_free(self) -> Bools:
        """Whether there is room in each slot of its window."""
        free: Bools = np.isfinite(self.way.run_eur[0])
        return free

    @property
    def may_begin(self) -> Bools:
        """Whether it may begin in each slot of its window: its data is there, its pin allows it."""
        may: Bools = np.isfinite(self.way.start_eur[0])
        return may

    def starts(self) -> Ints:
        """Slots of the horizon from which it can run to its end without a pause."""
        can = all_free(self.is_free, self.n_slots)
        can &= self.may_begin[: len(can)]
        can &= np.isfinite(self.way.end_eur[0, self.n_slots : self.n_slots + len(can)])
        found: Ints = np.flatnonzero(can) + self.first_slot
        return found

    def eur_from(self, starts: Ints, n_slots: int) -> Floats:
        """Cost of running for ``n_slots`` from each of ``starts``, room or not.

        Behind the horizon its last price goes on.
        """
        padded = np.pad(self.eur, (0, n_slots), mode="edge")
        sums: Floats = sliding_window_view(padded, n_slots)[starts].sum(axis=1)
        return sums

    def cost_eur(self, starts: Ints, n_slots: int) -> Floats:
        """Return the same, and what it costs to begin there."""
        begin_eur: Floats = self.way.start_eur[0, starts - self.first_slot]
        return self.eur_from(starts, n_slots) + begin_eur

    def placement(self, *pieces: tuple[int, int]) -> Placement:
        """Return it in these pieces: first slot, and the slot after the last."""
        runs = tuple(Run(self.point.name, int(begin), int(end)) for begin, end in pieces)
        return Placement(self.job.name, self.point.site, runs)

    def unbroken(self, start: int) -> Placement:
        """Return it from ``start`` on without a pause."""
        return self.placement((start, start + self.n_slots))

    def expected_slots(self, work: float | None, slot_hours: float) -> int:
        """Slots that ``work`` would take it; ``None``: those it takes."""
        return self.n_slots if work is None else slots_to_do(work, self.point, slot_hours)


def chances(room: Room, job: Job, window: Window, prices: EnergyAtPrices) -> Iterator[Chance]:
    """Yield what ``job`` finds at each of its default points whose window is long enough."""
    problem = room.problem
    offer = room.offer(prices if job.pin is not None else WhereCarried(room, prices))
    for point in default_points(room, job):
        way = way_to_run(problem, in_one_piece(job), point, offer, window)
        if way is not None:
            row = room.row(point.site)
            idle_kw = problem.sites[row].pool(point.pool).idle_kw_per_gpu
            net_kw = point.power_kw - point.gpus * idle_kw
            yield Chance(job, point, way, prices.eur(row, net_kw))


def default_points(room: Room, job: Job) -> tuple[OperatingPoint, ...]:
    """Return the first usable point of each site in listed order; the pin's, if there is one."""
    points = usable_points(job, room.links, room.problem.horizon.slot_hours)
    if job.pin is not None:
        points = tuple(point for point in points if point.name == job.pin.point)
    first: dict[str, OperatingPoint] = {}
    for point in points:
        first.setdefault(point.site, point)
    return tuple(first.values())


def prices_of(problem: Problem) -> EnergyAtPrices:
    """Return what IT energy costs if all of it is imported, weighted, with PUE.

    What queues, batteries, solar and peak charges make of it is not in it.
    """
    pue = np.array([site.pue for site in problem.sites])
    return EnergyAtPrices(import_eur_per_kwh(problem) * pue, problem.horizon.slot_hours)


def all_free(is_free: Bools, n_slots: int) -> Bools:
    """Whether ``n_slots`` slots on end are free, from each slot on from which there are as many."""
    if n_slots > len(is_free):
        return np.zeros(0, dtype=np.bool_)
    taken = np.concatenate([[0], np.cumsum(~is_free)])
    none_taken: Bools = taken[n_slots:] == taken[: len(taken) - n_slots]
    return none_taken
