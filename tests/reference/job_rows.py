"""How one job may run, written the naive way: a state for everything, one row per sentence.

States of a job, all indexed by slot: ``run[p,t]`` at point p, ``on[c,t]`` in configuration c,
``started[t]`` / ``finished[t]`` by the START of slot t, ``length[c,t]`` slots the present piece
has lasted at the end of slot t, ``done[t]`` work done at the end of slot t. Events: ``first`` and
``again`` (a piece begins, for the first time or after a pause), ``stop`` (one ended before slot t).
Nothing here is shared with the product but the types of its input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job, OperatingPoint
from optimizer.problem import Link, Problem

Configurations = dict[str, str]
"""Site of each configuration, by its label."""

LAST_SLOT_MARGIN = 1e-4
"""Work that must be missing without the last slot; the test's numbers lie on a coarser grid."""


@dataclass(slots=True)
class JobRows:
    """Variables of one job and what it adds to its sites and to the objective."""

    job: Job
    served: Any
    run: Any
    first: Any
    finished: Any
    at: Any
    it_kw: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    restarts_eur: Any = 0.0
    data_transfer_eur: Any = 0.0
    lateness_eur: Any = 0.0
    churned: Any = 0.0

    def draw(self, site: str, slot: int, kw: Any) -> None:
        """Add IT power ``kw`` at ``site`` in ``slot``."""
        self.it_kw.setdefault((site, slot), []).append(kw)


def usable_points(problem: Problem, job: Job) -> tuple[OperatingPoint, ...]:
    """Points that rules 7 and 8 leave: where the data can get to, and where the pin is."""
    points = [
        p for p in job.points if not needs_transfer(job, p.site) or _link(problem, job, p.site)
    ]
    if job.pin is not None:
        pinned = job.point(job.pin.point)
        if job.is_elastic:
            points = [p for p in points if p.site == pinned.site]
        else:
            points = [p for p in points if p == pinned]
    return tuple(points)


def needs_transfer(job: Job, site: str) -> bool:
    """Whether its data has to be moved before it can start at ``site``."""
    if job.data is None or job.data.site == site or dict(job.data.left_gb).get(site) == 0:
        return False
    return not (job.had_started or is_running(job))


def is_running(job: Job) -> bool:
    """Whether it runs in the slot before the horizon."""
    return job.pin is not None and job.pin.is_running


def add_job(problem: Problem, job: Job, block: Any) -> JobRows:
    """Write every rule about one job into ``block`` and return what others need of it."""
    block.rows = pyo.ConstraintList()
    points = usable_points(problem, job)
    rows = _add_choice(problem, job, points, block)
    if not points:
        block.rows.add(rows.served == 0)
        _add_costs(problem, rows, block)
        return rows
    configurations = {label(p): p.site for p in points}
    _add_pieces(problem, job, points, configurations, block)
    _add_work(problem, job, points, configurations, block)
    _add_piece_lengths(problem, job, points, configurations, block)
    _add_pin(problem, job, block)
    _add_draw_and_costs(problem, rows, points, configurations, block)
    return rows


def _link(problem: Problem, job: Job, site: str) -> Link | None:
    assert job.data is not None
    home = job.data.site
    return next((k for k in problem.links if (k.from_site, k.to_site) == (home, site)), None)


def _size_gb(job: Job, site: str) -> float:
    assert job.data is not None
    return dict(job.data.left_gb).get(site, job.data.size_gb)


def _transfer_slots(problem: Problem, job: Job, site: str) -> int:
    if not needs_transfer(job, site):
        return 0
    link = _link(problem, job, site)
    assert link is not None
    hours = _size_gb(job, site) / link.gb_per_hour
    return math.ceil(hours / problem.horizon.slot_hours - 1e-9)


def _add_choice(
    problem: Problem, job: Job, points: tuple[OperatingPoint, ...], block: Any
) -> JobRows:
    """One site, one point where not elastic, at most one point in a slot, inside the window."""
    n_slots = problem.horizon.n_slots
    names = [p.name for p in points]
    configurations = {label(p): p.site for p in points}
    block.served = pyo.Var(within=pyo.Binary)
    block.run = pyo.Var(names, range(n_slots), within=pyo.Binary)
    block.at = pyo.Var(sorted({p.site for p in points}), within=pyo.Binary)
    block.uses = pyo.Var(names, within=pyo.Binary)
    block.first = pyo.Var(configurations, range(n_slots), within=pyo.Binary)
    block.finished = pyo.Var(range(n_slots + 1), within=pyo.Binary)
    block.rows.add(block.finished[0] == 0)
    block.rows.add(block.finished[n_slots] == block.served)
    for t in range(n_slots):
        block.rows.add(block.finished[t] <= block.finished[t + 1])
    if points:
        block.rows.add(sum(block.at.values()) == block.served)
    if points and not job.is_elastic:
        block.rows.add(sum(block.uses.values()) == block.served)
    for p in points:
        for t in range(n_slots):
            block.rows.add(block.run[p.name, t] <= block.at[p.site])
            if not job.is_elastic:
                block.rows.add(block.run[p.name, t] <= block.uses[p.name])
            if not job.release_slot <= t < job.deadline_slot:
                block.run[p.name, t].fix(0)
    for t in range(n_slots if points else 0):
        block.rows.add(sum(block.run[name, t] for name in names) <= 1)
    return JobRows(job, block.served, block.run, block.first, block.finished, block.at)


