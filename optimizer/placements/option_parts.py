"""Jobs of one shape at one operating point, or changing between some: what they have in common.

Jobs of a shape differ in window, value and priority only, so what makes their options is looked up
once for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
    NO_TRANSFER,
    Links,
    Transfer,
    begins_with_restart,
    links_of,
    slots_needed,
    transfer_to,
    usable_points,
)
from optimizer.placements.slot_costs import Rhythm, rhythm_of
from optimizer.placements.tempo import Tempo, groups_of, tempo_of
from optimizer.problem import Problem

Integers = NDArray[np.int64]

NEVER = -1
"""Stands for a slot that no start can be in."""


@dataclass(frozen=True, slots=True)
class Places:
    """Sites, pools and links of a problem, for look-up by name."""

    problem: Problem
    links: Links
    site_row: Mapping[str, int]
    pool_row: Mapping[tuple[str, str], int]
    idle_kw: Mapping[tuple[str, str], float]
    least_gpus: Mapping[tuple[str, str], float]

    @classmethod
    def of(cls, problem: Problem) -> Places:
        """Take them from ``problem``."""
        pools = [(site.name, pool) for site in problem.sites for pool in site.pools]
        return cls(
            problem,
            links_of(problem),
            {site.name: row for row, site in enumerate(problem.sites)},
            {(site, pool.name): row for row, (site, pool) in enumerate(pools)},
            {(site, pool.name): pool.idle_kw_per_gpu for site, pool in pools},
            {(site, pool.name): min(pool.gpus) for site, pool in pools},
        )


def shapes_of(problem: Problem, jobs: Sequence[int]) -> Iterator[tuple[Job, Integers]]:
    """Group jobs that differ in window, value and priority only."""
    shapes: dict[Hashable, list[int]] = {}
    for row in jobs:
        shapes.setdefault(_shape(problem.jobs[row], problem.horizon.n_slots), []).append(row)
    for rows in shapes.values():
        yield problem.jobs[rows[0]], np.array(rows)


def _shape(job: Job, n_slots: int) -> Hashable:
    counts_pauses = job.pausing is not None and (
        job.pausing.restart_slots > 0 or job.pausing.max_pauses is not None
    )
    n_window = min(job.deadline_slot, n_slots) - job.release_slot if counts_pauses else None
    # Equal points that are not the same object only make one shape more.
    own = (id(job.points), job.work, job.pausing, job.data, job.had_started, job.pin)
    return (*own, job.is_elastic, n_window)


class Part(NamedTuple):
    """Jobs of one shape at one point, or changing between some: what they have in common.

    It has no rhythm where it cannot keep to its point, and ``members``, positions of points among
    those of the job, where it changes. ``n_slots`` are those of the option, ``least_slots`` those
    that its window must have.
    """

    n_slots: int
    least_slots: int
    rhythm: Rhythm | None
    tempo: Tempo | None
    members: tuple[int, ...]
    jobs: Integers
    point: int
    site: int
    pool: int
    gpus: float
    net_kw: float
    transfer: Transfer
    restart_kw: float
    restart_eur: float
    is_resumed: bool
    is_running: bool
    pin_slot: int
    may_be_free: bool


def parts_of(places: Places, example: Job, rows: Integers) -> Iterator[Part]:
    """Yield what jobs of one shape have in common at each point they may use."""
    problem, links = places.problem, places.links
    hours = problem.horizon.slot_hours
    points = usable_points(example, links, hours)
    needed = {point.name: slots_needed(example, point, 0, links, hours) for point in points}
    groups = groups_of(example, points, links, hours) if example.is_elastic else []
    least = {p.name: min(needed[q.name] for q in group) for group in groups for p in group}
    numbers = {point.name: number for number, point in enumerate(example.points)}
    rhythms = _rhythms(places, example, rows, points)
    for point in points:
        rhythm = rhythms[point.name]
        if rhythm is None and point.name not in least:
            continue
        n_slots = needed[point.name]
        lengths = n_slots, least.get(point.name, n_slots)
        yield _part(places, example, rows, numbers[point.name], lengths, rhythm)
    for group in groups:
        members = tuple(numbers[point.name] for point in group)
        tempo = tempo_of(example, group, links, problem.horizon.n_slots, hours)
        lengths = (least[group[0].name],) * 2
        yield _part(places, example, rows, members[0], lengths, None, tempo, members)


def _rhythms(
    places: Places, example: Job, rows: Integers, points: Sequence[OperatingPoint]
) -> dict[str, Rhythm | None]:
    """Return how a job runs that keeps to a point, by its name; ``None`` where it may not."""
    problem, n_slots = places.problem, places.problem.horizon.n_slots
    windows = [
        (problem.jobs[row].release_slot, min(problem.jobs[row].deadline_slot, n_slots))
        for row in rows.tolist()
    ]
    widest = max(end - release for release, end in windows)
    if example.pausing is None:
        widest = n_slots + max(end for _, end in windows)
    known: dict[Hashable, Rhythm | None] = {}
    rhythms: dict[str, Rhythm | None] = {}
    for point in points:
        key: Hashable = (point.work_per_hour, point.configuration)
        if example.pausing is None or example.pausing.restart_slots == 0:
            key = point.work_per_hour  # nothing is lost, whatever the configuration
        if key not in known:
            known[key] = rhythm_of(problem, example, point, widest, places.links)
        is_pinned_off = example.pin is not None and example.pin.point != point.name
        rhythms[point.name] = None if is_pinned_off else known[key]
    return rhythms


def _part(
    places: Places,
    example: Job,
    rows: Integers,
    number: int,
    lengths: tuple[int, int],
    rhythm: Rhythm | None,
    tempo: Tempo | None = None,
    members: tuple[int, ...] = (),
) -> Part:
    point, pausing, pin = example.points[number], example.pausing, example.pin
    where, hours = (point.site, point.pool), places.problem.horizon.slot_hours
    transfer = transfer_to(example, point.site, places.links, hours)
    if transfer is None:
        raise AssertionError("a usable point lies at a site its data can reach")
    restart_kw = 0.0 if pausing is None else pausing.restart_kwh / hours
    restart_eur = 0.0 if pausing is None else pausing.restart_eur
    is_resumed = begins_with_restart(example)
    is_free = rhythm is not None and pin is None and not is_resumed and transfer == NO_TRANSFER
    if rhythm is not None:
        picks_slots = rhythm.pause_slots == (0,) and not rhythm.is_limited
        picks_slots = picks_slots and rhythm.piece_slots == 1 and rhythm.first_slots == 1
        picks_slots = picks_slots and restart_kw == restart_eur == 0.0
        picks_window = not rhythm.pause_slots and places.least_gpus[where] >= point.gpus
        is_free = is_free and (picks_slots or picks_window)
    return Part(
        *lengths,
        rhythm=rhythm,
        tempo=tempo,
        members=members,
        jobs=rows,
        point=number,
        site=places.site_row[point.site],
        pool=places.pool_row[where],
        gpus=float(point.gpus),
        net_kw=point.power_kw - point.gpus * places.idle_kw[where],
        transfer=transfer,
        restart_kw=restart_kw,
        restart_eur=restart_eur,
        is_resumed=is_resumed,
        is_running=pin is not None and pin.is_running,
        pin_slot=NEVER if pin is None else pin.start_slot,
        may_be_free=is_free,
    )
