r"""A linear programme over jobs, sites and slots, rounded: after Caspian.

Of y, the share of slot t that job j runs at its default point of site s, n, the slots it needs
there, c, what a slot costs, v, far more than running costs, and u, the share that is left out:

.. math::
    \min \sum_{jst} c_{jst} y_{jst} + \sum_j v_j u_j                                  \tag{B5}

    \sum_{st} y_{jst} / n_{js} + u_j = 1, \quad 0 \le y_{jst} \le 1                   \tag{B6}

    \sum_j g_{js} y_{jst} \le \text{GPUs}, \quad \sum_j p_{js} y_{jst} \le \text{power}  \tag{B7}

Rounding takes jobs in order of their coming, sites by the share of the job they have, and there the
slots, or the window, with most of its shares, the cheapest of equal ones, that are still free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from optimizer.baselines.chances import Chance, Ints, chances, default_points, prices_of
from optimizer.baselines.queueing import cheapest_by, place_in_order
from optimizer.errors import SolverFailed
from optimizer.jobs import Job
from optimizer.placements.priced import EnergyAtPrices, Window
from optimizer.plan import Placement, Plan
from optimizer.problem import Problem
from optimizer.room import PoolKey, Room
from optimizer.solving.highs import StandardForm, run_highs

Floats = NDArray[np.float64]
_FAR_ABOVE = 1e3
"""How many times the dearest way to run a job costs less than leaving it, or a share of it, out."""
_LEAST_EUR = 1e-6
Shares = dict[str, Floats]
"""Shares of the slots of the horizon by site [slot]."""


def caspian(problem: Problem) -> Plan:
    """Return the plan of a queue that follows a linear programme of all jobs at once, rounded.

    After "Caspian: A Carbon-aware Workload Scheduler in Multi-Cluster Kubernetes Environments",
    MASCOTS 2024, which decides for all jobs, clusters and slots together and rounds a relaxation.
    Here it is (B5-B7); that a job is in one piece, or at one site, only rounding sees to. Jobs pay
    for restarts, but nobody weighs them.

    Raises
    ------
    SolverFailed
        The linear programme has no optimum.
    """
    shares = relaxation(problem)
    prices = prices_of(problem)

    def place(room: Room, job: Job, window: Window) -> Placement | None:
        of_job = shares[job.name]
        placed = cheapest_by(room, job, window, prices, _wishes(room, job, of_job, prices))
        best = min(
            placed,
            key=lambda one: (-float(of_job[one.placement.site].sum()), one.cost_eur),
            default=None,
        )
        return None if best is None else best.placement

    return place_in_order(problem, place)


def _wishes(room: Room, job: Job, shares: Shares, prices: EnergyAtPrices) -> dict[PoolKey, Floats]:
    """Tell the shares of ``job`` as prices of GPUs so low that no energy is worth a share more."""
    problem, hours = room.problem, room.problem.horizon.slot_hours
    wishes = {key: np.zeros(problem.horizon.n_slots) for key in room.free_gpus}
    for point in default_points(room, job):
        if point.gpus:
            dearest_eur = float(np.abs(prices.it_eur_per_kwh).max()) * point.power_kw * hours
            eur = shares[point.site] * _FAR_ABOVE * (dearest_eur + _LEAST_EUR)
            wishes[point.site, point.pool] = -eur / (point.gpus * hours)
    return wishes


def relaxation(problem: Problem) -> dict[str, Shares]:
    """Solve (B5-B7): the shares of every job.

    Raises
    ------
    SolverFailed
        It has no optimum.
    """
    room, prices = Room.of(problem), prices_of(problem)
    asked = [
        (row, chance)
        for row, job in enumerate(problem.jobs)
        for chance in chances(room, job, Window(0, room.latest_ends[job.name]), prices)
    ]
    found = _solved(room, asked)
    none = np.zeros(problem.horizon.n_slots)
    shares = {job.name: {site.name: none for site in problem.sites} for job in problem.jobs}
    for (_, chance), values in zip(asked, found, strict=True):
        shares[chance.job.name][chance.point.site] = values
    return shares


def _solved(room: Room, asked: Sequence[tuple[int, Chance]]) -> list[Floats]:
    """Return the shares of each chance in the slots of the horizon [slot]."""
    problem = room.problem
    if not asked:
        return []
    blocks = [_Block.of(room, row, chance) for row, chance in asked]
    form = _form(room, blocks)
    solution = run_highs(form, {})
    if solution.values is None or not solution.is_proven:
        raise SolverFailed(f"the linear programme of caspian: {solution.status}")
    shares, begin = [], 0
    for block in blocks:
        values = np.zeros(problem.horizon.n_slots)
        values[block.slots] = solution.values[begin : begin + len(block.slots)]
        shares.append(values)
        begin += len(block.slots)
    return shares


@dataclass(frozen=True, slots=True)
class _Block:
    """The columns of one chance: slots with room, what each costs, and the rows it is in."""

    job_row: int
    slots: Ints
    eur: Floats
    n_slots: int
    gpus: int
    net_kw: float
    pool: int
    site: int

    @classmethod
    def of(cls, room: Room, job_row: int, chance: Chance) -> _Block:
        """Take the slots of its window in which there is room."""
        slots = np.flatnonzero(chance.is_free) + chance.first_slot
        point, site = chance.point, room.row(chance.point.site)
        idle_kw = room.problem.sites[site].pool(point.pool).idle_kw_per_gpu
        pool = list(room.free_gpus).index((point.site, point.pool))
        net_kw = point.power_kw - point.gpus * idle_kw
        return cls(
            job_row, slots, chance.eur[slots], chance.n_slots, point.gpus, net_kw, pool, site
        )


def _form(room: Room, blocks: Sequence[_Block]) -> StandardForm:
    """Put (B5-B7) into arrays: shares block by block, then what is left out of each job."""
    problem = room.problem
    n_jobs, n_slots = len(problem.jobs), problem.horizon.n_slots
    first_power_row = n_jobs + len(room.free_gpus) * n_slots
    n_rows = first_power_row + len(problem.sites) * n_slots
    rows, columns, values, n_columns = [], [], [], 0
    left_out_eur = np.ones(n_jobs)
    for block in blocks:
        here = n_columns + np.arange(len(block.slots))
        for row, value in (
            (np.full(len(here), block.job_row), 1.0 / block.n_slots),
            (n_jobs + block.pool * n_slots + block.slots, float(block.gpus)),
            (first_power_row + block.site * n_slots + block.slots, block.net_kw),
        ):
            rows.append(row)
            columns.append(here)
            values.append(np.full(len(here), value))
        n_columns += len(here)
        dearest_eur = float(np.abs(block.eur).max(initial=0.0)) * block.n_slots
        left_out_eur[block.job_row] += _FAR_ABOVE * dearest_eur
    rows.append(np.arange(n_jobs))
    columns.append(n_columns + np.arange(n_jobs))
    values.append(np.ones(n_jobs))
    n_columns += n_jobs
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(n_rows, n_columns),
    )
    free_kw = np.maximum(room.supply_it_kw - room.it_load_kw, 0.0)
    upper = np.concatenate([np.ones(n_jobs), *room.free_gpus.values(), *free_kw])
    # What cannot bind, whoever runs there, is left out.
    binds = (np.asarray(abs(matrix).sum(axis=1)).ravel() > upper) | (np.arange(n_rows) < n_jobs)
    is_job = np.flatnonzero(binds) < n_jobs
    column_eur = np.concatenate([*(block.eur for block in blocks), left_out_eur])
    return StandardForm(
        cost=column_eur,
        offset=0.0,
        matrix=matrix[binds].tocsc(),
        row_lower=np.where(is_job, 1.0, -np.inf),
        row_upper=upper[binds],
        lower=np.zeros(n_columns),
        upper=np.ones(n_columns),
        is_integer=np.zeros(n_columns, dtype=np.bool_),
        variables=(),
        row_of={},
    )
