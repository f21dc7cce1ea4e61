"""A good feasible plan at once: jobs one after another at marginal cost, then batteries.

``greedy`` starts the exact search and stands in for it where it fails; ``latest_safe_start`` is the
last rung, for when nothing else may be trusted: every job as late as it still meets its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from optimizer.baselines import default_points, run_now
from optimizer.dispatch import StorageFlows, dispatch, idle, idle_dispatch, settled_plan
from optimizer.jobs import Job
from optimizer.placements.priced import EnergyAtPrices, Offer, Priced, cheapest, cheapest_at
from optimizer.plan import Placement, Plan, Rung, SlotPrices, Unserved
from optimizer.problem import Problem
from optimizer.reasons import no_place, priced_out
from optimizer.room import (
    EarlyOrLate,
    Room,
    WhereCarried,
    by_precedence,
    gpu_prices_of,
    in_one_piece,
    least_slots,
)
from optimizer.settlement import left_out_eur
from optimizer.solving.marginal import MarginalCost, marginal_cost, tariffs_of
from optimizer.solving.storage_rule import operate_storage

Floats = NDArray[np.float64]

_IMPROVED = 2
"""How many of the orders tried are worth improving."""

_SWEEPS = 2
"""How often every job is put back around the batteries, and these are operated anew."""


def greedy(problem: Problem, prices: SlotPrices | None = None) -> Plan:
    """Place jobs one by one where they cost least on top of those placed before.

    Pinned jobs come first, then those with least slack. A job whose cheapest place costs more than
    leaving it, and all that waits for it, out is left out. The result is always a feasible plan,
    and no dearer than running now.

    Parameters
    ----------
    prices
        Duals of the LP relaxation. Jobs are first placed at these: they know what batteries, peaks
        and other jobs will do. ``None``: at marginal cost from the start.
    """
    tried = [run_now(problem).placements, _place(problem, _by_slack, prices)]
    if len(tried[-1]) < len(problem.jobs):
        tried.append(_place(problem, _by_value, prices))
    promising = sorted(tried, key=lambda placed: _idle_plan(problem, placed).objective)[:_IMPROVED]
    plans = [_improved(problem, placements) for placements in promising]
    best = min(plans, key=lambda plan: plan.objective)
    return replace(best, unserved=_reasons(problem, best))


def latest_safe_start(problem: Problem) -> Plan:
    """Run every job in one piece, as late as it meets its deadline where there is room.

    Jobs that others wait for leave them time. Batteries stay idle.
    """
    room = Room.of(problem)
    placements, left_out = [], []
    for job in by_precedence(problem.jobs, lambda job: (job.pin is None, -job.priority)):
        placement = _latest(room, job)
        if placement is None:
            left_out.append(no_place(room, in_one_piece(job), job.points))
        else:
            room.put(job, placement)
            placements.append(placement)
    flows = idle_dispatch(problem, placements)
    return settled_plan(problem, Rung.LATEST_SAFE_START, placements, left_out, flows)


Placements = tuple[Placement, ...]
Order = Callable[[Problem, Room], list[Job]]


def _place(problem: Problem, order: Order, prices: SlotPrices | None) -> Placements:
    """Place every job once."""
    room = Room.of(problem)
    costs = marginal_cost(room, tariffs_of(problem), np.zeros_like(room.it_load_kw))
    values = _values(problem)
    placements: list[Placement] = []
    for job in order(problem, room):
        guided = None if prices is None else _at_prices(costs, job, prices)
        priced = guided or _cheapest_now(costs, job)
        if priced is not None and priced.cost_eur <= values[job.name]:
            room.put(job, priced.placement)
            costs.pay_peaks(room.row(priced.placement.site))
            placements.append(priced.placement)
    return tuple(placements)


def _cheapest_now(costs: MarginalCost, job: Job) -> Priced | None:
    room, offer = costs.room, _offer(costs, job)
    found = (cheapest(room.problem, job, offer, window) for window in room.windows(job))
    return next((priced for priced in found if priced is not None), None)


def _offer(costs: MarginalCost, job: Job) -> Offer:
    """Return what energy costs ``job``, which shares a higher peak over the slots it runs in."""
    room = costs.room
    return room.offer(replace(costs, peak_slots=least_slots(room.problem, job, room.links)))


def _at_prices(costs: MarginalCost, job: Job, prices: SlotPrices) -> Priced | None:
    """Place ``job`` at ``prices`` where GPUs are free and the supply carries it."""
    room = costs.room
    at_prices = EnergyAtPrices(np.array(prices.it_eur_per_kwh), room.problem.horizon.slot_hours)
    energy = WhereCarried(room, at_prices)
    gpu_prices = gpu_prices_of(room.problem, prices)
    offer = replace(room.offer(energy), gpu_eur_per_gpu_hour=gpu_prices)
    found = (cheapest(room.problem, job, offer, window) for window in room.windows(job))
    return next((priced for priced in found if priced is not None), None)


def _values(problem: Problem) -> dict[str, float]:
    """Return what leaving a job out costs, with all that come after it [EUR]."""
    own = {job.name: left_out_eur(job, problem.weights) for job in problem.jobs}
    lost_with: dict[str, set[str]] = {job.name: {job.name} for job in problem.jobs}
    for job in reversed(by_precedence(problem.jobs, lambda _: ())):
        for before in job.after:
            lost_with[before] |= lost_with[job.name]
    return {name: sum(own[lost] for lost in sorted(others)) for name, others in lost_with.items()}


def _by_slack(problem: Problem, room: Room) -> list[Job]:
    """Pinned jobs, then those with least slack; of equal slack the one that holds most."""

    def rank(job: Job) -> tuple[float, ...]:
        slack = (
            room.latest_ends[job.name] - job.release_slot - least_slots(problem, job, room.links)
        )
        return (job.pin is None, slack, -_gpu_slots(room, job))

    return by_precedence(problem.jobs, rank)


def _by_value(problem: Problem, room: Room) -> list[Job]:
    """Pinned jobs, then those that lose most for the GPUs they hold if they are left out."""
    values = _values(problem)

    def rank(job: Job) -> tuple[float, ...]:
        return (job.pin is None, -values[job.name] / max(1.0, _gpu_slots(room, job)))

    return by_precedence(problem.jobs, rank)


def _gpu_slots(room: Room, job: Job) -> float:
    """GPUs times slots it holds, at most."""
    return max(point.gpus for point in job.points) * least_slots(room.problem, job, room.links)


def _idle_plan(problem: Problem, placements: Placements) -> Plan:
    """Return the plan of these placements with all batteries idle."""
    return _plan(problem, placements, {})


def _plan(problem: Problem, placements: Placements, storage: Mapping[str, StorageFlows]) -> Plan:
    """Return the plan of these placements and batteries; nobody is told why he is left out yet."""
    served = {placement.job for placement in placements}
    left_out = [
        Unserved(job.name, "", is_deferred=job.can_wait)
        for job in problem.jobs
        if job.name not in served
    ]
    flows = dispatch(problem, placements, storage)
    return settled_plan(problem, Rung.GREEDY, placements, left_out, flows)


def _improved(problem: Problem, placements: Placements) -> Plan:
    """Operate the batteries, place every job anew around them, and keep what is best."""
    plan = _idle_plan(problem, placements)
    storage: dict[str, StorageFlows] = {}
    for _ in range(_SWEEPS):
        placements = _replaced(problem, placements, storage)
        storage = _operated(problem, placements)
        for courses in (storage, {}):
            other = _plan(problem, placements, courses)
            plan = other if other.objective < plan.objective else plan
    return plan


def _replaced(
    problem: Problem, placements: Placements, storage: Mapping[str, StorageFlows]
) -> Placements:
    """Take each free job out and put it back where it costs least, the rest as it stands.

    Jobs left out get another chance in the end. Those that others wait for stay where they are.
    """
    jobs = {job.name: job for job in problem.jobs}
    costs = _filled(problem, placements, _battery_kw(problem, storage))
    room, placed = costs.room, {placement.job: placement for placement in placements}
    has_followers = {before for job in problem.jobs for before in job.after}
    for name, placement in list(placed.items()):
        job = jobs[name]
        if job.pin is not None or name in has_followers:
            continue
        room.put(job, placement, sign=-1)
        costs.repay_peaks(room.row(placement.site))
        priced = _cheapest_now(costs, job)
        placed[name] = priced.placement if priced is not None else placement
        room.put(job, placed[name])
        costs.pay_peaks(room.row(placed[name].site))
    values = _values(problem)
    for job in by_precedence(problem.jobs, lambda _: ()):
        if job.name in placed:
            continue
        priced = _cheapest_now(costs, job)
        if priced is not None and priced.cost_eur <= values[job.name]:
            placed[job.name] = priced.placement
            room.put(job, priced.placement)
            costs.pay_peaks(room.row(priced.placement.site))
    return tuple(placed.values())


def _reasons(problem: Problem, plan: Plan) -> tuple[Unserved, ...]:
    """Say of every job that ``plan`` leaves out what it would cost to add it, or what bars it."""
    jobs = {job.name: job for job in problem.jobs}
    battery_kw = np.zeros((len(problem.sites), problem.horizon.n_slots))
    for row, flow in enumerate(plan.flows):
        battery_kw[row] += np.sum(flow.charge_kw, axis=0) - np.sum(flow.discharge_kw, axis=0)
    costs = _filled(problem, plan.placements, battery_kw)
    left_out = [jobs[unserved.job] for unserved in plan.unserved]
    at_what = "added to the plan,"
    return tuple(priced_out(costs.room, job, _offer(costs, job), at_what) for job in left_out)


def _filled(problem: Problem, placements: Placements, battery_kw: Floats) -> MarginalCost:
    """Return costs on top of all placements and of the batteries' load [site, slot]."""
    return marginal_cost(Room.filled(problem, placements), tariffs_of(problem), battery_kw)


