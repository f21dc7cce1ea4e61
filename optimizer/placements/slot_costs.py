"""One job at one operating point, put into costs by slot.

This is where the rules of a placement (window, data transfer, restarts, minimum run, pin, lateness,
churn) become arrays that a search for the cheapest placement runs over.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import eq
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint
from optimizer.pieces import (
    Links,
    begins_with_restart,
    lost_per_restart,
    min_run_slots,
    transfer_to,
)
from optimizer.problem import Problem

Floats = NDArray[np.float64]


class EnergyCost(Protocol):
    """What more IT load costs."""

    def eur(self, site: int, it_kw: float) -> Floats:
        """Cost of drawing ``it_kw`` more at the site of this index [slot] in EUR per slot.

        Infinite where the site cannot carry it.
        """
        ...


@dataclass(frozen=True, slots=True)
class EnergyAtPrices:
    """Energy in any quantity, at ``it_eur_per_kwh`` [site, slot]."""

    it_eur_per_kwh: Floats
    slot_hours: float

    def eur(self, site: int, it_kw: float) -> Floats:
        """Price times energy [slot]."""
        cost: Floats = self.it_eur_per_kwh[site] * (it_kw * self.slot_hours)
        return cost


@dataclass(frozen=True, slots=True)
class Offer:
    """Energy, GPUs and links as one job finds them; arrays are [slot], by (site, pool)."""

    energy: EnergyCost
    gpu_eur_per_gpu_hour: Mapping[tuple[str, str], Floats]
    free_gpus: Mapping[tuple[str, str], Floats]
    links: Links


@dataclass(frozen=True, slots=True)
class Window:
    """It may run in [start_slot, end_slot), on top of its own release and deadline."""

    start_slot: int
    end_slot: int


def window_sums(values: Floats, n_slots: int) -> Floats:
    """Return sums over every ``n_slots`` consecutive values of the last axis.

    Infinite where one of them is.
    """
    if n_slots > values.shape[-1]:
        return np.zeros((*values.shape[:-1], 0))
    # Not by a running total: that would round equal windows apart and make ties fall anyhow.
    windows = np.lib.stride_tricks.sliding_window_view(values, n_slots, axis=-1)
    sums: Floats = windows.sum(axis=-1)
    return sums


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long a job at one point runs, in how many pieces: what ways priced together share.

    Attributes
    ----------
    n_slots
        Slots to run in all without a pause.
    first_slots, piece_slots
        Least length of the first piece and of a later one.
    pause_slots
        Slots that the first, second ... pause adds; after the last of them they repeat. Empty: it
        runs in one piece.
    is_limited
        Whether there may be no more pauses than these instead.
    """

    n_slots: int
    first_slots: int
    piece_slots: int
    pause_slots: tuple[int, ...]
    is_limited: bool


@dataclass(frozen=True, slots=True)
class WayCosts:
    """Jobs at one point each, as costs by slot of their windows; infinite where they may not.

    All have the same rhythm but for ``n_slots``: that of ``rhythm`` is the largest. Windows shorter
    than the longest are filled up with infinities.

    Attributes
    ----------
    lo_slot
        Slot of the horizon that index 0 is [way].
    n_slots
        Slots to run in all without a pause [way].
    run_eur, start_eur, restart_eur
        Cost of running, of a first start and of a restart in a slot [way, slot].
    end_eur
        Cost of being done by the start of a slot [way, slot + 1].
    """

    lo_slot: NDArray[np.int64]
    n_slots: NDArray[np.int64]
    run_eur: Floats
    start_eur: Floats
    restart_eur: Floats
    end_eur: Floats
    rhythm: Rhythm


def way_to_run(
    problem: Problem, job: Job, point: OperatingPoint, offer: Offer, window: Window | None
) -> WayCosts | None:
    """Put ``job`` at ``point`` into costs; ``None`` where its window is too short."""
    n_horizon = problem.horizon.n_slots
    lo, hi = job.release_slot, min(job.deadline_slot, n_horizon)
    if window is not None:
        lo, hi = max(lo, window.start_slot), min(hi, window.end_slot)
    rhythm = rhythm_of(problem, job, point, hi - lo, offer.links)
    if rhythm is None:
        return None
    run, restart = _running_costs(problem, job, point, offer)
    start = _start_costs(problem, job, point, offer)
    if begins_with_restart(job):
        start = start + restart
    ends = np.arange(lo, hi + 1)
    late_slots = np.zeros(len(ends)) if job.due_slot is None else np.maximum(0, ends - job.due_slot)
    late = job.lateness_eur_per_slot * job.priority * late_slots
    return WayCosts(
        np.array([lo]),
        np.array([rhythm.n_slots]),
        run[None, lo:hi],
        start[None, lo:hi],
        restart[None, lo:hi],
        problem.weights.lateness * late[None],
        rhythm,
    )


def rhythm_of(
    problem: Problem, job: Job, point: OperatingPoint, n_window: int, links: Links
) -> Rhythm | None:
    """Return how ``job`` runs at ``point``; ``None`` where ``n_window`` slots are too few."""
    n_slots = _slots_by_pauses(problem, job, point, n_window, links)
    if n_slots[0] > n_window:
        return None
    first, piece = _least_lengths(problem, job, n_slots[0], links)
    pause_slots, is_limited = _pauses(job, n_slots, first, piece)
    return Rhythm(n_slots[0], first, piece, pause_slots, is_limited)