def _add_pieces(
    problem: Problem,
    job: Job,
    points: tuple[OperatingPoint, ...],
    configurations: Configurations,
    block: Any,
) -> None:
    """What a piece is, which one is the first, and how many there may be."""
    n_slots = problem.horizon.n_slots
    block.on = pyo.Var(configurations, range(n_slots), within=pyo.Binary)
    block.again = pyo.Var(configurations, range(n_slots), within=pyo.Binary)
    block.stop = pyo.Var(configurations, range(n_slots + 1), within=pyo.Binary)
    block.started = pyo.Var(range(n_slots + 1), within=pyo.Binary)
    before = pinned_configuration(job)
    for c in configurations:
        for t in range(n_slots + 1):
            was_on = block.on[c, t - 1] if t > 0 else (block.served if c == before else 0)
            is_on = block.on[c, t] if t < n_slots else 0
            begins = block.first[c, t] + block.again[c, t] if t < n_slots else 0
            block.rows.add(is_on - was_on == begins - block.stop[c, t])
            block.rows.add(begins + block.stop[c, t] <= 1)
        for t in range(n_slots):
            running = sum(block.run[p.name, t] for p in points if label(p) == c)
            block.rows.add(block.on[c, t] == running)
            block.rows.add(block.again[c, t] <= block.started[t])
            block.rows.add(block.first[c, t] <= 1 - block.started[t])
    block.rows.add(block.started[0] == (block.served if is_running(job) else 0))
    for t in range(n_slots):
        firsts = sum(block.first[c, t] for c in configurations)
        block.rows.add(block.started[t + 1] == block.started[t] + firsts)
    block.rows.add(block.started[n_slots] == block.served)
    pauses = sum(block.again.values())
    if job.pausing is None:
        block.rows.add(pauses == 0)
    elif job.pausing.max_pauses is not None:
        block.rows.add(pauses <= job.pausing.max_pauses)


def label(point: OperatingPoint) -> str:
    """Name the point's configuration."""
    return f"{point.site}/{point.pool}/{point.gpus}"


def pinned_configuration(job: Job) -> str | None:
    """Configuration a running job is in before the horizon; ``None`` where it does not run."""
    if not is_running(job):
        return None
    assert job.pin is not None
    return label(job.point(job.pin.point))


def restart(job: Job, block: Any, c: str, t: int) -> Any:
    """Whether a restart begins in slot t: any later piece, and the first of a paused job."""
    if job.had_started and not is_running(job):
        return block.first[c, t] + block.again[c, t]
    return block.again[c, t]


def _add_work(
    problem: Problem,
    job: Job,
    points: tuple[OperatingPoint, ...],
    configurations: Configurations,
    block: Any,
) -> None:
    """Work adds up slot by slot; it stops in the slot that completes it, which is needed."""
    n_slots, slot_hours = problem.horizon.n_slots, problem.horizon.slot_hours
    rate = {p.name: p.work_per_hour * slot_hours for p in points}
    lost_slots = job.pausing.restart_slots if job.pausing else 0
    lost = {
        c: lost_slots * max(rate[p.name] for p in points if label(p) == c) for c in configurations
    }
    block.done = pyo.Var(range(n_slots))
    for t in range(n_slots):
        before = block.done[t - 1] if t > 0 else 0
        gained = sum(rate[p.name] * block.run[p.name, t] for p in points)
        lapsed = sum(lost[c] * restart(job, block, c, t) for c in configurations)
        block.rows.add(block.done[t] == before + gained - lapsed)
    total, tolerance = block.done[n_slots - 1], 1e-6 * max(1.0, job.work)
    block.rows.add(total >= (job.work - tolerance) * block.served)
    big = n_slots * (max(rate.values()) + max(lost.values())) + job.work
    for t in range(n_slots):
        is_last = block.finished[t + 1] - block.finished[t]
        block.rows.add(is_last <= sum(block.run[p.name, t] for p in points))
        for p in points:
            block.rows.add(block.run[p.name, t] <= 1 - block.finished[t])
            both = 2 - block.run[p.name, t] - is_last
            needed = job.work - LAST_SLOT_MARGIN
            block.rows.add(total - rate[p.name] <= needed + big * both)


