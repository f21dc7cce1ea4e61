"""The cheapest placement of ONE job at given prices.

The greedy heuristic, quotes and explanations ask the same question: energy costs this
much, GPUs cost that much, these are free; how would this job run best? Inputs are an ``Offer`` and
a window; the answer is a placement and what it costs in the objective. It is exact for every job
that keeps to one operating point. An elastic job is offered its best single point; changing points
within a run is left to the model and to ``placements.batch``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import usable_points
from optimizer.placements.pausing import cheapest_pieces, costs_by_start
from optimizer.placements.slot_costs import (
    EnergyAtPrices,
    EnergyCost,
    Offer,
    Rhythm,
    WayCosts,
    Window,
    way_to_run,
)
from optimizer.plan import Placement, Run
from optimizer.problem import Problem

__all__ = [
    "EnergyAtPrices",
    "EnergyCost",
    "Offer",
    "Priced",
    "Window",
    "cheapest",
    "cheapest_at",
    "cheapest_each",
]

MOST_CELLS = 1_000_000
"""Cells of the tables that are worked on at once: bounds memory."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A placement and what it costs in the objective: energy, GPUs and the job's own terms."""

    placement: Placement
    cost_eur: float


def cheapest(
    problem: Problem, job: Job, offer: Offer, window: Window | None = None
) -> Priced | None:
    """Return the cheapest placement of ``job``, or ``None`` where it fits nowhere.

    Ties go to the point listed first, then to the earliest start.
    """
    points = usable_points(job, offer.links, problem.horizon.slot_hours)
    (found,) = cheapest_each(problem, job, points, offer, window)
    return min((priced for priced in found if priced), key=lambda p: p.cost_eur, default=None)


def cheapest_at(
    problem: Problem, job: Job, point: OperatingPoint, offer: Offer, window: Window | None = None
) -> Priced | None:
    """Return the cheapest placement of ``job`` at its usable ``point``, if there is one."""
    ((found,),) = cheapest_each(problem, job, (point,), offer, window)
    return found


def cheapest_each(
    problem: Problem,
    job: Job,
    points: Sequence[OperatingPoint],
    offer: Offer,
    window: Window | None = None,
    *,
    deadlines: Sequence[int] | None = None,
    barred_start: int | None = None,
) -> list[list[Priced | None]]:
    """Return the cheapest placement of ``job`` at each of its usable ``points``, all at once.

    Parameters
    ----------
    deadlines
        Slots by whose start it must be done, none later than its own deadline; there is a list of
        answers for each. ``None``: its own alone.
    barred_start
        A slot it may not first start in.
    """
    by_when = [problem.horizon.n_slots] if deadlines is None else list(deadlines)
    ends = sorted(set(by_when), reverse=True)
    alike: dict[Rhythm, list[_Asked]] = {}
    for column, point in enumerate(points):
        if job.pin is not None and job.pin.point != point.name:
            continue
        way = way_to_run(problem, job, point, offer, window)
        if way is not None:
            way = way if barred_start is None else _without_start(way, barred_start)
            alike.setdefault(way.rhythm, []).append(_Asked(column, point, way))
    answers: dict[int, list[Priced | None]] = {}
    for later, end in zip([None, *ends], ends, strict=False):
        answers[end] = [None] * len(points)
        for rhythm, asked in alike.items():
            left = asked
            if later is not None:
                left = list(_left(asked, answers[later], answers[end], end))
            for column, priced in _cheapest_of(job, rhythm, left, end):
                answers[end][column] = priced
    return [answers[end] for end in by_when]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One point, and where the answer goes."""

    column: int
    point: OperatingPoint
    way: WayCosts


def _left(
    asked: Sequence[_Asked],
    by_later: Sequence[Priced | None],
    by_end: list[Priced | None],
    end: int,
) -> Iterator[_Asked]:
    """Yield what a later deadline does not answer already.

    The cheapest by a later time that is done in time is the cheapest; where nothing fits by a later
    time, nothing does.
    """
    for one in asked:
        known = by_later[one.column]
        if known is not None and known.placement.end_slot <= end:
            by_end[one.column] = known
        elif known is not None:
            yield one


def _without_start(way: WayCosts, slot: int) -> WayCosts:
    start = way.start_eur.copy()
    start[0, way.lo_slot[0] + np.arange(start.shape[1]) == slot] = np.inf
    return replace(way, start_eur=start)


def _cheapest_of(
    job: Job, rhythm: Rhythm, asked: Sequence[_Asked], end: int
) -> Iterator[tuple[int, Priced]]:
    """Answer questions that share a window and ``rhythm``, done by ``end``.

    Yields the column and answer of those that fit.
    """
    if not asked:
        return
    lo = int(asked[0].way.lo_slot[0])
    width = min(end - lo, asked[0].way.run_eur.shape[1])
    if width < rhythm.n_slots:
        return
    n_each = max(1, MOST_CELLS // (width * rhythm.n_slots * (1 + len(rhythm.pause_slots))))
    for begin in range(0, len(asked), n_each):
        some = asked[begin : begin + n_each]
        ways = WayCosts(
            np.concatenate([one.way.lo_slot for one in some]),
            np.concatenate([one.way.n_slots for one in some]),
            np.concatenate([one.way.run_eur[:, :width] for one in some]),
            np.concatenate([one.way.start_eur[:, :width] for one in some]),
            np.concatenate([one.way.restart_eur[:, :width] for one in some]),
            np.concatenate([one.way.end_eur[:, : width + 1] for one in some]),
            rhythm,
        )
        total, table = costs_by_start(ways)
        for row, best in enumerate(total.argmin(axis=1).tolist()):
            if not math.isfinite(total[row, best]):
                continue
            pieces = [(best, best + rhythm.n_slots)]
            if table is not None:
                pieces = cheapest_pieces(ways, table, row, best)
            point = some[row].point
            runs = tuple(Run(point.name, lo + first, lo + last) for first, last in pieces)
            placement = Placement(job.name, point.site, runs)
            yield some[row].column, Priced(placement, float(total[row, best]))
