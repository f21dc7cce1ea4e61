"""Every job at every point it may use, as arrays: what pricing all jobs at once reads.

A row, an *option*, is one job at one operating point, or an elastic job that changes between some:
its slots are those of their options. Options of one ``Rhythm`` or ``Tempo`` are priced together;
jobs of one shape share the look-ups that make their rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.placements.option_parts import NEVER, Part, Places, parts_of, shapes_of
from optimizer.placements.slot_costs import Rhythm
from optimizer.placements.tempo import Switching, Tempo
from optimizer.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

Arrays = NDArray[Any]
MOST_RATES = 4
"""Rates of one pool; more ratios than these are sorted into as many bands."""
SHED_STEP_KW = 1e-3
"""To which load that can be shed is rounded down, per GPU."""
UNKNOWN, GONE = -1, -2
"""Stand for the site of a job to which none was announced, and for one that is no more."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Ratios of power to GPUs: what a GPU at work draws more than an idle one; arrays [rate].

    GPUs at one rate are one resource with one price, energy included. A pool has a few rates at
    most; what an option draws beyond that of its rate is its ``rest_kw``. What of it can be shed
    for a reserve is rounded down; it is 0 where the problem has none.
    """

    site: Integers
    pool: Integers
    kw_per_gpu: Floats
    shed_kw_per_gpu: Floats
    shed_within_s: Floats


@dataclass(frozen=True, slots=True)
class Family:
    """Options of one rhythm, all ``is_free`` or none."""

    rhythm: Rhythm
    is_free: bool
    options: Integers

    @property
    def running(self) -> Integers:
        """Options whose slots they take: their own."""
        return self.options


@dataclass(frozen=True, slots=True)
class Options:
    """Arrays [option], and which options are priced together.

    An option in neither ``families`` nor ``switching`` only lends its slots to one that changes
    points: alone, its job would not fit into the window.

    Attributes
    ----------
    job, point
        Position of the job in the problem, and of the point among the job's points; the first of
        them where it changes between several.
    site, pool
        Position of the site in the problem, and of the pool among all pools, site by site.
    gpus, rest_kw
        GPUs held, and IT power beyond what GPUs of its rate draw more than idle ones [kW].
    rate
        Its row of ``rates``.
    n_slots
        Slots it runs in all without a pause; where it changes points, at the fastest.
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
        Options that keep to their point, by rhythm and ``is_free``.
    switching
        Options that change between points, by tempo.
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
    families: tuple[Family, ...]
    switching: tuple[Switching, ...]
    rates: Rates

    def __len__(self) -> int:
        return len(self.job)

    @classmethod
    def of(cls, problem: Problem, jobs: Sequence[int]) -> Options:
        """Return the options of the ``jobs``, given by their position in ``problem``."""
        places = Places.of(problem)
        parts = [part for shape in shapes_of(problem, jobs) for part in parts_of(places, *shape)]
        drafts = _drafts(problem, parts)
        rates, rate = _rates(places, drafts)
        net_kw = drafts.pop("net_kw")
        rest_kw = net_kw - drafts["gpus"] * rates.kw_per_gpu[rate]
        rest_kw[np.abs(rest_kw) < 1e-12 * np.maximum(1.0, np.abs(net_kw))] = 0.0
        part, stands_alone = drafts.pop("part"), drafts.pop("stands_alone")
        alone = np.flatnonzero(stands_alone)
        return cls(
            **drafts,
            rest_kw=rest_kw,
            rate=rate,
            families=_families(parts, part, drafts["is_free"], alone),
            switching=_switching(problem, parts, part, drafts["job"]),
            rates=rates,
        )


