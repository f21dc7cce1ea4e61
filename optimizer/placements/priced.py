"""The cheapest placement of ONE job at given prices.

Column generation, the greedy heuristic and explanations ask the same question: energy costs this
much, GPUs cost that much, these are free; how would this job run best? Inputs are an ``Offer`` and
a window; the answer is a placement and what it costs in the objective. It is exact for every job
that keeps to one operating point. An elastic job is offered its best single point; changing points
within a run is left to the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import usable_points
from optimizer.placements.pausing import cheapest_pieces, costs_by_start
from optimizer.placements.slot_costs import (
    EnergyAtPrices,
    EnergyCost,
    Offer,
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
]


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
    found = [cheapest_at(problem, job, point, offer, window) for point in points]
    return min((priced for priced in found if priced), key=lambda p: p.cost_eur, default=None)


def cheapest_at(
    problem: Problem, job: Job, point: OperatingPoint, offer: Offer, window: Window | None = None
) -> Priced | None:
    """Return the cheapest placement of ``job`` at its usable ``point``, if there is one."""
    if job.pin is not None and job.pin.point != point.name:
        return None
    way = way_to_run(problem, job, point, offer, window)
    if way is None:
        return None
    total, table = costs_by_start(way)
    best = int(np.argmin(total[0]))
    if not math.isfinite(total[0, best]):
        return None
    one_piece = [(best, best + way.rhythm.n_slots)]
    pieces = one_piece if table is None else cheapest_pieces(way, table, 0, best)
    lo = int(way.lo_slot[0])
    runs = tuple(Run(point.name, lo + start, lo + end) for start, end in pieces)
    return Priced(Placement(job.name, point.site, runs), float(total[0, best]))
