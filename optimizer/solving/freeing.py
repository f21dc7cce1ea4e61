"""Free some jobs, keep the rest, choose anew: what putting in one job after another cannot do.

A round frees a few groups of jobs that stand close in time at all sites. Each group is a small
MILP: its jobs choose among columns, the flows around them follow, all else stands. The groups of a
round do not know of each other and are solved side by side, in this process or in others, so a
round gives the same however many there are; what they find is taken in order of gain, and what no
longer fits beside what was taken before is dropped.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from optimizer.placements.columns import Columns, distinct
from optimizer.placements.options import Bools, Floats, Integers
from optimizer.placements.prices import Prices
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.highs import Solution, StandardForm, run_highs
from optimizer.solving.insertion import Filling

GROUPS = 8
"""Groups freed in a round."""
FREED = 15
"""Jobs in a group. Small groups are solved to the end in a tenth of a second, and many of them gain
more than few large ones in the same time."""
SPREAD_SLOTS = 6.0
"""How much farther than others a job may stand and be freed with them."""
DRAWS = 3
"""Placements drawn for each freed job, at prices with noise."""
DRAW_NOISE = 0.03
"""Size of that noise, as a share of the price of a GPU."""
MOST_COLUMNS = 24
"""Columns of each freed job, cheapest first."""
SUB_NODES = 100
"""Branches of a group's MILP. What ends it is counted, not timed: on busy cores, or more of them,
it would end elsewhere. Nine in ten groups are solved to the end, hardly any takes two seconds."""
LEAST_SUB_S = 0.1
SUB_GAP = 1e-6
LEAST_GAIN = 1e-7
"""Relative to the objective."""

SideBySide = Callable[
    [Callable[[StandardForm], Solution], Sequence[StandardForm]], Iterable[Solution]
]
"""Solves small MILPs, in their order; ``map`` does so one after another."""


@dataclass(slots=True)
class Found:
    """Jobs as they stand, the values of all other columns with them, and what that costs."""

    filling: Filling
    values: Floats
    objective: float


@dataclass(frozen=True, slots=True)
class _Group:
    """A freed group: its columns, and the MILP of it with the position of its free columns."""

    jobs: Integers
    columns: Columns
    form: StandardForm
    free: Integers
    moving_eur: Floats

    def moved_eur(self, values: Floats) -> float:
        """Return what was taken for moving jobs, at ``values`` of the free columns [EUR]."""
        return float(np.round(values[-len(self.columns) :]) @ self.moving_eur)


def solve_group(form: StandardForm, left_s: float) -> Solution:
    """Solve one group; small enough to be sent to another process."""
    options = {
        "mip_max_nodes": SUB_NODES,
        "time_limit": max(LEAST_SUB_S, left_s),
        "mip_rel_gap": 0.0,
        "mip_abs_gap": SUB_GAP * max(1.0, abs(form.offset)),
    }
    return run_highs(form, options)


def search(
    core: ColumnMaster,
    start: Found,
    known: Columns,
    prices: Prices,
    *,
    moving_eur: float,
    side_by_side: SideBySide,
    seed: int,
    goes_on: Callable[[Found], bool],
    left_s: Callable[[], float],
) -> Found:
    """Improve ``start`` round by round until ``goes_on`` says no, or no time is left within one.

    Parameters
    ----------
    known
        Columns to choose among, besides those drawn for each group.
    prices
        Prices of the relaxation.
    moving_eur
        What moving a job must gain.
    """

    def is_over() -> bool:
        return left_s() <= 0.0

    rng, best = np.random.default_rng(seed), start
    near = _Near.of(core, known, prices)
    while goes_on(best):
        every = _groups(core, best, near, prices, moving_eur, rng)
        groups = list(itertools.takewhile(lambda _: not is_over(), every))
        solved: list[Solution] = []
        solve_one = partial(solve_group, left_s=left_s())
        for solution in side_by_side(solve_one, [group.form for group in groups]):
            solved.append(solution)
            if is_over():
                break
        before = best.objective
        gains = np.array([before - s.objective if s.values is not None else 0.0 for s in solved])
        for k in np.argsort(-gains, kind="stable").tolist():
            if gains[k] > LEAST_GAIN * max(1.0, abs(before)):
                _take(core, best, groups[k], solved[k], is_alone=best.objective == before)
        best.filling.battery_kw = core.battery_kw(best.values)
        best.filling.pay_peaks()
    return best


@dataclass(frozen=True, slots=True)
class _Near:
    """Columns by job, cheapest at the prices first, and where columns of the blocks lie in time."""

    columns: Columns
    first: Integers
    count: Integers
    slot: Integers
    is_kept: Bools

    @classmethod
    def of(cls, core: ColumnMaster, known: Columns, prices: Prices) -> _Near:
        o = core.pricing.options
        cost = core.cost_eur(known, prices)
        job = o.job[known.option]
        order = np.lexsort((cost, job))
        columns, job = known.take(order), job[order]
        n_jobs = len(core.is_generated)
        first = np.searchsorted(job, np.arange(n_jobs))
        count = np.searchsorted(job, np.arange(n_jobs), side="right") - first
        return cls(columns, first, count, core.slot_of_column(), core.is_kept_column())

    def of_jobs(self, jobs: Integers) -> Columns:
        most = np.minimum(self.count[jobs], MOST_COLUMNS)
        at = [self.first[job] + np.arange(n) for job, n in zip(jobs, most, strict=True)]
        return self.columns.take(np.concatenate([np.zeros(0, int), *at]))


def _groups(
    core: ColumnMaster,
    best: Found,
    near: _Near,
    prices: Prices,
    moving_eur: float,
    rng: np.random.Generator,
) -> Iterator[_Group]:
    """Free groups of jobs that share no job; around jobs that are left out, first of all."""
    pricing, filling = core.pricing, best.filling
    o, jobs = pricing.options, pricing.jobs
    lo = np.full(len(core.is_generated), np.iinfo(np.int64).max)
    hi = np.zeros(len(core.is_generated), dtype=np.int64)
    np.minimum.at(lo, o.job, o.lo_slot)
    np.maximum.at(hi, o.job, o.hi_slot)
    stands = np.array([_middle(filling, job, lo[job], hi[job]) for job in jobs.tolist()])
    is_left = np.ones(len(jobs), dtype=bool)
    out = [k for k, job in enumerate(jobs.tolist()) if job not in filling.placed]
    centres = [*rng.permutation(out).tolist(), *rng.integers(0, len(jobs), GROUPS).tolist()]
    for centre in centres[:GROUPS]:
        distance = np.abs(stands - stands[centre]) + rng.uniform(0.0, SPREAD_SLOTS, len(jobs))
        distance[centre] = -1.0
        distance[~is_left] = np.inf
        chosen = np.argsort(distance, kind="stable")[:FREED]
        chosen = chosen[np.isfinite(distance[chosen])]
        is_left[chosen] = False
        if len(chosen):
            freed = np.sort(jobs[chosen])
            window = slice(int(lo[freed].min()), int(hi[freed].max()))
            yield _group(core, best, near, freed, window, prices, moving_eur, rng)


def _middle(filling: Filling, job: int, lo: int, hi: int) -> float:
    column = filling.placed.get(job)
    return (lo + hi) / 2 if column is None else float(column.slots.mean())


def _group(
    core: ColumnMaster,
    best: Found,
    near: _Near,
    freed: Integers,
    window: slice,
    prices: Prices,
    moving_eur: float,
    rng: np.random.Generator,
) -> _Group:
    """Free jobs for a moment, see what they could take, and make their MILP."""
    filling = best.filling
    held = {job: filling.take_out(job) for job in freed.tolist() if job in filling.placed}
    drawn = [*held.values()]
    n_held = len(drawn)
    for _ in range(DRAWS):
        sigma = DRAW_NOISE * float(np.abs(prices.gpu_eur).mean())
        shaken = prices.gpu_eur + rng.normal(0.0, sigma, prices.gpu_eur.shape)
        guide = replace(prices, gpu_eur=shaken)
        drawn += [filling.cheapest(job, prices, guide)[1] for job in freed.tolist()]
    columns = distinct(Columns.joined([*drawn, near.of_jobs(freed)]))
    fixed = Columns.joined(list(filling.placed.values()))
    for job, column in held.items():
        filling.put(job, column)
    form = core.choice(freed, columns, fixed)
    n_blocks = len(core.form.cost)
    is_free = np.ones(len(form.cost), dtype=bool)
    is_near = (near.slot < 0) | ((near.slot >= window.start) & (near.slot < window.stop))
    is_free[:n_blocks] = is_near & ~near.is_kept
    form = replace(form, is_integer=form.is_integer & (np.arange(len(form.cost)) >= n_blocks))
    values = np.concatenate([best.values[:n_blocks], np.zeros(len(form.cost) - n_blocks)])
    moving = np.full(len(columns), moving_eur)
    moving[:n_held] = 0.0  # where they stand comes first, and is distinct
    form.cost[len(form.cost) - len(columns) :] += moving
    restricted = _restricted(form, is_free, values)
    return _Group(freed, columns, restricted, np.flatnonzero(is_free), moving)


def _restricted(form: StandardForm, is_free: Bools, values: Floats) -> StandardForm:
    """Return ``form`` in the free columns alone; the others stand at ``values``."""
    held = form.matrix[:, ~is_free] @ values[~is_free]
    matrix = form.matrix[:, is_free].tocsr()
    rows = np.flatnonzero(np.diff(matrix.indptr))
    return StandardForm(
        cost=form.cost[is_free],
        offset=form.offset + float(form.cost[~is_free] @ values[~is_free]),
        matrix=matrix[rows].tocsc(),
        row_lower=(form.row_lower - held)[rows],
        row_upper=(form.row_upper - held)[rows],
        lower=form.lower[is_free],
        upper=form.upper[is_free],
        is_integer=form.is_integer[is_free],
        variables=(),
        row_of={},
    )


def _take(
    core: ColumnMaster, best: Found, group: _Group, solution: Solution, *, is_alone: bool
) -> None:
    """Take what a group found into ``best`` if it still is a gain beside what was taken before."""
    if solution.values is None:
        return
    filling = best.filling
    before = {job: filling.placed.get(job) for job in group.jobs.tolist()}
    chosen = np.flatnonzero(solution.values[-len(group.columns) :] > 0.5)
    o = core.pricing.options
    after = {int(o.job[group.columns.option[k]]): group.columns.take(np.array([k])) for k in chosen}
    _put_all(filling, before, after)
    if is_alone:
        n_blocks = len(core.form.cost)
        values = best.values.copy()
        inside = group.free < n_blocks
        values[group.free[inside]] = solution.values[: np.count_nonzero(inside)]
        best.values = values
        best.objective = solution.objective - group.moved_eur(solution.values)
        return
    settled = core.settled(Columns.joined(list(filling.placed.values())))
    if settled.values is not None and settled.objective < best.objective:
        best.values, best.objective = settled.values, settled.objective
    else:
        _put_all(filling, {job: filling.placed.get(job) for job in before}, before)


def _put_all(
    filling: Filling, before: Mapping[int, Columns | None], after: Mapping[int, Columns | None]
) -> None:
    for job, column in before.items():
        if column is not None:
            filling.take_out(job)
    for job, column in after.items():
        if column is not None:
            filling.put(job, column)