def _add_piece_lengths(
    problem: Problem,
    job: Job,
    points: tuple[OperatingPoint, ...],
    configurations: Configurations,
    block: Any,
) -> None:
    """A piece that stops has lasted its minimum; one begun by a restart outlasts the restart."""
    n_slots, slot_hours = problem.horizon.n_slots, problem.horizon.slot_hours
    if job.pausing is None:
        return
    least = min(math.ceil(job.work / (p.work_per_hour * slot_hours) - 1e-9) for p in points)
    minimum = min(job.pausing.min_run_slots, max(1, least))
    block.length = pyo.Var(configurations, range(n_slots), bounds=(0, 3 * n_slots))
    for c in configurations:
        # A piece already running has lasted long enough, whatever it has lasted.
        long_ago = 2 * n_slots if c == pinned_configuration(job) else 0
        for t in range(n_slots):
            before = block.length[c, t - 1] if t > 0 else long_ago
            block.rows.add(block.length[c, t] <= before + 1)
            block.rows.add(block.length[c, t] <= 3 * n_slots * block.on[c, t])
            block.rows.add(block.length[c, t] >= minimum * block.stop[c, t + 1])
            for later in range(t, t + job.pausing.restart_slots + 1):
                still_on = block.on[c, later] if later < n_slots else 0
                block.rows.add(still_on >= restart(job, block, c, t))


def _add_pin(problem: Problem, job: Job, block: Any) -> None:
    """It runs at the pinned point from the pin's start until the pin, or the job, ends."""
    n_slots = problem.horizon.n_slots
    if job.pin is None:
        return
    if job.pin.start_slot >= n_slots:
        block.rows.add(block.served == 0)
        return
    for t in range(min(job.pin.start_slot + job.pin.n_slots, n_slots)):
        if t < job.pin.start_slot:
            block.rows.add(sum(block.on[:, t]) == 0)
        elif (job.pin.point, t) in block.run:
            block.rows.add(block.run[job.pin.point, t] >= block.served - block.finished[t])
        else:
            block.rows.add(block.served == 0)


def _add_draw_and_costs(
    problem: Problem,
    rows: JobRows,
    points: tuple[OperatingPoint, ...],
    configurations: Configurations,
    block: Any,
) -> None:
    """Power while running, of restarts and of the data transfer; money of each."""
    job, n_slots, slot_hours = rows.job, problem.horizon.n_slots, problem.horizon.slot_hours
    for p in points:
        for t in range(n_slots):
            rows.draw(p.site, t, p.power_kw * block.run[p.name, t])
    for c, site in configurations.items():
        n_transfer = _transfer_slots(problem, job, site)
        for t in range(n_slots):
            if t < job.release_slot + n_transfer and not is_running(job):
                block.rows.add(block.first[c, t] == 0)
            for before in range(t - n_transfer, t) if t >= n_transfer else ():
                link = _link(problem, job, site)
                assert link is not None
                kwh = _size_gb(job, site) * link.kwh_per_gb
                rows.draw(site, before, kwh / (n_transfer * slot_hours) * block.first[c, t])
            if job.pausing is not None:
                begins = restart(job, block, c, t)
                rows.draw(site, t, job.pausing.restart_kwh / slot_hours * begins)
                rows.restarts_eur += job.pausing.restart_eur * begins
    _add_costs(problem, rows, block)


def _add_costs(problem: Problem, rows: JobRows, block: Any) -> None:
    job, n_slots = rows.job, problem.horizon.n_slots
    for site in block.at:
        if needs_transfer(job, site):
            link = _link(problem, job, site)
            assert link is not None
            rows.data_transfer_eur += _size_gb(job, site) * link.eur_per_gb * block.at[site]
    if job.due_slot is not None:
        for t in range(n_slots):
            slots_late = max(0, t + 1 - job.due_slot)
            is_last = block.finished[t + 1] - block.finished[t]
            price = job.lateness_eur_per_slot * job.priority
            rows.lateness_eur += price * slots_late * is_last
    if job.announced is not None and not is_running(job):
        as_announced = [
            block.first[c, t]
            for c, t in block.first
            if (c.split("/")[0], t) == (job.announced.site, job.announced.start_slot)
        ]
        rows.churned = 1 - sum(as_announced)
