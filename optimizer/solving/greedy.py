"""A good feasible plan at once: jobs one after another at marginal cost, then batteries.

``greedy`` starts the exact search and stands in for it where it fails; ``latest_safe_start`` is the
last rung, for when nothing else may be trusted: every job as late as it still meets its deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.baselines import default_points, run_now
from optimizer.dispatch import StorageFlows, dispatch, idle, idle_dispatch, settled_plan
from optimizer.jobs import Job
from optimizer.obstacles import not_worth_it, unserved
from optimizer.placements.priced import EnergyAtPrices, Offer, Priced, cheapest, cheapest_at
from optimizer.plan import Placement, Plan, Rung, SlotPrices, Unserved
from optimizer.problem import Problem
from optimizer.room import (
    EarlyOrLate,
    Room,
    WhereCarried,
    by_precedence,
    gpu_prices_of,
    in_one_piece,
    least_slots,
)
from optimizer.settlement import is_churned
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
    queue = run_now(problem)
    tried = [_Decisions(queue.placements, queue.unserved), _place(problem, _by_slack, prices)]
    if tried[-1].left_out:
        tried.append(_place(problem, _by_value, prices))
    promising = sorted(tried, key=lambda tried: _idle_plan(problem, tried).objective)[:_IMPROVED]
    plans = [_improved(problem, decisions) for decisions in promising]
    return min(plans, key=lambda plan: plan.objective)


def latest_safe_start(problem: Problem) -> Plan:
    """Run every job in one piece, as late as it meets its deadline where there is room.

    Jobs that others wait for leave them time. Batteries stay idle.
    """
    room = Room.of(problem)
    placements, left_out = [], []
    for job in by_precedence(problem.jobs, lambda job: (job.pin is None, -job.priority)):
        placement = _latest(room, job)
        if placement is None:
            left_out.append(unserved(room, job))
        else:
            room.put(job, placement)
            placements.append(placement)
    flows = idle_dispatch(problem, placements)
    return settled_plan(problem, Rung.LATEST_SAFE_START, placements, left_out, flows)


@dataclass(frozen=True, slots=True)
class _Decisions:
    """Who runs how, and who is left out."""

    placements: tuple[Placement, ...]
    left_out: tuple[Unserved, ...]


_Order = Callable[[Problem, Room], list[Job]]


def _place(problem: Problem, order: _Order, prices: SlotPrices | None) -> _Decisions:
    """Place every job once."""
    room = Room.of(problem)
    costs = marginal_cost(room, tariffs_of(problem), np.zeros_like(room.it_load_kw))
    values = _values(problem)
    placements: list[Placement] = []
    left_out: list[Unserved] = []
    for job in order(problem, room):
        guided = None if prices is None else _at_prices(costs, job, prices)
        priced = guided or _cheapest_now(costs, job)
        if priced is None:
            left_out.append(unserved(room, job))
        elif priced.cost_eur > values[job.name]:
            left_out.append(not_worth_it(job, priced.cost_eur, values[job.name]))
        else:
            room.put(job, priced.placement)
            costs.pay_peak(room.row(priced.placement.site))
            placements.append(priced.placement)
    return _Decisions(tuple(placements), tuple(left_out))


def _cheapest_now(costs: MarginalCost, job: Job) -> Priced | None:
    room = costs.room
    at_margin = replace(costs, peak_slots=least_slots(room.problem, job, room.links))
    found = (
        cheapest(room.problem, job, room.offer(at_margin), window) for window in room.windows(job)
    )
    return next((priced for priced in found if priced is not None), None)


def _at_prices(costs: MarginalCost, job: Job, prices: SlotPrices) -> Priced | None:
    """Place ``job`` at ``prices`` where GPUs are free and the supply carries it."""
    room = costs.room
    at_prices = EnergyAtPrices(np.array(prices.it_eur_per_kwh), room.problem.horizon.slot_hours)
    energy = WhereCarried(room, at_prices)
    offer = Offer(energy, gpu_prices_of(room.problem, prices), room.free_gpus)
    found = (cheapest(room.problem, job, offer, window) for window in room.windows(job))
    return next((priced for priced in found if priced is not None), None)


def _values(problem: Problem) -> dict[str, float]:
    """Return what leaving a job out costs, with all that come after it [EUR]."""
    weights = problem.weights
    own = {
        job.name: (
            (
                job.unserved_eur
                if job.can_wait
                else weights.unserved * job.unserved_eur * job.priority
            )
            + weights.churn_eur_per_job * is_churned(job, None)
        )
        for job in problem.jobs
    }
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


def _idle_plan(problem: Problem, decisions: _Decisions) -> Plan:
    """Return the plan of these decisions with all batteries idle."""
    flows = idle_dispatch(problem, decisions.placements)
    return settled_plan(problem, Rung.GREEDY, decisions.placements, decisions.left_out, flows)


def _improved(problem: Problem, decisions: _Decisions) -> Plan:
    """Operate the batteries, place every job anew around them, and keep what is best."""
    plan = _idle_plan(problem, decisions)
    storage: dict[str, StorageFlows] = {}
    for _ in range(_SWEEPS):
        decisions = _replaced(problem, decisions, storage)
        storage = _operated(problem, decisions)
        for courses in (storage, {}):
            flows = dispatch(problem, decisions.placements, courses)
            other = settled_plan(
                problem, Rung.GREEDY, decisions.placements, decisions.left_out, flows
            )
            plan = other if other.objective < plan.objective else plan
    return plan


def _replaced(
    problem: Problem, decisions: _Decisions, storage: Mapping[str, StorageFlows]
) -> _Decisions:
    """Take each free job out and put it back where it costs least, the rest as it stands.

    Jobs left out get another chance in the end. Those that others wait for stay where they are.
    """
    jobs = {job.name: job for job in problem.jobs}
    costs = _filled(problem, decisions, storage)
    room, placed = costs.room, {placement.job: placement for placement in decisions.placements}
    has_followers = {before for job in problem.jobs for before in job.after}
    for name, placement in list(placed.items()):
        job = jobs[name]
        if job.pin is not None or name in has_followers:
            continue
        room.put(job, placement, sign=-1)
        priced = _cheapest_now(costs.with_peaks_of_now(), job)
        placed[name] = priced.placement if priced is not None else placement
        room.put(job, placed[name])
    values, left_out = _values(problem), []
    for reason in decisions.left_out:
        job = jobs[reason.job]
        priced = _cheapest_now(costs.with_peaks_of_now(), job)
        if priced is None or priced.cost_eur > values[job.name]:
            left_out.append(reason)
        else:
            placed[job.name] = priced.placement
            room.put(job, priced.placement)
    return _Decisions(tuple(placed.values()), tuple(left_out))


def _filled(
    problem: Problem, decisions: _Decisions, storage: Mapping[str, StorageFlows]
) -> MarginalCost:
    """Return costs on top of all placements and of the batteries."""
    room = Room.of(problem)
    jobs = {job.name: job for job in problem.jobs}
    for placement in decisions.placements:
        room.put(jobs[placement.job], placement)
    return marginal_cost(room, tariffs_of(problem), _battery_kw(problem, storage))


def _battery_kw(problem: Problem, storage: Mapping[str, StorageFlows]) -> Floats:
    """Load of the batteries: charge less discharge [site, slot]."""
    courses = [storage.get(site.name) or idle(site) for site in problem.sites]
    return np.array([(c.charge_kw - c.discharge_kw).sum(axis=0) for c in courses])


def _operated(problem: Problem, decisions: _Decisions) -> dict[str, StorageFlows]:
    """Operate the batteries of every site against the load of the placements."""
    costs = _filled(problem, decisions, {})
    return {
        site.name: operate_storage(
            problem, site, costs.tariffs[row], costs.load_kw(row), float(costs.peak_kw[row])
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
