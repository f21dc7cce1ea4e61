"""Room for a job that found none: what stands in its way is put elsewhere.

Free GPUs are often enough for a job, but not all in one place. The job takes the place where it
lacks fewest at their price, jobs that stand there make way, the smallest first, and are put in
again one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optimizer.placements.columns import Columns
from optimizer.placements.options import Floats, Integers
from optimizer.placements.prices import Prices
from optimizer.solving.insertion import Filling

TRIES = 8
"""Places tried for a job."""
MISSING = 2.0
"""What a missing GPU costs at first, as a multiple of its price."""
NOISE = 1.0
"""Size of the noise on that by which one try differs from the other."""
SEED = 0


def squeeze_in(
    filling: Filling,
    jobs: Integers,
    left_out_eur: Floats,
    prices: Prices,
    is_over: Callable[[], bool],
) -> None:
    """Put in those of ``jobs`` that can be had for less than leaving them out, others moved too."""
    rng, where = np.random.default_rng(SEED), _Where.of(filling)
    for job in jobs.tolist():
        for _ in range(TRIES):
            if is_over():
                return
            shape = prices.gpu_eur.shape
            missing_eur = np.abs(prices.gpu_eur) * (MISSING + NOISE * rng.exponential(size=shape))
            moved = _squeezed(filling, where, job, left_out_eur, prices, missing_eur)
            if moved:
                where.note(filling, moved)
                break


@dataclass(frozen=True, slots=True)
class _Where:
    """Pool, first slot and end of what stands [job of the problem]; -1 for what does not.

    The pool is that of the first slot, for a job that changes pools too.
    """

    pool: Integers
    first: Integers
    end: Integers

    @classmethod
    def of(cls, filling: Filling) -> _Where:
        n_jobs = len(filling.pricing.problem.jobs)
        where = cls(*(np.full(n_jobs, -1) for _ in range(3)))
        where.note(filling, list(filling.placed))
        return where

    def note(self, filling: Filling, jobs: list[int]) -> None:
        """Note where ``jobs`` stand now."""
        o = filling.pricing.options
        for job in jobs:
            self.pool[job] = self.first[job] = self.end[job] = -1
            if job in filling.placed:
                column = filling.placed[job]
                self.pool[job] = o.pool[column.slot_option[0]]
                self.first[job], self.end[job] = column.slots[0], column.slots[-1] + 1

    def near(self, pools: Integers, begin: int, end: int) -> list[int]:
        """Return jobs of ``pools`` that may run in [begin, end)."""
        is_near = np.isin(self.pool, pools) & (self.first < end) & (self.end > begin)
        return np.flatnonzero(is_near).tolist()


def _squeezed(
    filling: Filling,
    where: _Where,
    job: int,
    left_out_eur: Floats,
    prices: Prices,
    missing_eur: Floats,
) -> list[int]:
    """Put in ``job`` if it is worth what it costs with all that makes way; else change nothing.

    Returns it and all that were moved; nobody where nothing changed.
    """
    wanted = filling.cheapest_despite(job, prices, prices, missing_eur)
    in_the_way = _in_the_way(filling, where, wanted) if len(wanted) else None
    if in_the_way is None:
        return []
    before: dict[int, Columns] = {}
    extra_eur = 0.0
    for other in in_the_way:
        before[other] = filling.take_out(other)
        extra_eur -= filling.cost_of(before[other], prices)
    extra_eur += filling.cost_of(wanted, prices)
    filling.put(job, wanted)
    for other in sorted(before, key=lambda other: -_size(filling, before[other])):
        cost, column = filling.cheapest(other, prices, prices)
        cost = min(cost, left_out_eur[other])
        extra_eur += cost
        if cost < left_out_eur[other]:
            filling.put(other, column)
        if extra_eur >= left_out_eur[job]:
            break
    if extra_eur < left_out_eur[job]:
        return [job, *before]
    for moved in (job, *before):
        if moved in filling.placed:
            filling.take_out(moved)
    for other, column in before.items():
        filling.put(other, column)
    return []


def _in_the_way(filling: Filling, where: _Where, wanted: Columns) -> list[int] | None:
    """Return jobs without which ``wanted`` fits, few and small; ``None`` if not even without all.

    Jobs without a choice of when to run are left alone.
    """
    o, at = filling.pricing.options, wanted.slot_option
    missing = np.zeros(filling.free_gpus.shape)
    missing[o.pool[at], wanted.slots] = o.gpus[at] - filling.free_gpus[o.pool[at], wanted.slots]
    missing = np.maximum(missing, 0.0)
    begin, end = int(wanted.slots[0]), int(wanted.slots[-1]) + 1
    near = where.near(np.unique(o.pool[at]), begin, end)
    standing = Columns.joined([filling.placed[other] for other in near])
    others = np.flatnonzero(o.last_start[standing.option] > o.first_start[standing.option])
    of_slot = standing.column_of_slot()
    pool, gpus = o.pool[standing.slot_option], o.gpus[standing.slot_option]
    size = np.maximum(1e-3, np.bincount(of_slot, gpus, len(standing)))
    chosen: list[int] = []
    while (missing > 1e-9).any():
        lacking = np.minimum(missing[pool, standing.slots], gpus)
        relief = np.bincount(of_slot, lacking, len(standing))
        worth = relief[others] / size[others]
        if not len(others) or worth.max() <= 0.0:
            return None
        best = int(others[np.argmax(worth)])
        chosen.append(near[best])
        held = slice(standing.begins[best], standing.begins[best + 1])
        where_held = pool[held], standing.slots[held]
        missing[where_held] = np.maximum(0.0, missing[where_held] - gpus[held])
        others = others[others != best]
    return chosen


def _size(filling: Filling, column: Columns) -> float:
    return float(filling.pricing.options.gpus[column.slot_option].sum())
