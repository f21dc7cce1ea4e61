"""The ways one job may run: where, from when to when, at which points, after which data transfer.

Plain Python, shared by everything that turns a job into variables or prices it. A way that cannot
be is left out; ``optimizer.reasons`` says what stands against a job that has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.checks import Series
from optimizer.horizon import Horizon
from optimizer.jobs import Job, OperatingPoint, Pin
from optimizer.pieces import (
    Links,
    Transfer,
    links_of,
    slots_needed,
    transfer_to,
    usable_points,
)
from optimizer.problem import Problem


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of a problem a job's ways depend on: time, links, GPUs, and which jobs others await."""

    horizon: Horizon
    links: Links
    gpus: Mapping[tuple[str, str], Series]
    awaited: frozenset[str]

    @classmethod
    def of(cls, problem: Problem) -> Surroundings:
        """Take them from ``problem``."""
        gpus = {(site.name, pool.name): pool.gpus for site in problem.sites for pool in site.pools}
        awaited = frozenset(name for job in problem.jobs for name in job.after)
        return cls(problem.horizon, links_of(problem), gpus, awaited)

    def has_gpus(self, point: OperatingPoint, slot: int) -> bool:
        """Whether the pool of ``point`` is large enough for it in ``slot``."""
        return self.gpus[point.site, point.pool][slot] >= point.gpus - 1e-9


@dataclass(frozen=True, slots=True)
class Way:
    """Points a job may change between while it runs, and the slots it may run in.

    One point, unless the job is elastic: then the points of a site, or of one configuration where
    it cannot pause. ``pinned_slots`` are the slots it must run in at ``Job.pin.point``.
    """

    site: str
    points: tuple[OperatingPoint, ...]
    first_slot: int
    end_slot: int
    transfer: Transfer
    pinned_slots: range

    @property
    def has_one_rate(self) -> bool:
        """Whether all its points are equally fast: then its length is known."""
        return len({point.work_per_hour for point in self.points}) == 1

    @property
    def fastest(self) -> OperatingPoint:
        """The point that does most work per hour."""
        return max(self.points, key=lambda point: point.work_per_hour)


def ways_of(job: Job, around: Surroundings) -> tuple[Way, ...]:
    """Every way of ``job`` that nothing structural stands against."""
    return tuple(way for way in _all_ways(job, around) if _is_possible(job, way, around))


def free_slots(job: Job, way: Way, point: OperatingPoint, around: Surroundings) -> list[int]:
    """Slots of ``way`` in which ``job`` may run at ``point``: GPUs are there and no pin forbids."""
    is_pinned_point = job.pin is not None and job.pin.point == point.name
    return [
        t
        for t in range(way.first_slot, way.end_slot)
        if around.has_gpus(point, t) and (is_pinned_point or t not in way.pinned_slots)
    ]


def shortest_run(job: Job, way: Way, around: Surroundings) -> int:
    """Fewest slots ``job`` needs in this way, a restart it begins with included."""
    hours = around.horizon.slot_hours
    return min(slots_needed(job, point, 0, around.links, hours) for point in way.points)


def _hours(around: Surroundings) -> float:
    return around.horizon.slot_hours


def _all_ways(job: Job, around: Surroundings) -> tuple[Way, ...]:
    """Group the usable points into ways and give each its window."""
    groups: dict[object, list[OperatingPoint]] = {}
    for point in usable_points(job, around.links, _hours(around)):
        key: object = point.name
        if job.is_elastic:
            key = point.site if job.pausing is not None else point.configuration
        groups.setdefault(key, []).append(point)
    ways = [_way(job, tuple(points), around) for points in groups.values()]
    if job.pin is not None:
        ways = [way for way in ways if job.pin.point in {point.name for point in way.points}]
    return tuple(ways)


def _way(job: Job, points: tuple[OperatingPoint, ...], around: Surroundings) -> Way:
    site = points[0].site
    transfer = transfer_to(job, site, around.links, _hours(around))
    if transfer is None:
        raise AssertionError("a usable point lies at a site its data can reach")
    first = job.release_slot + transfer.n_slots
    pinned = range(0)
    end = min(job.deadline_slot, around.horizon.n_slots)
    if job.pin is not None:
        pinned = _pinned_slots(job, around)
        first = max(first, job.pin.start_slot)
        if _needed_from_pin(job, job.pin, around) <= job.pin.n_slots:
            end = min(end, pinned.stop)  # finished within its pin: no slot after it
    return Way(site, points, first, end, transfer, pinned)


def _pinned_slots(job: Job, around: Surroundings) -> range:
    """Slots of the pin, cut where the job is finished."""
    if job.pin is None:
        return range(0)
    n_slots = min(job.pin.n_slots, _needed_from_pin(job, job.pin, around))
    return range(job.pin.start_slot, job.pin.start_slot + n_slots)


def _needed_from_pin(job: Job, pin: Pin, around: Surroundings) -> int:
    """Slots the job takes if it stays at its pinned point."""
    return slots_needed(job, job.point(pin.point), 0, around.links, _hours(around))


def _is_possible(job: Job, way: Way, around: Surroundings) -> bool:
    """Whether the job could run in this way if all others were out of its way."""
    needed = shortest_run(job, way, around)
    if way.end_slot - way.first_slot < needed or not _keeps_pin(job, way, around):
        return False
    slots = sorted({t for point in way.points for t in free_slots(job, way, point, around)})
    return (len(slots) if job.pausing is not None else _longest_run(slots)) >= needed


def _keeps_pin(job: Job, way: Way, around: Surroundings) -> bool:
    """Whether window and GPUs allow what is pinned."""
    if job.pin is None:
        return True
    point = job.point(job.pin.point)
    is_in_window = way.first_slot <= job.pin.start_slot and way.pinned_slots.stop <= way.end_slot
    return is_in_window and all(around.has_gpus(point, t) for t in way.pinned_slots)


def _longest_run(slots: list[int]) -> int:
    longest = length = 0
    previous = None
    for t in slots:
        length = length + 1 if previous is not None and t == previous + 1 else 1
        longest, previous = max(longest, length), t
    return longest
