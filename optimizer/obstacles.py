"""Why a job cannot be placed: the limit that stands against it, and by how much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import Links, links_of, slots_needed, transfer_to, usable_points
from optimizer.plan import Unserved
from optimizer.room import Room


def unserved(room: Room, job: Job) -> Unserved:
    """Leave ``job`` out, with the reason why ``room`` has no place for it."""
    return Unserved(job.name, _reason(room, job), is_deferred=job.can_wait)


def not_worth_it(job: Job, cost_eur: float, value_eur: float) -> Unserved:
    """Leave ``job`` out because serving it costs more than it is worth."""
    reason = (
        f"serving it would cost {cost_eur:.2f} EUR, {cost_eur - value_eur:.2f} EUR more than"
        f" the {value_eur:.2f} EUR it costs to leave it out"
    )
    return Unserved(job.name, reason, is_deferred=job.can_wait)


def _reason(room: Room, job: Job) -> str:
    problem = room.problem
    missing = next((name for name in job.after if name not in room.ends), None)
    if missing is not None:
        return f"it must wait for job {missing}, which is not served"
    links = links_of(problem)
    points = usable_points(job, links, problem.horizon.slot_hours)
    if not points:
        return f"no link leads from {job.data.site if job.data else '?'} to any of its sites"
    too_short = _too_short(room, job, points, links)
    if too_short is not None:
        return too_short
    return _too_few(room, job, points, links)


def _span(room: Room, job: Job, point: OperatingPoint, links: Links) -> tuple[int, int]:
    """First and last slot boundary between which ``job`` may run at ``point``."""
    horizon = room.problem.horizon
    transfer = transfer_to(job, point.site, links, horizon.slot_hours)
    begin = job.release_slot + (transfer.n_slots if transfer else 0)
    begin = max([begin, *(room.ends[name] for name in job.after)])
    return begin, min(job.deadline_slot, horizon.n_slots)


def _too_short(
    room: Room, job: Job, points: tuple[OperatingPoint, ...], links: Links
) -> str | None:
    """Compare the slots it needs with those between release and deadline."""
    hours = room.problem.horizon.slot_hours
    found = []
    for point in points:
        needed = slots_needed(job, point, 0, links, hours)
        begin, end = _span(room, job, point, links)
        left = max(0, end - begin)
        if left >= needed:
            return None
        found.append((needed - left, needed, begin, left))
    short, needed, begin, left = min(found)
    return (
        f"it needs {needed} slots from slot {begin} on, and its deadline leaves {left}:"
        f" {short} too few"
    )


def _too_few(room: Room, job: Job, points: tuple[OperatingPoint, ...], links: Links) -> str:
    """Compare the GPUs and power it needs with those left, at the point that comes closest."""
    closest = min(
        (found for point in points if (found := _lack(room, job, point, links))),
        default=(0.0, "no operating point fits its window"),
    )
    return closest[1]


def _lack(room: Room, job: Job, point: OperatingPoint, links: Links) -> tuple[float, str] | None:
    """Return how far ``point`` is from serving the job, as a fraction, and in words."""
    needed = slots_needed(job, point, 0, links, room.problem.horizon.slot_hours)
    begin, end = _span(room, job, point, links)
    if end - begin < needed:
        return None
    free = room.free_gpus[point.site, point.pool][begin:end]
    where, when = f"pool {point.site}/{point.pool}", f"slots {begin} to {end - 1}"
    most = float(free.max())
    if most < point.gpus:
        lack = point.gpus - most
        text = f"it needs {point.gpus} GPUs of {where}, and at most {most:g} are free in {when}"
        return 1.0 + lack, f"{text}: {lack:g} too few"
    fits = (free >= point.gpus) & room.carries(room.row(point.site), point.power_kw)[begin:end]
    longest = _longest(fits)
    text = f"it needs {needed} slots in a row with {point.gpus} GPUs of {where} and power for them"
    if job.pausing is not None:
        text += ", or as many in pieces long enough"
    short = max(0, needed - longest)
    return short / needed, f"{text}; in {when} at most {longest} are left: {short} too few"


def _longest(fits: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    longest = length = 0
    for can in fits.tolist():
        length = length + 1 if can else 0
        longest = max(longest, length)
    return longest
