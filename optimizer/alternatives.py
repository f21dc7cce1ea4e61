"""What one job of a plan costs where it stands, and what stands in the way elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job
from optimizer.placements.priced import EnergyAtPrices, Offer, Window, cheapest_each
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import (
    EarlyOrLate,
    PoolKey,
    Room,
    WhereCarried,
    added_it_kw,
    gpu_prices_of,
    in_one_piece,
)
from optimizer.settlement import is_churned, left_out_eur, own_costs
from optimizer.tariffs import import_eur_per_kwh

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stand:
    """One job in a plan whose other jobs stay where they are.

    Attributes
    ----------
    room
        What the other jobs leave.
    must_end
        Slot by whose start it must be done, and the job that then starts; the deadline has no job.
    name_slot
        How to write the start of a slot.
    """

    room: Room
    job: Job
    placement: Placement | None
    it_eur_per_kwh: Floats
    gpu_eur_per_gpu_hour: dict[PoolKey, Floats]
    must_end: tuple[int, str | None]
    name_slot: Callable[[int], str]

    @property
    def cost_eur(self) -> float:
        """What it costs as planned: running, or being left out."""
        if self.placement is not None:
            return self.cost_of(self.placement)
        return left_out_eur(self.job, self.room.problem.weights)

    @property
    def carbon_kg(self) -> float:
        """What it emits as planned."""
        return self.carbon_of(self.placement) if self.placement is not None else 0.0

    def cost_of(self, placement: Placement) -> float:
        """Weighted cost of ``placement``: energy and GPUs at prices, and the job's own terms."""
        problem, job = self.room.problem, self.job
        hours, weights = problem.horizon.slot_hours, problem.weights
        row = self.room.row(placement.site)
        added_kw = added_it_kw(problem, job, placement, self.room.links)
        cost = float(added_kw @ self.it_eur_per_kwh[row]) * hours
        cost += gpu_hours_eur(job, placement, self.gpu_eur_per_gpu_hour, hours)
        own = own_costs(job, placement, self.room.links, hours)
        cost += own.weighted_eur(weights)
        return cost + weights.churn_eur_per_job * is_churned(job, placement)

    def carbon_of(self, placement: Placement) -> float:
        """Carbon of ``placement`` as if all its energy were imported [kg]."""
        problem = self.room.problem
        site = problem.sites[self.room.row(placement.site)]
        added_kw = added_it_kw(problem, self.job, placement, self.room.links)
        grams = added_kw * np.asarray(site.pue) @ np.asarray(site.grid.carbon_g_per_kwh)
        return float(grams) * problem.horizon.slot_hours / 1000.0

    def windows(self) -> Window | None:
        """Slots it may run in between the jobs before and after it; ``None`` if there are none."""
        windows = self.room.windows(self.job)
        if not windows:
            return None
        return Window(windows[-1].start_slot, self.must_end[0])


@dataclass(frozen=True, slots=True)
class FilledPlan:
    """A plan put into a room, from which one job after another is taken out and put back.

    ``followers`` are the starts of the jobs that come after each job, with their names.
    """

    room: Room
    placements: Mapping[str, Placement]
    followers: Mapping[str, Sequence[tuple[int, str]]]
    it_eur_per_kwh: Floats
    gpu_eur_per_gpu_hour: dict[PoolKey, Floats]

    @classmethod
    def of(cls, problem: Problem, plan: Plan) -> FilledPlan:
        """Put every placement of ``plan`` in."""
        placements = {placement.job: placement for placement in plan.placements}
        followers: dict[str, list[tuple[int, str]]] = {}
        for job in problem.jobs:
            if job.name in placements:
                for before in job.after:
                    start = placements[job.name].start_slot
                    followers.setdefault(before, []).append((start, job.name))
        room = Room.filled(problem, plan.placements)
        return cls(room, placements, followers, *_prices(problem, plan))

    @contextmanager
    def without(self, job: Job, name_slot: Callable[[int], str]) -> Iterator[Stand]:
        """Take ``job`` out and leave the rest; it is put back in the end."""
        placement = self.placements.get(job.name)
        deadline = min(job.deadline_slot, self.room.problem.horizon.n_slots)
        must_end: tuple[int, str | None] = min(
            self.followers.get(job.name, ()), default=(deadline, None)
        )
        if must_end[0] > deadline:
            must_end = (deadline, None)
        prices = self.it_eur_per_kwh, self.gpu_eur_per_gpu_hour
        if placement is not None:
            self.room.put(job, placement, sign=-1)
        try:
            yield Stand(self.room, job, placement, *prices, must_end, name_slot)
        finally:
            if placement is not None:
                self.room.put(job, placement)


def _prices(problem: Problem, plan: Plan) -> tuple[Floats, dict[PoolKey, Floats]]:
    """Slot prices of the plan, else those of imported energy and GPUs for nothing."""
    if plan.prices is None:
        pue = np.array([site.pue for site in problem.sites])
        nothing = np.zeros(problem.horizon.n_slots)
        keys = [(site.name, pool.name) for site in problem.sites for pool in site.pools]
        return import_eur_per_kwh(problem) * pue, dict.fromkeys(keys, nothing)
    gpu_prices = gpu_prices_of(problem, plan.prices)
    return np.array(plan.prices.it_eur_per_kwh), gpu_prices


