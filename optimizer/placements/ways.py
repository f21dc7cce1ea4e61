"""The ways one job may run: where, from when to when, at which points, after which data transfer.

Plain Python, shared by everything that turns a job into variables or prices it. A way that cannot
be is left out; ``why_none`` says what stood against each, and by how much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.checks import Series
from optimizer.horizon import Horizon
from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.pieces import (
    Links,
    Transfer,
    begins_with_restart,
    links_of,
    lost_per_restart,
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
    return tuple(way for way in _all_ways(job, around) if _obstacle(job, way, around) is None)


def why_none(job: Job, around: Surroundings) -> str | None:
    """Say what stands against each way of a job that has none; ``None`` if it has one."""
    ways = _all_ways(job, around)
    obstacles = [_obstacle(job, way, around) for way in ways]
    if None in obstacles:
        return None
    reachable = {point.site for point in usable_points(job, around.links, _hours(around))}
    for site in job.sites:
        is_allowed = job.pin is None or job.point(job.pin.point).site == site
        if site not in reachable and is_allowed and job.data is not None:
            obstacles.append(
                f"site {site}: no link from {job.data.site}, where its"
                f" {job.data.size_gb:g} GB of input lie"
            )
    return "; ".join(dict.fromkeys(text for text in obstacles if text is not None))


def free_slots(job: Job, way: Way, point: OperatingPoint, around: Surroundings) -> list[int]:
    """Slots of ``way`` in which ``job`` may run at ``point``: GPUs are there and no pin forbids."""
    is_pinned_point = job.pin is not None and job.pin.point == point.name
    return [
        t
        for t in range(way.first_slot, way.end_slot)
        if around.has_gpus(point, t) and (is_pinned_point or t not in way.pinned_slots)
    ]


def least_slots(job: Job, way: Way, around: Surroundings) -> int:
    """Fewest slots ``job`` needs in this way, a restart it begins with included."""
    return min(_slots_from_start(job, point, around) for point in way.points)


def _slots_from_start(job: Job, point: OperatingPoint, around: Surroundings) -> int:
    """Slots the job takes at ``point`` in one piece, a restart it begins with included."""
    work, hours = job.work, around.horizon.slot_hours
    if begins_with_restart(job):
        work += lost_per_restart(job, point.configuration, around.links, hours)
    return slots_to_do(work, point, hours)


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
    if job.pin is not None:
        pinned = _pinned_slots(job, around)
        first = max(first, job.pin.start_slot)
    end = min(job.deadline_slot, around.horizon.n_slots)
    return Way(site, points, first, end, transfer, pinned)


def _pinned_slots(job: Job, around: Surroundings) -> range:
    """Slots of the pin, cut where the job is finished."""
    if job.pin is None:
        return range(0)
    point = job.point(job.pin.point)
    n_slots = min(job.pin.n_slots, _slots_from_start(job, point, around))
    return range(job.pin.start_slot, job.pin.start_slot + n_slots)


def _obstacle(job: Job, way: Way, around: Surroundings) -> str | None:
    """Say what makes a way impossible whatever the other jobs do; ``None`` if nothing does."""
    return (
        _pin_obstacle(job, way, around)
        or _window_obstacle(job, way, around)
        or _pool_obstacle(job, way, around)
    )


def _pin_obstacle(job: Job, way: Way, around: Surroundings) -> str | None:
    if job.pin is None:
        return None
    if way.first_slot > job.pin.start_slot:
        return (
            f"site {way.site}: pinned to start in slot {job.pin.start_slot}, but may not start"
            f" before slot {way.first_slot} ({way.first_slot - job.pin.start_slot} slots later)"
        )
    if way.pinned_slots.stop > way.end_slot:
        return (
            f"site {way.site}: pinned until slot {way.pinned_slots.stop}, but its window ends at"
            f" slot {way.end_slot} ({way.pinned_slots.stop - way.end_slot} slots earlier)"
        )
    point = job.point(job.pin.point)
    short = [t for t in way.pinned_slots if not around.has_gpus(point, t)]
    if short:
        has = around.gpus[point.site, point.pool][short[0]]
        return (
            f"pool {point.site}/{point.pool}: pinned at {point.gpus} GPUs, but has {has:g} in slot"
            f" {short[0]} ({point.gpus - has:g} short)"
        )
    return None


def _window_obstacle(job: Job, way: Way, around: Surroundings) -> str | None:
    needed = least_slots(job, way, around)
    window = max(0, way.end_slot - way.first_slot)
    if window >= needed:
        return None
    moved = f" after {way.transfer.n_slots} slots of data transfer" if way.transfer.n_slots else ""
    return (
        f"point {way.fastest.name}: window of {window} slots{moved} < {needed} slots needed"
        f" ({needed - window} short)"
    )


def _pool_obstacle(job: Job, way: Way, around: Surroundings) -> str | None:
    needed = least_slots(job, way, around)
    usable = [point for point in way.points if free_slots(job, way, point, around)]
    if not usable:
        point = min(way.points, key=lambda option: option.gpus)
        window = around.gpus[point.site, point.pool][way.first_slot : way.end_slot]
        return (
            f"pool {point.site}/{point.pool}: at most {max(window):g} GPUs in its window"
            f" < {point.gpus} needed ({point.gpus - max(window):g} short)"
        )
    slots = sorted({t for point in usable for t in free_slots(job, way, point, around)})
    if job.pausing is None:
        longest = _longest_run(slots)
        if longest < needed:
            return (
                f"point {usable[0].name}: enough GPUs for {longest} slots in a row < {needed}"
                f" slots needed ({needed - longest} short)"
            )
    elif len(slots) < needed:
        return (
            f"point {usable[0].name}: enough GPUs in {len(slots)} slots < {needed} slots needed"
            f" ({needed - len(slots)} short)"
        )
    return None


def _longest_run(slots: list[int]) -> int:
    longest = length = 0
    previous = None
    for t in slots:
        length = length + 1 if previous is not None and t == previous + 1 else 1
        longest, previous = max(longest, length), t
    return longest