def _slots_by_pauses(
    problem: Problem, job: Job, point: OperatingPoint, n_window: int, links: Links
) -> list[int]:
    """Slots ``job`` runs in at ``point`` with 0, 1, 2 ... pauses, to the first that does not fit.

    That one is there so that what repeats among those before it leads to no other.
    """
    allowed = 0 if job.pausing is None else job.pausing.max_pauses
    hours = problem.horizon.slot_hours
    lost = lost_per_restart(job, point.configuration, links, hours)
    work = job.work + begins_with_restart(job) * lost
    return list(_counts(work, lost, point.work_per_hour * hours, n_window, allowed))


@lru_cache(maxsize=4096)
def _counts(
    work: float, lost: float, work_per_slot: float, n_window: int, allowed: int | None
) -> tuple[int, ...]:
    """Slots with 0, 1, 2 ... pauses; many points of a job ask the same."""
    counts: list[int] = []
    while allowed is None or len(counts) <= allowed:
        n_pauses = len(counts)
        n_slots = math.ceil((work + n_pauses * lost) / work_per_slot - 1e-9)
        counts.append(max(1, n_slots))
        if counts[-1] + n_pauses > n_window:
            break
    return tuple(counts)


def _pauses(job: Job, n_slots: list[int], first: int, piece: int) -> tuple[tuple[int, ...], bool]:
    """Return what each pause adds, and whether there are no more of them; else they repeat."""
    steps = [after - before for before, after in itertools.pairwise(n_slots)]
    is_limited = job.pausing is None or (
        job.pausing.max_pauses is not None and job.pausing.max_pauses <= len(steps)
    )
    period = next((n for n in range(1, len(steps)) if all(map(eq, steps, steps[n:]))), len(steps))
    if not is_limited and (period < len(steps) or period == 1):
        return tuple(steps[:period]), False
    # With more pauses it would have to run longer than it needs. What rounding adds is one slot.
    usable = (k for k, needed in enumerate(n_slots) if needed + 1 < first + k * piece)
    return tuple(steps[: next(usable, len(steps))]), True


def _least_lengths(problem: Problem, job: Job, n_slots: int, links: Links) -> tuple[int, int]:
    """Least length of the first and of a later piece; a pin makes the first one longer."""
    if job.pausing is None:
        return n_slots, n_slots
    least = min_run_slots(job, links, problem.horizon.slot_hours)
    piece = max(least, job.pausing.restart_slots + 1)
    first = piece if begins_with_restart(job) else least
    if job.pin is not None:
        first = 0 if job.pin.is_running else first
        first = max(first, min(job.pin.n_slots, n_slots))
    return first, piece


def _running_costs(
    problem: Problem, job: Job, point: OperatingPoint, offer: Offer
) -> tuple[Floats, Floats]:
    """Cost of running at ``point`` and of restarting, in each slot of the horizon."""
    row = next(i for i, site in enumerate(problem.sites) if site.name == point.site)
    pool = next(pool for pool in problem.sites[row].pools if pool.name == point.pool)
    hours = problem.horizon.slot_hours
    # GPUs a job holds do not idle meanwhile.
    net_kw = point.power_kw - point.gpus * pool.idle_kw_per_gpu
    key = (point.site, point.pool)
    energy = offer.energy.eur(row, net_kw)
    run = energy + point.gpus * hours * offer.gpu_eur_per_gpu_hour[key]
    run = np.where(offer.free_gpus[key] < point.gpus - 1e-9, np.inf, run)
    if job.pausing is None:
        return run, np.full_like(run, np.inf)
    with_restart = offer.energy.eur(row, net_kw + job.pausing.restart_kwh / hours)
    is_possible = np.isfinite(with_restart) & np.isfinite(energy)
    extra = np.full_like(run, np.inf)
    np.subtract(with_restart, energy, out=extra, where=is_possible)
    return run, extra + problem.weights.restarts * job.pausing.restart_eur


def _start_costs(problem: Problem, job: Job, point: OperatingPoint, offer: Offer) -> Floats:
    """Cost of a first start in each slot of the horizon: data transfer and churn."""
    n_horizon, hours = problem.horizon.n_slots, problem.horizon.slot_hours
    start = np.zeros(n_horizon)
    transfer = transfer_to(job, point.site, offer.links, hours)
    if transfer is None:
        return np.full(n_horizon, np.inf)
    start += problem.weights.data_transfer * transfer.eur
    if transfer.n_slots:
        row = next(i for i, site in enumerate(problem.sites) if site.name == point.site)
        before = window_sums(offer.energy.eur(row, transfer.it_kw), transfer.n_slots)
        ready = min(job.release_slot + transfer.n_slots, n_horizon)
        start[:ready] = np.inf
        start[ready:] += before[job.release_slot : n_horizon - transfer.n_slots]
    if job.pin is not None:
        start[np.arange(n_horizon) != job.pin.start_slot] = np.inf
    is_running = job.pin is not None and job.pin.is_running
    if job.announced is not None and not is_running:
        keeps = np.zeros(n_horizon, dtype=bool)
        if job.announced.site == point.site and job.announced.start_slot < n_horizon:
            keeps[job.announced.start_slot] = True
        start[~keeps] += problem.weights.churn_eur_per_job
    return start
