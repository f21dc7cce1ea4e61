r"""CarbonScaler: as many GPUs as the next gram is worth.

Of the operating points of a site, each is a level on top of the one below it; i counts levels, w is
work and e cost of a slot. Slots and levels are taken in order of

.. math::
    \frac{e_{ti} - e_{t,i-1}}{w_i - w_{i-1}}                                          \tag{B4}

cheapest first, until the work is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.baselines.chances import prices_of
from optimizer.baselines.queueing import place_in_order
from optimizer.baselines.suspending import cheapest_pieces_of
from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
    lost_per_restart,
    min_run_slots,
    pieces_of,
    rate,
    restarts_of,
    usable_points,
    work_tolerance,
)
from optimizer.placements.priced import EnergyAtPrices, Window
from optimizer.placements.slot_costs import WayCosts, way_to_run
from optimizer.plan import Placement, Plan, Run
from optimizer.problem import Problem
from optimizer.room import Room, WhereCarried, in_one_piece

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ROUNDS = 20
"""How often the work that restarts lose is added and the job scaled anew."""


def carbon_scaler(problem: Problem) -> Plan:
    """Return the plan of a queue in which elastic jobs run wider while energy is cheap (B4).

    Hanafy et al., "CarbonScaler: Leveraging Cloud Workload Elasticity for Optimizing
    Carbon-Efficiency", POMACS 7(3), 2023: its greedy algorithm, in what GPUs and power the jobs
    before left. Levels that give less work for more energy than mixing two others are left out, as
    the paper asks for falling marginal work. Jobs that may not change their point while they run,
    or whose pieces come out shorter or more than they may be, wait as in ``wait_awhile``.
    """
    prices = prices_of(problem)

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        scaled = _scaled(room, job, window, prices)
        return scaled or cheapest_pieces_of(room, job, window, prices)

    return place_in_order(problem, place)


def _scaled(room: Room, job: Job, window: Window, prices: EnergyAtPrices) -> Placement | None:
    """Return the cheapest of the job scaled at each of its sites."""
    if not job.is_elastic or not job.may_pause or job.pin is not None:
        return None
    usable = usable_points(job, room.links, room.problem.horizon.slot_hours)
    best: tuple[float, Placement] | None = None
    for site in dict.fromkeys(point.site for point in usable):
        levels = levels_of([point for point in usable if point.site == site])
        found = _scaled_at(room, job, window, levels, prices)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return None if best is None else best[1]


def levels_of(points: Sequence[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """Return the points of one site whose marginal work for a kWh falls, slowest first."""
    hull: list[OperatingPoint] = []
    for point in sorted(points, key=lambda one: (one.work_per_hour, one.power_kw)):
        if hull and point.work_per_hour <= hull[-1].work_per_hour:
            continue
        while hull and _slope(hull[-2] if len(hull) > 1 else None, hull[-1]) >= _slope(
            hull[-1], point
        ):
            hull.pop()
        hull.append(point)
    return tuple(hull)


def _slope(below: OperatingPoint | None, above: OperatingPoint) -> float:
    """Energy per work on top of ``below`` [kWh/work]."""
    if below is None:
        return above.power_kw / above.work_per_hour
    return (above.power_kw - below.power_kw) / (above.work_per_hour - below.work_per_hour)


def _scaled_at(
    room: Room,
    job: Job,
    window: Window,
    levels: tuple[OperatingPoint, ...],
    prices: EnergyAtPrices,
) -> tuple[float, Placement] | None:
    """Scale the job at one site: cost and placement; ``None`` where its pausing forbids it."""
    problem, hours = room.problem, room.problem.horizon.slot_hours
    offer = room.offer(WhereCarried(room, prices))
    # A job of hardly any work has the whole window at every level.
    brief = replace(in_one_piece(job), work=min(rate(level, hours) for level in levels))
    found = [way_to_run(problem, brief, level, offer, window) for level in levels]
    ways = [way for way in found if way is not None]
    if len(ways) < len(levels):
        return None
    eur = np.array([way.run_eur[0] for way in ways])
    per_slot = [rate(level, hours) for level in levels]
    lost = 0.0
    for _ in range(_ROUNDS):
        chosen = fill(eur, per_slot, job.work + lost)
        if chosen is None:
            return None
        scaling = _Scaling(job, levels, chosen, int(ways[0].lo_slot[0]))
        if scaling.done(room) >= job.work - work_tolerance(job.work):
            needed = scaling.trimmed(room)
            used = np.flatnonzero(needed.chosen >= 0)
            cost = float(eur[needed.chosen[used], used].sum())
            can = _keeps(room, job, needed.placement) and _can_begin(needed, ways)
            return (cost, needed.placement) if can else None
        lost = scaling.lost(room)
    return None


@dataclass(frozen=True, slots=True)
class _Scaling:
    """A job at a level in each slot from ``lo_slot`` on, -1 for none."""

    job: Job
    levels: tuple[OperatingPoint, ...]
    chosen: Ints
    lo_slot: int

    @property
    def placement(self) -> Placement:
        """The same as runs."""
        runs: list[Run] = []
        for slot in np.flatnonzero(self.chosen >= 0).tolist():
            name, at = self.levels[self.chosen[slot]].name, self.lo_slot + slot
            if runs and runs[-1].point == name and runs[-1].end_slot == at:
                runs[-1] = Run(name, runs[-1].start_slot, at + 1)
            else:
                runs.append(Run(name, at, at + 1))
        return Placement(self.job.name, self.levels[0].site, tuple(runs))

    def lost(self, room: Room) -> float:
        """Work that its restarts lose."""
        hours = room.problem.horizon.slot_hours
        restarts = restarts_of(self.job, pieces_of(self.job, self.placement))
        return sum(
            lost_per_restart(self.job, one.configuration, room.links, hours) for one in restarts
        )

    def done(self, room: Room) -> float:
        """Work that is done."""
        hours = room.problem.horizon.slot_hours
        work = [rate(self.levels[level], hours) for level in self.chosen[self.chosen >= 0]]
        return sum(work) - self.lost(room)

    def trimmed(self, room: Room) -> _Scaling:
        """Return it without the last slots, as far as the work is done without them."""
        scaling = self
        while True:
            fewer = scaling.chosen.copy()
            fewer[np.flatnonzero(fewer >= 0)[-1]] = -1
            without = replace(scaling, chosen=fewer)
            if not (fewer >= 0).any() or without.done(room) < self.job.work - 1e-9:
                return scaling
            scaling = without


def fill(eur: Floats, work: Sequence[float], to_do: float) -> Ints | None:
    """Return the level of each slot, -1 for none, taken by (B4); ``None``: too little room.

    Parameters
    ----------
    eur
        Cost of running a slot at each level [level, slot]; infinite where there is no room.
    work
        Work done in a slot at each level, rising.
    """
    chosen = np.full(eur.shape[1], -1, dtype=np.int64)
    left = to_do
    for _, slot, level in sorted(_steps(eur, work)):
        if left <= work_tolerance(to_do):
            break
        # Where energy is paid for, a level comes before those below it, and brings them.
        if level > chosen[slot]:
            before = work[chosen[slot]] if chosen[slot] >= 0 else 0.0
            left -= work[level] - before
            chosen[slot] = level
    return chosen if left <= work_tolerance(to_do) else None


def _steps(eur: Floats, work: Sequence[float]) -> Iterator[tuple[float, int, int]]:
    """Yield cost per work of each level on top of the one below it, its slot and the level."""
    for slot in range(eur.shape[1]):
        below_eur, below_work = 0.0, 0.0
        for level, done in enumerate(work):
            if not np.isfinite(eur[level, slot]):
                break
            per_work = (float(eur[level, slot]) - below_eur) / (done - below_work)
            yield per_work, slot, level
            below_eur, below_work = float(eur[level, slot]), done


def _keeps(room: Room, job: Job, placement: Placement) -> bool:
    """Whether its pieces are as long, and its pauses as few, as they must be."""
    if job.pausing is None:
        return False
    least = min_run_slots(job, room.links, room.problem.horizon.slot_hours)
    least = max(least, job.pausing.restart_slots + 1 if job.pausing.restart_slots else 1)
    pieces = pieces_of(job, placement)
    limit = job.pausing.max_pauses
    is_few = limit is None or len(pieces) - 1 <= limit
    return is_few and all(piece.n_slots >= least for piece in pieces)


def _can_begin(scaling: _Scaling, ways: Sequence[WayCosts]) -> bool:
    """Whether its first run and every restart may begin where they do."""
    job, placement = scaling.job, scaling.placement
    way_of = {level.name: way for level, way in zip(scaling.levels, ways, strict=True)}
    restarts = {piece.start_slot for piece in restarts_of(job, pieces_of(job, placement))}
    costs = [
        way_of[run.point].restart_eur[0, run.start_slot - scaling.lo_slot]
        for run in placement.runs
        if run.start_slot in restarts
    ]
    first = placement.runs[0]
    costs.append(way_of[first.point].start_eur[0, first.start_slot - scaling.lo_slot])
    return bool(np.isfinite(costs).all())