def gpu_hours_eur(
    job: Job, placement: Placement, eur_per_gpu_hour: Mapping[PoolKey, Floats], slot_hours: float
) -> float:
    """Price of the GPUs that ``placement`` holds [EUR], given that of a GPU-hour [slot]."""
    cost = 0.0
    for run in placement.runs:
        point = job.point(run.point)
        price = eur_per_gpu_hour[point.site, point.pool]
        cost += point.gpus * slot_hours * float(price[run.start_slot : run.end_slot].sum())
    return cost


def _energy(stand: Stand) -> EnergyAtPrices:
    return EnergyAtPrices(stand.it_eur_per_kwh, stand.room.problem.horizon.slot_hours)


def free_offer(stand: Stand) -> Offer:
    """Return GPUs and power as the other jobs leave them."""
    energy = WhereCarried(stand.room, _energy(stand))
    return replace(stand.room.offer(energy), gpu_eur_per_gpu_hour=stand.gpu_eur_per_gpu_hour)


def open_offer(stand: Stand) -> Offer:
    """Return any GPUs and any power: what the job would do if it were alone."""
    anything = np.full(stand.room.problem.horizon.n_slots, np.inf)
    unlimited = dict.fromkeys(stand.room.free_gpus, anything)
    return Offer(_energy(stand), stand.gpu_eur_per_gpu_hour, unlimited, stand.room.links)


def earliest(stand: Stand, window: Window, *, is_alone: bool) -> Placement | None:
    """Return the placement that starts first; of those, the cheapest.

    ``is_alone``: as if the job had all GPUs and power for itself.
    """
    room, plain = stand.room, in_one_piece(stand.job)
    by_time = EarlyOrLate(room.problem.horizon.n_slots, is_late=False)
    offer = room.offer(by_time if is_alone else WhereCarried(room, by_time))
    if is_alone:
        offer = replace(offer, free_gpus=open_offer(stand).free_gpus)
    (found,) = cheapest_each(room.problem, plain, stand.job.points, offer, window)
    placements = [soonest.placement for soonest in found if soonest is not None]
    first = min((placement.start_slot for placement in placements), default=0)
    return min(
        (placement for placement in placements if placement.start_slot == first),
        key=stand.cost_of,
        default=None,
    )


def blocked_by(stand: Stand, placement: Placement) -> tuple[str, ...]:
    """Name everything that stands against ``placement`` while the rest of the plan stays."""
    room, job = stand.room, stand.job
    reasons = []
    for name in job.after:
        if name not in room.ends:
            reasons.append(f"job {name}, which it must wait for, is not served")
        elif room.ends[name] > placement.start_slot:
            end = stand.name_slot(room.ends[name])
            reasons.append(f"job {name}, which it must wait for, ends at {end}")
    must_end, follower = stand.must_end
    if follower is not None and placement.end_slot > must_end:
        reasons.append(f"job {follower}, which waits for it, starts at {stand.name_slot(must_end)}")
    for key in dict.fromkeys(
        (job.point(run.point).site, job.point(run.point).pool) for run in placement.runs
    ):
        reasons += _full(stand, placement, key)
    added = added_it_kw(room.problem, job, placement, room.links)
    row = room.row(placement.site)
    spare = room.supply_it_kw[row] - room.it_load_kw[row]
    over = np.flatnonzero((added > spare + 1e-6) & (added > 0.0))
    if len(over):
        reasons.append(
            f"the supply of {placement.site} cannot carry it {_spans(over, stand.name_slot)}:"
            f" {float((added - spare)[over].max()):.1f} kW too little"
        )
    return tuple(reasons)


def _full(stand: Stand, placement: Placement, key: PoolKey) -> list[str]:
    """Name the slots in which a pool has too few GPUs left for ``placement``."""
    needed = np.zeros(stand.room.problem.horizon.n_slots)
    for run in placement.runs:
        needed[run.start_slot : run.end_slot] = stand.job.point(run.point).gpus
    short = np.flatnonzero(needed > stand.room.free_gpus[key] + 1e-9)
    if not len(short):
        return []
    lack = float((needed - stand.room.free_gpus[key])[short].max())
    return [
        f"GPUs of {key[0]}/{key[1]} are full {_spans(short, stand.name_slot)} ({lack:g} too few)"
    ]


def _spans(slots: NDArray[np.int64], name_slot: Callable[[int], str]) -> str:
    """Write slots as spans of time: ``from slot 3 to slot 6, from slot 8 to slot 9``."""
    breaks = np.flatnonzero(np.diff(slots) > 1)
    firsts = slots[np.concatenate(([0], breaks + 1))]
    lasts = slots[np.concatenate((breaks, [len(slots) - 1]))]
    return ", ".join(
        f"from {name_slot(int(first))} to {name_slot(int(last) + 1)}"
        for first, last in zip(firsts, lasts, strict=True)
    )
