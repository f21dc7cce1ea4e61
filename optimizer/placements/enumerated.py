r"""Jobs that run in one piece at one point: every (point, start) is a column.

.. math::
    \sum_{p,t} x_{pt} \le 1                                                    \tag{P1} \\
    F_t = F_{t-1} + \sum_p x_{pt}                                              \tag{P2}

``x`` is 1 if the job starts in slot t at point p; its length follows from the point. What awkward
things it does besides (data transfer, lateness, churn) is the column's power and cost. ``F``, has
started by t, and its like for ends are there only where precedence asks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyomo.environ as pyo

from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.pieces import begins_with_restart, lost_per_restart, min_run_slots
from optimizer.placements.interface import JobTerms, LinearSum, PoolSlot, ShedSlot, SitePower
from optimizer.placements.job_costs import cost_if_left_out, fixed_costs
from optimizer.placements.ways import Surroundings, Way, free_slots
from optimizer.plan import Placement, Run
from optimizer.settlement import is_churned, lateness_eur

Column = tuple[str, int]
"""(point, first run slot)."""

Columns = Mapping[Column, tuple[Way, Placement]]
"""Every placement of a job, with the way it runs in."""

BySlot = Callable[[int], LinearSum]
"""How much of a job has started, or is done, by a slot."""


def runs_in_one_piece(job: Job, ways: Iterable[Way], around: Surroundings) -> bool:
    """Whether every placement of ``job`` is one piece at one point.

    A job that may pause still cannot where two pieces of least length would be longer than the job
    with one restart.
    """
    if job.is_elastic:
        return False
    if job.pausing is None:
        return True
    is_running = job.pin is not None and job.pin.is_running
    if begins_with_restart(job) or is_running:
        return False
    if job.pausing.max_pauses == 0:
        return True
    hours = around.horizon.slot_hours
    first = min_run_slots(job, around.links, hours)
    second = max(first, job.pausing.restart_slots + 1)
    return all(
        slots_to_do(
            job.work + lost_per_restart(job, point.configuration, around.links, hours), point, hours
        )
        < first + second
        for way in ways
        for point in way.points
    )


def columns_of(job: Job, ways: Iterable[Way], around: Surroundings) -> Columns:
    """Every placement of ``job``, which runs in one piece; none where GPUs never suffice for it."""
    return {
        (way.points[0].name, start): (way, _placement(job, way, start, around))
        for way in ways
        for start in _starts(job, way, around)
    }


def add_enumerated(
    block: pyo.Block, job: Job, placements: Columns, around: Surroundings
) -> JobTerms:
    """Add the columns of ``job``, of which there is at least one, and (P1) to ``block``."""
    starts = block.starts = pyo.Var(list(placements), within=pyo.Binary)
    served = LinearSum.of(starts.values())
    block.at_most_once = pyo.Constraint(expr=served.expression() <= 1)  # (P1)

    power: dict[SitePower, LinearSum] = {}
    gpus: dict[PoolSlot, LinearSum] = {}
    shed: dict[ShedSlot, LinearSum] = {}
    costs = cost_if_left_out(job)
    for column, (way, placement) in placements.items():
        _add_column(starts[column], job, way, placement, power, gpus)
        _add_shed(starts[column], job, placement, shed)
        for term, cost in _column_costs(job, way, placement).items():
            costs[term].add(cost, starts[column])
    started_by, finished_by = _progress(block, job, placements, around)

    def set_start(placement: Placement | None) -> None:
        chosen = None if placement is None else (placement.runs[0].point, placement.start_slot)
        for column, x in starts.items():
            x.set_value(int(column == chosen))

    def read() -> Placement | None:
        return next((placements[c][1] for c, x in starts.items() if x.value > 0.5), None)

    first_starts = [start for _, start in placements]
    return JobTerms(
        job=job.name,
        it_power_kw=power,
        gpus=gpus,
        shed_kw=shed,
        costs=costs,
        start_slots=range(min(first_starts), max(first_starts) + 1),
        started_by=started_by,
        finished_by=finished_by,
        set_start=set_start,
        read=read,
    )


def _add_column(
    x: Any,
    job: Job,
    way: Way,
    placement: Placement,
    power: dict[SitePower, LinearSum],
    gpus: dict[PoolSlot, LinearSum],
) -> None:
    """Add what one placement draws and holds, slot by slot."""
    point = job.point(placement.runs[0].point)
    for t in range(placement.start_slot, placement.end_slot):
        power.setdefault((way.site, t), LinearSum()).add(point.power_kw, x)
        gpus.setdefault((way.site, point.pool, t), LinearSum()).add(point.gpus, x)
    for t in range(placement.start_slot - way.transfer.n_slots, placement.start_slot):
        power.setdefault((way.site, t), LinearSum()).add(way.transfer.it_kw, x)


def _add_shed(x: Any, job: Job, placement: Placement, shed: dict[ShedSlot, LinearSum]) -> None:
    """Add what of one placement can be shed."""
    point = job.point(placement.runs[0].point)
    if point.shed_kw > 0:
        for t in range(placement.start_slot, placement.end_slot):
            key = point.site, point.shed_within_s, t
            shed.setdefault(key, LinearSum()).add(point.shed_kw, x)


def _column_costs(job: Job, way: Way, placement: Placement) -> dict[str, float]:
    """Return what one placement changes in the job's terms."""
    return {
        **fixed_costs(job, way),
        "lateness_eur": lateness_eur(job, placement.end_slot),
        "churned_jobs": float(is_churned(job, placement)) - float(is_churned(job, None)),
    }


