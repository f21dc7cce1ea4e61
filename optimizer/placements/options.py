"""Every job at every point it may use, as arrays: what pricing all jobs at once reads.

A row, an *option*, is one job at one operating point. Options of one ``Rhythm`` are priced
together; jobs of one shape share the look-ups that make their rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job
from optimizer.pieces import (
    NO_TRANSFER,
    Links,
    Transfer,
    begins_with_restart,
    links_of,
    transfer_to,
    usable_points,
)
from optimizer.placements.slot_costs import Rhythm, rhythm_of
from optimizer.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

Arrays = NDArray[Any]
MOST_RATES = 4
"""Rates of one pool; more ratios than these are sorted into as many bands."""
NEVER = -1
"""Stands for a slot that no start can be in."""
UNKNOWN, GONE = -1, -2
"""Stand for the site of a job to which none was announced, and for one that is no more."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Ratios of power to GPUs: what a GPU at work draws more than an idle one; arrays [rate].

    GPUs at one rate are one resource with one price, energy included. A pool has a few rates at
    most; what an option draws beyond that of its rate is its ``rest_kw``.
    """

    site: Integers
    pool: Integers
    kw_per_gpu: Floats


@dataclass(frozen=True, slots=True)
class Options:
    """Arrays [option], and which options share a rhythm.

    Attributes
    ----------
    job, point
        Position of the job in the problem, and of the point among the job's points.
    site, pool
        Position of the site in the problem, and of the pool among all pools, site by site.
    gpus, rest_kw
        GPUs held, and IT power beyond what GPUs of its rate draw more than idle ones [kW].
    rate
        Its row of ``rates``.
    n_slots
        Slots it runs in all without a pause.
    lo_slot, hi_slot
        It may run in [lo_slot, hi_slot).
    first_start, last_start
        First and last slot it may first start in.
    transfer_slots, transfer_kw, transfer_eur
        Moving its data, directly before the start.
    restart_kw, restart_eur
        Power in the first slot of a restart, and other cost of one.
    is_resumed
        Whether the first start is a restart already.
    due_slot, late_eur
        Cost of each slot it ends later than due.
    kept_start, is_announced
        The start that keeps what was announced (``NEVER``: none here), and whether others churn.
    is_free
        Whether nothing but running and churn costs anything, and any slots of its window will do,
        or any in a row.
    families
        Options by rhythm and ``is_free``.
    rates
        What a GPU at work draws, in the few ratios that most options have.
    """

    job: Integers
    point: Integers
    site: Integers
    pool: Integers
    gpus: Floats
    rest_kw: Floats
    rate: Integers
    n_slots: Integers
    lo_slot: Integers
    hi_slot: Integers
    first_start: Integers
    last_start: Integers
    transfer_slots: Integers
    transfer_kw: Floats
    transfer_eur: Floats
    restart_kw: Floats
    restart_eur: Floats
    is_resumed: Bools
    due_slot: Integers
    late_eur: Floats
    kept_start: Integers
    is_announced: Bools
    is_free: Bools
    families: tuple[tuple[Rhythm, bool, Integers], ...]
    rates: Rates

    def __len__(self) -> int:
        return len(self.job)

    @classmethod
    def of(cls, problem: Problem, jobs: Sequence[int]) -> Options:
        """Return the options of the ``jobs``, given by their position in ``problem``."""
        places = _Places.of(problem)
        parts = [part for shape in _shapes(problem, jobs) for part in _parts(places, *shape)]
        drafts = _drafts(problem, parts)
        rates, rate = _rates(places, drafts["pool"], drafts["gpus"], drafts["net_kw"])
        net_kw = drafts.pop("net_kw")
        rest_kw = net_kw - drafts["gpus"] * rates.kw_per_gpu[rate]
        rest_kw[np.abs(rest_kw) < 1e-12 * np.maximum(1.0, np.abs(net_kw))] = 0.0
        families = _families(parts, drafts.pop("part"), drafts["is_free"])
        return cls(**drafts, rest_kw=rest_kw, rate=rate, families=families, rates=rates)


@dataclass(frozen=True, slots=True)
class _Places:
    problem: Problem
    links: Links
    site_row: Mapping[str, int]
    pool_row: Mapping[tuple[str, str], int]
    idle_kw: Mapping[tuple[str, str], float]
    least_gpus: Mapping[tuple[str, str], float]

    @classmethod
    def of(cls, problem: Problem) -> _Places:
        pools = [(site.name, pool) for site in problem.sites for pool in site.pools]
        return cls(
            problem,
            links_of(problem),
            {site.name: row for row, site in enumerate(problem.sites)},
            {(site, pool.name): row for row, (site, pool) in enumerate(pools)},
            {(site, pool.name): pool.idle_kw_per_gpu for site, pool in pools},
            {(site, pool.name): min(pool.gpus) for site, pool in pools},
        )


def _shapes(problem: Problem, jobs: Sequence[int]) -> Iterator[tuple[Job, Integers]]:
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
    return (*own, n_window)


class _Part(NamedTuple):
    """Jobs of one shape at one point: what they have in common."""

    rhythm: Rhythm
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


def _parts(places: _Places, example: Job, rows: Integers) -> Iterator[_Part]:
    """Yield what jobs of one shape have in common at each point they may use."""
    problem, links = places.problem, places.links
    n_slots, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    usable = {point.name for point in usable_points(example, links, hours)}
    windows = [
        (problem.jobs[row].release_slot, min(problem.jobs[row].deadline_slot, n_slots))
        for row in rows.tolist()
    ]
    widest = max(end - release for release, end in windows)
    if example.pausing is None:
        widest = n_slots + max(end for _, end in windows)
    rhythms: dict[Hashable, Rhythm | None] = {}
    for number, point in enumerate(example.points):
        is_pinned_off = example.pin is not None and example.pin.point != point.name
        if point.name not in usable or is_pinned_off:
            continue
        key: Hashable = (point.work_per_hour, point.configuration)
        if example.pausing is None or example.pausing.restart_slots == 0:
            key = point.work_per_hour  # nothing is lost, whatever the configuration
        if key not in rhythms:
            rhythms[key] = rhythm_of(problem, example, point, widest, links)
        rhythm = rhythms[key]
        transfer = transfer_to(example, point.site, links, hours)
        if rhythm is not None and transfer is not None:
            yield _part(places, example, rows, number, transfer, rhythm)


def _part(
    places: _Places, example: Job, rows: Integers, number: int, transfer: Transfer, rhythm: Rhythm
) -> _Part:
    point, pausing, pin = example.points[number], example.pausing, example.pin
    where, hours = (point.site, point.pool), places.problem.horizon.slot_hours
    restart_kw = 0.0 if pausing is None else pausing.restart_kwh / hours
    restart_eur = 0.0 if pausing is None else pausing.restart_eur
    picks_slots = rhythm.pause_slots == (0,) and not rhythm.is_limited
    picks_slots = picks_slots and rhythm.piece_slots == 1 and rhythm.first_slots == 1
    picks_slots = picks_slots and restart_kw == restart_eur == 0.0
    picks_window = not rhythm.pause_slots and places.least_gpus[where] >= point.gpus
    is_resumed = begins_with_restart(example)
    is_free = (picks_slots or picks_window) and pin is None and not is_resumed
    return _Part(
        rhythm=rhythm,
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
        may_be_free=is_free and transfer == NO_TRANSFER,
    )


def _drafts(problem: Problem, parts: Sequence[_Part]) -> dict[str, Arrays]:
    """Return arrays [option] of the jobs of ``parts`` that fit into their windows."""
    n_horizon, o = problem.horizon.n_slots, _JobTable.of(problem)
    counts = [len(part.jobs) for part in parts]
    part = np.repeat(np.arange(len(parts)), counts)
    job = np.concatenate([np.zeros(0, np.int64), *(one.jobs for one in parts)])

    def common(values: Iterable[object], kind: type) -> Arrays:
        return np.array(list(values), dtype=kind)[part]

    transfer_slots = common((one.transfer.n_slots for one in parts), np.int64)
    pin = common((one.pin_slot for one in parts), np.int64)
    is_running = common((one.is_running for one in parts), np.bool_)
    n_slots = common((one.rhythm.n_slots for one in parts), np.int64)
    site = common((one.site for one in parts), np.int64)
    first = o.release[job] + transfer_slots
    first = np.where(pin == NEVER, first, np.where(first <= pin, pin, n_horizon))
    last = np.where(pin == NEVER, n_horizon - 1, pin)
    has_pauses = common((bool(one.rhythm.pause_slots) for one in parts), np.bool_)
    is_announced = (o.announced_site[job] != UNKNOWN) & ~is_running
    is_kept = is_announced & (o.announced_site[job] == site)
    may_be_late = (o.late_eur[job] > 0.0) & o.has_due[job]
    drafts: dict[str, Arrays] = {
        "part": part,
        "job": job,
        "point": common((one.point for one in parts), np.int64),
        "site": site,
        "pool": common((one.pool for one in parts), np.int64),
        "gpus": common((one.gpus for one in parts), np.float64),
        "net_kw": common((one.net_kw for one in parts), np.float64),
        "n_slots": n_slots,
        "lo_slot": np.where(has_pauses, o.release[job], first),
        "hi_slot": o.end[job],
        "first_start": first,
        "last_start": last,
        "transfer_slots": transfer_slots,
        "transfer_kw": common((one.transfer.it_kw for one in parts), np.float64),
        "transfer_eur": common((one.transfer.eur for one in parts), np.float64),
        "restart_kw": common((one.restart_kw for one in parts), np.float64),
        "restart_eur": common((one.restart_eur for one in parts), np.float64),
        "is_resumed": common((one.is_resumed for one in parts), np.bool_),
        "due_slot": o.due[job],
        "late_eur": o.late_eur[job],
        "kept_start": np.where(is_kept, o.announced_start[job], NEVER),
        "is_announced": is_announced,
        "is_free": common((one.may_be_free for one in parts), np.bool_) & ~may_be_late,
    }
    fits = np.flatnonzero((first + n_slots <= drafts["hi_slot"]) & (first <= last))
    return {name: values[fits] for name, values in drafts.items()}


@dataclass(frozen=True, slots=True)
class _JobTable:
    """Windows, lateness and what was announced [job of the problem]."""

    release: Integers
    end: Integers
    due: Integers
    has_due: Bools
    late_eur: Floats
    announced_site: Integers
    announced_start: Integers

    @classmethod
    def of(cls, problem: Problem) -> _JobTable:
        jobs, n_slots = problem.jobs, problem.horizon.n_slots
        sites = {site.name: row for row, site in enumerate(problem.sites)}
        told = [job.announced for job in jobs]
        return cls(
            np.array([job.release_slot for job in jobs], dtype=np.int64),
            np.array([min(job.deadline_slot, n_slots) for job in jobs], dtype=np.int64),
            np.array([n_slots if job.due_slot is None else job.due_slot for job in jobs], np.int64),
            np.array([job.due_slot is not None for job in jobs], dtype=np.bool_),
            np.array([job.lateness_eur_per_slot * job.priority for job in jobs], dtype=np.float64),
            np.array([UNKNOWN if a is None else sites.get(a.site, GONE) for a in told], np.int64),
            np.array([NEVER if a is None else a.start_slot for a in told], dtype=np.int64),
        )


def _families(
    parts: Sequence[_Part], part: Integers, is_free: Bools
) -> tuple[tuple[Rhythm, bool, Integers], ...]:
    """Group options by rhythm and whether they are free."""
    if not len(part):
        return ()
    numbers: dict[Rhythm, int] = {}
    of_part = np.array([numbers.setdefault(p.rhythm, len(numbers)) for p in parts], dtype=np.int64)
    rhythms = list(numbers)
    family = 2 * of_part[part] + is_free
    order = np.argsort(family, kind="stable")
    found, begins = np.unique(family[order], return_index=True)
    groups = np.split(order, begins[1:])
    return tuple(
        (rhythms[number // 2], bool(number % 2), members)
        for number, members in zip(found.tolist(), groups, strict=True)
    )


def _rates(places: _Places, pool: Integers, gpus: Floats, net_kw: Floats) -> tuple[Rates, Integers]:
    """Find the rates of every pool, and the one each option is closest to."""
    ratio = np.round(net_kw / np.where(gpus > 0, gpus, 1.0), 12)
    sites = {number: places.site_row[key[0]] for key, number in places.pool_row.items()}
    rows: list[tuple[int, int, float]] = []
    rate = np.zeros(len(pool), dtype=np.int64)
    for number, site in sites.items():
        here = np.flatnonzero(pool == number)
        if not len(here):
            continue
        seen = np.unique(ratio[here[gpus[here] > 0]])
        if len(seen) > MOST_RATES:
            shares = (np.arange(MOST_RATES) + 0.5) / MOST_RATES
            seen = np.unique(np.quantile(ratio[here[gpus[here] > 0]], shares))
        seen = seen if len(seen) else np.zeros(1)
        closest = np.abs(ratio[here, None] - seen[None, :]).argmin(axis=1)
        rate[here] = len(rows) + closest
        rows += [(site, number, float(kw)) for kw in seen]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Rates(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]), rate