def _drafts(problem: Problem, parts: Sequence[Part]) -> dict[str, Arrays]:
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
    n_slots = common((one.n_slots for one in parts), np.int64)
    least_slots = common((one.least_slots for one in parts), np.int64)
    site = common((one.site for one in parts), np.int64)
    first = o.release[job] + transfer_slots
    first = np.where(pin == NEVER, first, np.where(first <= pin, pin, n_horizon))
    last = np.where(pin == NEVER, n_horizon - 1, pin)
    begins_at_release = common((_begins_at_release(problem, one) for one in parts), np.bool_)
    stands_alone = common((one.rhythm is not None for one in parts), np.bool_)
    shown = [problem.jobs[int(one.jobs[0])].points[one.point] for one in parts]
    has_reserves = bool(problem.reserves)
    shed_kw = [point.shed_kw * has_reserves for point in shown]
    shed_within_s = [point.shed_within_s for point in shown]
    is_announced = (o.announced_site[job] != UNKNOWN) & ~is_running
    is_kept = is_announced & (o.announced_site[job] == site)
    may_be_late = (o.late_eur[job] > 0.0) & o.has_due[job]
    drafts: dict[str, Arrays] = {
        "part": part,
        "stands_alone": stands_alone & (first + n_slots <= o.end[job]),
        "job": job,
        "point": common((one.point for one in parts), np.int64),
        "site": site,
        "pool": common((one.pool for one in parts), np.int64),
        "gpus": common((one.gpus for one in parts), np.float64),
        "net_kw": common((one.net_kw for one in parts), np.float64),
        "shed_kw": common(shed_kw, np.float64),
        "shed_within_s": common(shed_within_s, np.float64),
        "n_slots": np.maximum(1, np.minimum(n_slots, o.end[job] - first)),
        "lo_slot": np.where(begins_at_release, o.release[job], first),
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
    fits = np.flatnonzero((first + least_slots <= drafts["hi_slot"]) & (first <= last))
    return {name: values[fits] for name, values in drafts.items()}


def _begins_at_release(problem: Problem, part: Part) -> bool:
    """Whether a window begins before data is moved: so that all points of a job have the same."""
    is_elastic = problem.jobs[int(part.jobs[0])].is_elastic
    return is_elastic or (part.rhythm is not None and bool(part.rhythm.pause_slots))


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
    parts: Sequence[Part], part: Integers, is_free: Bools, alone: Integers
) -> tuple[Family, ...]:
    """Group the options that keep to their point by rhythm and whether they are free."""
    if not len(alone):
        return ()
    numbers: dict[Rhythm | None, int] = {}
    of_part = np.array([numbers.setdefault(p.rhythm, len(numbers)) for p in parts], dtype=np.int64)
    rhythms = list(numbers)
    family = 2 * of_part[part[alone]] + is_free[alone]
    order = np.argsort(family, kind="stable")
    found, begins = np.unique(family[order], return_index=True)
    groups = np.split(alone[order], begins[1:])
    pairs = [(rhythms[number // 2], number % 2) for number in found.tolist()]
    return tuple(
        Family(rhythm, bool(free), members)
        for (rhythm, free), members in zip(pairs, groups, strict=True)
        if rhythm is not None
    )


def _switching(
    problem: Problem, parts: Sequence[Part], part: Integers, job: Integers
) -> tuple[Switching, ...]:
    """Group the options that change between points by tempo."""
    begins = np.searchsorted(part, np.arange(len(parts) + 1))
    rows = [np.arange(*ends) for ends in itertools.pairwise(begins.tolist())]
    at = {
        (int(one.jobs[0]), one.point): row
        for one, row in zip(parts, rows, strict=True)
        if one.tempo is None
    }
    found: dict[Tempo, list[tuple[Integers, Integers]]] = {}
    for one, ways in zip(parts, rows, strict=True):
        if one.tempo is not None and len(ways):
            # Points of one site share their window, so their options are those of the same jobs.
            points = np.stack([at[int(one.jobs[0]), number] for number in one.members], axis=1)
            found.setdefault(one.tempo, []).append((ways, points))
    switching = []
    for tempo, groups in found.items():
        options = np.concatenate([ways for ways, _ in groups])
        work = np.array([problem.jobs[row].work for row in job[options].tolist()])
        points = np.concatenate([points for _, points in groups])
        switching.append(Switching(tempo, options, points, work))
    return tuple(switching)


def _rates(places: Places, drafts: dict[str, Arrays]) -> tuple[Rates, Integers]:
    """Find the rates of every pool, and the one each option is closest to.

    Options of which a GPU sheds as much in the same time are rated among themselves.
    """
    pool, gpus = drafts["pool"], drafts["gpus"]
    holds = np.where(gpus > 0, gpus, 1.0)
    ratio = np.round(drafts["net_kw"] / holds, 12)
    shed = np.where(gpus > 0, drafts.pop("shed_kw") / holds, 0.0)
    shed = np.floor(shed / SHED_STEP_KW + 1e-9) * SHED_STEP_KW
    within = np.where(shed > 0, drafts.pop("shed_within_s"), 0.0)
    classes = np.stack([shed, within], axis=1)
    sites = {number: places.site_row[key[0]] for key, number in places.pool_row.items()}
    rows: list[tuple[float, ...]] = []
    rate = np.zeros(len(pool), dtype=np.int64)
    for number, site in sites.items():
        in_pool = pool == number
        for kind in np.unique(classes[in_pool], axis=0):
            here = np.flatnonzero(in_pool & (classes == kind).all(axis=1))
            seen = np.unique(ratio[here[gpus[here] > 0]])
            if len(seen) > MOST_RATES:
                shares = (np.arange(MOST_RATES) + 0.5) / MOST_RATES
                seen = np.unique(np.quantile(ratio[here[gpus[here] > 0]], shares))
            seen = seen if len(seen) else np.zeros(1)
            closest = np.abs(ratio[here, None] - seen[None, :]).argmin(axis=1)
            rate[here] = len(rows) + closest
            rows += [(site, number, float(kw), *kind.tolist()) for kw in seen]
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    site_row, pool_row = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rates(site_row, pool_row, table[:, 2], table[:, 3], table[:, 4]), rate