def _battery_kw(problem: Problem, storage: Mapping[str, StorageFlows]) -> Floats:
    """Load of the batteries: charge less discharge [site, slot]."""
    courses = [storage.get(site.name) or idle(site) for site in problem.sites]
    return np.array([(c.charge_kw - c.discharge_kw).sum(axis=0) for c in courses])


def _operated(problem: Problem, placements: Placements) -> dict[str, StorageFlows]:
    """Operate the batteries of every site against the load of the placements."""
    costs = _filled(problem, placements, _battery_kw(problem, {}))
    return {
        site.name: operate_storage(
            problem, site, costs.tariffs[row], costs.load_kw(row), costs.peaks_kw[row]
        )
        for row, site in enumerate(problem.sites)
        if site.storage
    }


def _latest(room: Room, job: Job) -> Placement | None:
    """Return the latest run in one piece, at the sites' default points if one of them will do."""
    energy = WhereCarried(room, EarlyOrLate(is_late=True, n_slots=room.problem.horizon.n_slots))
    offer = room.offer(energy if job.pin is None else energy.cost)
    plain = in_one_piece(job)
    for points in (default_points(room, job), job.points):
        for window in room.windows(job):
            found = [cheapest_at(room.problem, plain, point, offer, window) for point in points]
            possible = [priced.placement for priced in found if priced is not None]
            if possible:
                return max(possible, key=lambda placement: placement.start_slot)
    return None