def _progress(
    block: pyo.Block,
    job: Job,
    placements: Columns,
    around: Surroundings,
) -> tuple[BySlot, BySlot]:
    """Return started-by and finished-by, with variables only where precedence asks for them."""
    started_by = finished_by = _unused
    if job.after:
        block.started = pyo.Block()
        starts = [(start, block.starts[point, start]) for point, start in placements]
        started_by = _cumulative(block.started, starts)
    if job.name in around.awaited:
        block.finished = pyo.Block()
        ends = [(placed.end_slot, block.starts[c]) for c, (_, placed) in placements.items()]
        finished_by = _cumulative(block.finished, ends)
    return started_by, finished_by


def _nothing(_: int) -> LinearSum:
    return LinearSum()


_unused: BySlot = _nothing
"""Stands for a sum of a job that no precedence asks about."""


def _cumulative(block: pyo.Block, columns: Sequence[tuple[int, Any]]) -> BySlot:
    """Add (P2) and return its variables: what of ``columns`` (slot, variable) is at or before t.

    A sum per row instead would make precedence dense: half of all coefficients of a model.
    """
    at: dict[int, list[Any]] = {}
    for slot, x in columns:
        at.setdefault(slot, []).append(x)
    slots = sorted(at)
    block.by = pyo.Var(slots, bounds=(0, 1))

    def adds_up(_: pyo.Block, k: int) -> Any:
        row = LinearSum.of(at[slots[k]])
        row.add(-1.0, block.by[slots[k]])
        if k > 0:
            row.add(1.0, block.by[slots[k - 1]])
        return row.expression() == 0

    block.adds_up = pyo.Constraint(range(len(slots)), rule=adds_up)  # (P2)

    def by(slot: int) -> LinearSum:
        known = bisect_right(slots, slot)
        return LinearSum.of([block.by[slots[known - 1]]] if known else [])

    return by


def _placement(job: Job, way: Way, start: int, around: Surroundings) -> Placement:
    point = way.points[0]
    n_slots = slots_to_do(job.work, point, around.horizon.slot_hours)
    return Placement(job.name, way.site, (Run(point.name, start, start + n_slots),))


def _starts(job: Job, way: Way, around: Surroundings) -> list[int]:
    """Slots from which the job can run to its end without a gap."""
    point: OperatingPoint = way.points[0]
    n_slots = slots_to_do(job.work, point, around.horizon.slot_hours)
    free = set(free_slots(job, way, point, around))
    return [
        start
        for start in range(way.first_slot, way.end_slot - n_slots + 1)
        if (job.pin is None or start == job.pin.start_slot)
        and free.issuperset(range(start, start + n_slots))
    ]
