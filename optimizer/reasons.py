"""Why a job was left out: the limit that stands against it and by how much, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.jobs import Job, OperatingPoint, slots_to_do
from optimizer.placements.job_costs import left_out_term
from optimizer.placements.ways import Surroundings, Way, least_slots, ways_of, why_none
from optimizer.plan import Placement, SlotPrices, Unserved
from optimizer.problem import Problem
from optimizer.settlement import gpus_used

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Left:
    """What a plan leaves over: free GPUs by (site, pool) and there [slot], and prices."""

    problem: Problem
    around: Surroundings
    placements: Mapping[str, Placement]
    free: Mapping[tuple[str, str], Floats]
    prices: SlotPrices | None


def reasons_left_out(
    problem: Problem, placements: Sequence[Placement], prices: SlotPrices | None
) -> tuple[Unserved, ...]:
    """Name every job of ``problem`` that has no placement, in order, with its reason."""
    around = Surroundings.of(problem)
    free = {
        key: np.asarray(around.gpus[key]) - used
        for key, used in gpus_used(problem, placements).items()
    }
    left = _Left(problem, around, {placed.job: placed for placed in placements}, free, prices)
    return tuple(
        Unserved(job.name, _reason(job, left), is_deferred=job.can_wait)
        for job in problem.jobs
        if job.name not in left.placements
    )


def _reason(job: Job, left: _Left) -> str:
    return (
        why_none(job, left.around)
        or _predecessor_reason(job, left)
        or _scarcity_reason(job, left)
        or _price_reason(job, left)
    )


def _predecessor_reason(job: Job, left: _Left) -> str | None:
    latest_start = max(
        way.end_slot - least_slots(job, way, left.around) for way in ways_of(job, left.around)
    )
    for name in job.after:
        before = left.placements.get(name)
        if before is None:
            return f"job {name}, which must be done before it, is left out"
        if before.end_slot > latest_start:
            return (
                f"job {name}, which must be done before it, ends at slot {before.end_slot}; it must"
                f" start by slot {latest_start} ({before.end_slot - latest_start} slots late)"
            )
    return None


def _scarcity_reason(job: Job, left: _Left) -> str | None:
    """Say which pool comes nearest to having room for the job beside the others, if none has."""
    best: tuple[float, OperatingPoint] | None = None
    for way in ways_of(job, left.around):
        for point in way.points:
            room = _gpus_throughout(job, way, point, left)
            if room >= point.gpus - 1e-9:
                return None
            if best is None or room - point.gpus > best[0] - best[1].gpus:
                best = room, point
    if best is None:
        return None
    room, point = best
    return (
        f"pool {point.site}/{point.pool} is taken by jobs worth more: {max(room, 0.0):g} GPUs are"
        f" left for as long as it needs, of {point.gpus} ({point.gpus - max(room, 0.0):g} short)"
    )


def _gpus_throughout(job: Job, way: Way, point: OperatingPoint, left: _Left) -> float:
    """Most GPUs left over in each of as many slots as the job needs at ``point``."""
    free = left.free[point.site, point.pool][way.first_slot : way.end_slot]
    n_slots = slots_to_do(job.work, point, left.around.horizon.slot_hours)
    if n_slots > len(free):
        return -float(point.gpus)
    if job.pausing is not None:
        return float(np.sort(free)[-n_slots])
    return float(np.lib.stride_tricks.sliding_window_view(free, n_slots).min(axis=1).max())


def _price_reason(job: Job, left: _Left) -> str:
    term, value_eur = left_out_term(job)
    worth = (
        f"{'deferring it costs' if term == 'deferred_eur' else 'it is worth'} {value_eur:.2f} EUR"
    )
    if left.prices is None:
        return f"serving it costs more than it brings: {worth}"
    cost, point = min(
        (
            (_cost_at_prices(job, way, point, left.problem, left.prices), point)
            for way in ways_of(job, left.around)
            for point in way.points
        ),
        key=lambda pair: pair[0],
    )
    more = f" ({cost - value_eur:.2f} EUR more)" if cost > value_eur else ""
    return (
        f"too dear: at the plan's slot prices its cheapest slots, at point {point.name}, cost"
        f" {cost:.2f} EUR; {worth}{more}"
    )


def _cost_at_prices(
    job: Job, way: Way, point: OperatingPoint, problem: Problem, prices: SlotPrices
) -> float:
    """Cost of the cheapest slots at slot prices [EUR]: energy, GPUs and moving data."""
    row = [site.name for site in problem.sites].index(way.site)
    pool = [pool.name for pool in problem.sites[row].pools].index(point.pool)
    hours = problem.horizon.slot_hours
    slots = slice(way.first_slot, way.end_slot)
    per_slot = hours * (
        point.power_kw * np.asarray(prices.it_eur_per_kwh[row][slots])
        + point.gpus * np.asarray(prices.gpu_eur_per_gpu_hour[row][pool][slots])
    )
    n_slots = slots_to_do(job.work, point, hours)
    moving = problem.weights.data_transfer * way.transfer.eur
    if n_slots > len(per_slot):
        return float("inf")
    if job.pausing is not None:
        return float(np.sort(per_slot)[:n_slots].sum()) + moving
    windows = np.lib.stride_tricks.sliding_window_view(per_slot, n_slots)
    return float(windows.sum(axis=1).min()) + moving
