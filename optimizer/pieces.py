"""What a placement means: its pieces and restarts, its data transfer, and the work it must do.

A *piece* is a maximal chain of adjacent runs of one ``OperatingPoint.configuration``. Every piece
but the first begins with a restart; so does the first of a job that stands paused. A piece that a
running job goes on with begins with nothing.

Settlement, the heuristics and the model read these rules here; verification has its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.plan import Placement
from optimizer.problem import Link, Problem

Configuration = tuple[str, str, int]
Links = Mapping[tuple[str, str], Link]


@dataclass(frozen=True, slots=True)
class Piece:
    """A job in one configuration, without a gap, in [start_slot, end_slot)."""

    configuration: Configuration
    start_slot: int
    end_slot: int

    @property
    def n_slots(self) -> int:
        """Its length."""
        return self.end_slot - self.start_slot


@dataclass(frozen=True, slots=True)
class Transfer:
    """Moving a job's input data to where it runs, in the slots directly before its first start.

    ``it_kw`` is drawn at the destination in each of ``n_slots`` slots; ``eur`` is paid once.
    """

    n_slots: int
    it_kw: float
    eur: float


NO_TRANSFER = Transfer(0, 0.0, 0.0)


def links_of(problem: Problem) -> Links:
    """Links by (from, to)."""
    return {(link.from_site, link.to_site): link for link in problem.links}


def transfer_to(job: Job, site: str, links: Links, slot_hours: float) -> Transfer | None:
    """Return what must be moved before ``job`` starts at ``site``; ``None`` if no link goes there.

    A job that runs or ran before the horizon has its data with it; what of it was moved already is
    neither moved nor paid again.
    """
    has_its_data = job.had_started or (job.pin is not None and job.pin.is_running)
    if job.data is None or job.data.is_at(site) or has_its_data:
        return NO_TRANSFER
    link = links.get((job.data.site, site))
    if link is None:
        return None
    to_move_gb = job.data.to_move_gb(site)
    n_slots = math.ceil(to_move_gb / link.gb_per_hour / slot_hours - 1e-9)
    if n_slots <= 0:
        return Transfer(0, 0.0, to_move_gb * link.eur_per_gb)
    it_kw = to_move_gb * link.kwh_per_gb / (n_slots * slot_hours)
    return Transfer(n_slots, it_kw, to_move_gb * link.eur_per_gb)


def usable_points(job: Job, links: Links, slot_hours: float) -> tuple[OperatingPoint, ...]:
    """Points ``job`` may use: at sites its data can reach, and no other than a pin allows."""
    points = job.points
    if job.pin is not None:
        pinned = job.point(job.pin.point)
        points = tuple(
            point
            for point in points
            if point == pinned or (job.is_elastic and point.site == pinned.site)
        )
    return tuple(
        point for point in points if transfer_to(job, point.site, links, slot_hours) is not None
    )


def pieces_of(job: Job, placement: Placement) -> tuple[Piece, ...]:
    """Pieces of a placement in order of time; its runs must name points of ``job``."""
    pieces: list[Piece] = []
    for run in placement.runs:
        configuration = job.point(run.point).configuration
        last = pieces[-1] if pieces else None
        if last and last.end_slot == run.start_slot and last.configuration == configuration:
            pieces[-1] = Piece(configuration, last.start_slot, run.end_slot)
        else:
            pieces.append(Piece(configuration, run.start_slot, run.end_slot))
    return tuple(pieces)


def restarts_of(job: Job, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Pieces that begin with a restart."""
    return pieces if begins_with_restart(job) else pieces[1:]


def begins_with_restart(job: Job) -> bool:
    """Whether even the first piece is a restart: the job ran once and stands paused."""
    return job.had_started and not (job.pin is not None and job.pin.is_running)


def work_tolerance(work: float) -> float:
    """Work that may be missing from a job that counts as complete [work]."""
    return 1e-6 * max(1.0, work)


def rate(point: OperatingPoint, slot_hours: float) -> float:
    """Work done in a slot at ``point`` [work/slot]."""
    return point.work_per_hour * slot_hours


def lost_per_restart(
    job: Job, configuration: Configuration, links: Links, slot_hours: float
) -> float:
    """Work one restart into ``configuration`` loses [work].

    ``restart_slots`` slots at the fastest point of the configuration the job may use, whichever it
    restarts at.
    """
    if job.pausing is None or job.pausing.restart_slots == 0:
        return 0.0
    rates = [
        rate(point, slot_hours)
        for point in usable_points(job, links, slot_hours)
        if point.configuration == configuration
    ]
    return job.pausing.restart_slots * max(rates, default=0.0)


def slots_needed(
    job: Job, point: OperatingPoint, n_pauses: int, links: Links, slot_hours: float
) -> int:
    """Slots ``job`` holds ``point`` in, all at this point, if it pauses ``n_pauses`` times."""
    n_restarts = n_pauses + begins_with_restart(job)
    work = job.work + n_restarts * lost_per_restart(job, point.configuration, links, slot_hours)
    return slots_to_do(work, point, slot_hours)


def min_run_slots(job: Job, links: Links, slot_hours: float) -> int:
    """Least length of a piece: ``min_run_slots``, or the whole job where that is shorter."""
    if job.pausing is None:
        return 1
    usable = usable_points(job, links, slot_hours) or job.points
    least = min(slots_to_do(job.work, point, slot_hours) for point in usable)
    return min(job.pausing.min_run_slots, least)
