"""Every job at every point it may use, as arrays: what pricing all jobs at once reads.

A row, an *option*, is one job at one operating point. Options of one ``Rhythm`` are priced
together; jobs of one shape share the look-ups that make their rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
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
Block = dict[str, Arrays]

MOST_RATES = 4
"""Rates of one pool; more ratios than these are sorted into as many bands."""
NEVER = -1
"""Stands for a slot that no start can be in."""


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
        Whether nothing but running costs anything, and any slots of its window will do, or any in
        a row.
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
        made = [block for shape in _shapes(problem, jobs) for block in _blocks(places, *shape)]
        names = [field.name for field in fields(cls) if field.name not in _DERIVED]
        arrays = {
            name: np.concatenate([np.zeros(0, int), *(block[name] for _, block in made)])
            for name in [*names, "net_kw"]
        }
        for name in ("is_resumed", "is_announced", "is_free"):
            arrays[name] = arrays[name].astype(bool)
        families = _families([rhythm for rhythm, _ in made], arrays, made)
        gpus, net_kw = arrays["gpus"].astype(float), arrays.pop("net_kw").astype(float)
        rates, rate = _rates(places, arrays["pool"].astype(int), gpus, net_kw)
        rest_kw = net_kw - gpus * rates.kw_per_gpu[rate]
        rest_kw[np.abs(rest_kw) < 1e-12 * np.maximum(1.0, np.abs(net_kw))] = 0.0
        return cls(**arrays, rest_kw=rest_kw, rate=rate, families=families, rates=rates)


_DERIVED = ("rest_kw", "rate", "families", "rates")


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
    return (*own, job.announced is None, n_window)


def _blocks(places: _Places, example: Job, rows: Integers) -> Iterator[tuple[Rhythm, Block]]:
    """Make the options of jobs of one shape, point by point."""
    problem = places.problem
    n_slots, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    jobs = [problem.jobs[row] for row in rows]
    release = np.array([job.release_slot for job in jobs])
    hi = np.minimum([job.deadline_slot for job in jobs], n_slots)
    usable = usable_points(example, places.links, hours)
    for number, point in enumerate(example.points):
        is_pinned_off = example.pin is not None and example.pin.point != point.name
        transfer = transfer_to(example, point.site, places.links, hours)
        if point not in usable or is_pinned_off or transfer is None:
            continue
        rhythm = rhythm_of(problem, example, point, n_slots + int(hi.max()), places.links)
        if example.pausing is not None:
            widest = int((hi - release).max())
            rhythm = rhythm_of(problem, example, point, widest, places.links)
        if rhythm is None:
            continue
        block = _block(places, jobs, rows, point, transfer, rhythm)
        block["point"] = np.full(len(rows), number)
        fits = block["first_start"] + rhythm.n_slots <= block["hi_slot"]
        fits &= block["first_start"] <= block["last_start"]
        if fits.any():
            yield rhythm, {name: values[fits] for name, values in block.items()}


def _block(
    places: _Places,
    jobs: Sequence[Job],
    rows: Integers,
    point: OperatingPoint,
    transfer: Transfer,
    rhythm: Rhythm,
) -> Block:
    problem, example = places.problem, jobs[0]
    hours, n_horizon = problem.horizon.slot_hours, problem.horizon.n_slots
    n, where = len(rows), (point.site, point.pool)
    pausing, pin = example.pausing, example.pin
    is_running = pin is not None and pin.is_running
    lo = np.array([job.release_slot for job in jobs])
    first = lo + transfer.n_slots
    last = np.full(n, n_horizon - 1)
    if pin is not None:
        first = np.where(first <= pin.start_slot, pin.start_slot, n_horizon)
        last = np.full(n, pin.start_slot)
    announced = [None if is_running else job.announced for job in jobs]
    kept = [NEVER if a is None or a.site != point.site else a.start_slot for a in announced]
    late_eur = np.array([job.lateness_eur_per_slot * job.priority for job in jobs])
    due = [n_horizon if job.due_slot is None else job.due_slot for job in jobs]
    restart_kw = 0.0 if pausing is None else pausing.restart_kwh / hours
    restart_eur = 0.0 if pausing is None else pausing.restart_eur
    is_announced = np.array([a is not None for a in announced])
    may_cost = problem.weights.churn_eur_per_job * is_announced + late_eur * np.array(
        [job.due_slot is not None for job in jobs]
    )
    picks_slots = rhythm.pause_slots == (0,) and not rhythm.is_limited
    picks_slots = picks_slots and rhythm.piece_slots == 1 and rhythm.first_slots == 1
    picks_slots = picks_slots and restart_kw == restart_eur == 0.0
    picks_window = not rhythm.pause_slots and places.least_gpus[where] >= point.gpus
    is_free = (picks_slots or picks_window) and pin is None and not begins_with_restart(example)
    is_free = is_free and transfer == Transfer(0, 0.0, 0.0)
    values: dict[str, object] = {
        "job": rows,
        "site": places.site_row[point.site],
        "pool": places.pool_row[where],
        "gpus": float(point.gpus),
        "net_kw": point.power_kw - point.gpus * places.idle_kw[where],
        "lo_slot": first if not rhythm.pause_slots else lo,
        "hi_slot": np.minimum([job.deadline_slot for job in jobs], n_horizon),
        "first_start": first,
        "last_start": last,
        "transfer_slots": transfer.n_slots,
        "transfer_kw": transfer.it_kw,
        "transfer_eur": transfer.eur,
        "restart_kw": restart_kw,
        "restart_eur": restart_eur,
        "is_resumed": begins_with_restart(example),
        "due_slot": np.array(due),
        "late_eur": late_eur,
        "kept_start": np.array(kept),
        "is_announced": is_announced,
        "is_free": is_free & (may_cost == 0.0),
    }
    return {name: np.broadcast_to(np.asarray(value), n) for name, value in values.items()}


def _families(
    rhythms: Sequence[Rhythm],
    arrays: Mapping[str, Arrays],
    made: Sequence[tuple[Rhythm, Block]],
) -> tuple[tuple[Rhythm, bool, Integers], ...]:
    members: dict[tuple[Rhythm, bool], list[Integers]] = {}
    begin = 0
    for rhythm, (_, block) in zip(rhythms, made, strict=True):
        rows = np.arange(begin, begin + len(block["job"]))
        begin += len(rows)
        for is_free in (False, True):
            chosen = rows[arrays["is_free"][rows] == is_free]
            if len(chosen):
                members.setdefault((rhythm, is_free), []).append(chosen)
    return tuple((*key, np.concatenate(rows)) for key, rows in members.items())


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
