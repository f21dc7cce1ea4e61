r"""The master with generated columns: the compiled energy blocks, and jobs as arrays.

The energy blocks, and the jobs whose placements are not generated, are the Pyomo model of
``optimizer.master``, compiled once. A generated placement is a column of its rows (M1), (M2) and,
if there is one, of the cost ceiling; here are added

.. math::
    \sum_k x_{jk} + u_j = 1                                                    \tag{K1}

for each generated job, and u, the share of it that is left out. For any prices of the linking rows,

.. math::
    L = \min_{\text{blocks}} + \sum_j \min\{\min_k \text{cost}_{jk}, \text{left out}_j\}  \tag{K2}

is a lower bound of every plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from optimizer.exclusivity import idle_kw, most_job_kw
from optimizer.jobs import Job
from optimizer.master import Master, build_master
from optimizer.placements.batch import Columns, Prices, Pricing
from optimizer.placements.options import Floats, Integers, Options
from optimizer.problem import Problem
from optimizer.settlement import left_out_eur
from optimizer.solving.highs import Solution, StandardForm, compile_model, run_highs

ABSENT = -1
"""Stands for a row that is not there."""


def is_generated(job: Job, awaited: frozenset[str]) -> bool:
    """Whether the placements of ``job`` are generated: it keeps to one point, and waits for none.

    The others get variables of their own in the Pyomo model.
    """
    return not job.is_elastic and not job.after and job.name not in awaited


@dataclass(frozen=True, slots=True)
class ColumnMaster:
    """The compiled blocks, the rows that link them to columns, and what prices columns.

    Attributes
    ----------
    form
        Blocks, rows (K1) and columns u; no generated column yet.
    most_kw
        No IT load can be higher [site, slot].
    power_row, gpu_row
        Rows of (M1) [site, slot] and of (M2) [pool, slot].
    ceiling_row
        Row of the cost ceiling, or ``ABSENT``.
    job_row
        Row of (K1) [job of the problem], ``ABSENT`` for jobs that are not generated.
    left_out_eur
        What leaving a job out costs [job of the problem].
    """

    master: Master
    form: StandardForm
    pricing: Pricing
    most_kw: Floats
    power_row: Integers
    gpu_row: Integers
    ceiling_row: int
    job_row: Integers
    left_out_eur: Floats

    @property
    def problem(self) -> Problem:
        """The problem it is the master of."""
        return self.master.problem

    @classmethod
    def of(cls, problem: Problem) -> ColumnMaster:
        """Compile the blocks of ``problem`` and add the rows its generated jobs need."""
        awaited = frozenset(name for job in problem.jobs for name in job.after)
        generated = [k for k, job in enumerate(problem.jobs) if is_generated(job, awaited)]
        kept = [job for job in problem.jobs if not is_generated(job, awaited)]
        master = build_master(problem, kept)
        blocks = compile_model(master.model)
        pricing = Pricing(problem, Options.of(problem, generated))
        left_out = np.array([left_out_eur(job, problem.weights) for job in problem.jobs])
        power_row = _power_rows(master, blocks)
        most_kw = _most_kw(pricing, master)
        form, gpu_row = _with_pool_rows(master, _bounded(master, blocks, most_kw))
        form, job_row = _with_job_rows(form, problem, generated, left_out)
        ceiling = getattr(master.model.ceilings, "cost_ceiling", None)
        ceiling_row = None if ceiling is None else form.row(ceiling)
        return cls(
            master=master,
            form=form,
            pricing=pricing,
            most_kw=most_kw,
            power_row=power_row,
            gpu_row=gpu_row,
            ceiling_row=ABSENT if ceiling_row is None else ceiling_row,
            job_row=job_row,
            left_out_eur=left_out,
        )

    def with_columns(self, columns: Columns) -> StandardForm:
        """Return the LP of the blocks and ``columns``, which stand last."""
        matrix = sp.hstack([self.form.matrix, self.coefficients(columns)], format="csc")
        n = len(columns)
        return replace(
            self.form,
            cost=np.concatenate([self.form.cost, self.pricing.own_cost_eur(columns)]),
            matrix=matrix,
            lower=np.concatenate([self.form.lower, np.zeros(n)]),
            upper=np.concatenate([self.form.upper, np.ones(n)]),
            is_integer=np.concatenate([self.form.is_integer, np.ones(n, dtype=bool)]),
        )

    def coefficients(self, columns: Columns) -> Any:
        """Return the coefficients of ``columns`` [row, column] as a SciPy matrix."""
        o, k, slots = self.pricing.options, columns.column_of_slot(), columns.slots
        option = columns.option[k]
        parts = [(self.power_row[o.site[option], slots], k, -o.net_kw[option])]
        parts.append((self.gpu_row[o.pool[option], slots], k, o.gpus[option]))
        restart = np.flatnonzero(self.pricing.is_restart(columns))
        again = option[restart]
        parts.append(
            (self.power_row[o.site[again], slots[restart]], k[restart], -o.restart_kw[again])
        )
        parts.append(self._transfer_entries(columns))
        every = np.arange(len(columns))
        parts.append((self.job_row[o.job[columns.option]], every, np.ones(len(columns))))
        if self.ceiling_row != ABSENT:
            row = np.full(len(columns), self.ceiling_row)
            parts.append((row, every, self.pricing.money_eur(columns)))
        rows, number, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        shape = (self.form.matrix.shape[0], len(columns))
        matrix = sp.csc_matrix((values, (rows, number)), shape=shape)
        matrix.eliminate_zeros()
        return matrix

    def _transfer_entries(self, columns: Columns) -> tuple[Integers, Integers, Floats]:
        o, option = self.pricing.options, columns.option
        n_slots = o.transfer_slots[option]
        start = columns.slots[columns.begins[:-1]]
        k = np.repeat(np.arange(len(columns)), n_slots)
        before = np.arange(len(k)) - np.repeat(np.cumsum(n_slots) - n_slots, n_slots)
        slots = start[k] - 1 - before
        return self.power_row[o.site[option[k]], slots], k, -o.transfer_kw[option[k]]

    def prices_of(self, row_duals: Floats) -> Prices:
        """Read the prices of the linking rows from the duals of all rows."""
        ceiling = 0.0 if self.ceiling_row == ABSENT else -row_duals[self.ceiling_row]
        return Prices(
            row_duals[self.power_row],
            np.maximum(0.0, -row_duals[self.gpu_row]),
            max(0.0, float(ceiling)),
        )

    def blocks_at(self, prices: Prices) -> Solution:
        """Solve the blocks alone, linking rows priced: the first term of (K2) is its objective.

        Its values are the blocks' own; rows that are priced have no dual.
        """
        duals = np.zeros(self.form.matrix.shape[0])
        duals[self.power_row] = prices.power_eur_per_kw
        duals[self.gpu_row] = -prices.gpu_eur
        linking = [self.power_row.ravel(), self.gpu_row.ravel()]
        if self.ceiling_row != ABSENT:
            duals[self.ceiling_row] = -prices.money_eur_per_eur
            linking.append(np.array([self.ceiling_row]))
        free = np.concatenate(linking)
        limits = np.where(np.isfinite(self.form.row_upper), self.form.row_upper, 0.0)
        constant = float(duals[free] @ limits[free])
        cost = self.form.cost - self.form.matrix.T @ duals
        blocks = replace(self._blocks(free), cost=self._without_shares(cost))
        return run_highs(replace(blocks, offset=blocks.offset + constant), {})

    def blocks_under(self, load_kw: Floats) -> Solution:
        """Solve the blocks with generated jobs drawing ``load_kw`` [site, slot] beyond idle GPUs.

        The duals of (M1) are what one more kW would cost for a slot.
        """
        rows = self.power_row
        blocks = replace(
            self._blocks(np.zeros(0, np.int64)), cost=self._without_shares(self.form.cost)
        )
        level = np.minimum(blocks.row_upper[rows] + np.maximum(0.0, load_kw), self.most_kw)
        lower, upper = blocks.row_lower.copy(), blocks.row_upper.copy()
        lower[rows] = upper[rows] = level
        return run_highs(replace(blocks, row_lower=lower, row_upper=upper), {})

    def _blocks(self, free: Integers) -> StandardForm:
        """Return the LP of the blocks without (K1) and the rows in ``free``."""
        row_lower, row_upper = self.form.row_lower.copy(), self.form.row_upper.copy()
        freed = np.concatenate([free, self.job_row[self.job_row != ABSENT]])
        row_lower[freed], row_upper[freed] = -np.inf, np.inf
        return replace(self.form.relaxed(), row_lower=row_lower, row_upper=row_upper)

    def _without_shares(self, cost: Floats) -> Floats:
        """Return ``cost`` [column] with nothing for jobs left out: they are not the blocks'."""
        own = cost.copy()
        own[len(self.form.variables) :] = 0.0
        return own


def _power_rows(master: Master, form: StandardForm) -> Integers:
    problem = master.problem
    slots = range(problem.horizon.n_slots)
    power = master.model.job_power
    rows = [[form.row(power[site.name, t]) for t in slots] for site in problem.sites]
    return np.array(rows, dtype=np.int64)


def _most_kw(pricing: Pricing, master: Master) -> Floats:
    """Bound the IT load by what jobs could draw at most [site, slot]."""
    problem = master.problem
    kept = {terms.job for terms in master.jobs}
    jobs = [job for job in problem.jobs if job.name in kept]
    return np.array(
        [
            idle_kw(site) + _most_generated_kw(pricing, row) + most_job_kw(problem, site, jobs)
            for row, site in enumerate(problem.sites)
        ]
    )


def _bounded(master: Master, form: StandardForm, most_kw: Floats) -> StandardForm:
    """Bound the IT load, so that (K2) is bounded at any price; no plan is lost by it."""
    upper = form.upper.copy()
    number = {id(variable): k for k, variable in enumerate(form.variables)}
    for row, site in enumerate(master.sites):
        for t, variable in site.balance.it_load_kw.items():
            upper[number[id(variable)]] = most_kw[row, t]
    return replace(form, upper=upper)


def _most_generated_kw(pricing: Pricing, site_row: int) -> Floats:
    """Bound what generated jobs draw beyond idle GPUs at a site [slot]."""
    problem, o = pricing.problem, pricing.options
    pools = [(row, pool) for row, site in enumerate(problem.sites) for pool in site.pools]
    most = np.zeros(problem.horizon.n_slots)
    for number, (row, pool) in enumerate(pools):
        if row == site_row:
            holds = (o.pool == number) & (o.gpus > 0)
            per_gpu = (o.net_kw[holds] + o.restart_kw[holds]) / o.gpus[holds]
            most += np.array(pool.gpus) * per_gpu.max(initial=0.0)
    here = o.site == site_row
    without_gpus = np.where(o.gpus > 0, 0.0, np.maximum(0.0, o.net_kw + o.restart_kw))
    most += float((without_gpus + o.transfer_kw)[here].sum())
    return most


def _with_pool_rows(master: Master, form: StandardForm) -> tuple[StandardForm, Integers]:
    """Add a row (M2) for each pool and slot that has none yet."""
    problem, pool_gpus = master.problem, master.model.pool_gpus
    slots = range(problem.horizon.n_slots)
    n_rows = form.matrix.shape[0]
    rows: list[int] = []
    limits: list[float] = []
    for site in problem.sites:
        for pool in site.pools:
            for t in slots:
                key = (site.name, pool.name, t)
                row = form.row(pool_gpus[key]) if key in pool_gpus else None
                if row is None:
                    row = n_rows + len(limits)
                    limits.append(pool.gpus[t])
                rows.append(row)
    upper = np.array(limits, dtype=np.float64)
    wider = _with_rows(form, np.full(len(upper), -np.inf), upper)
    return wider, np.array(rows, dtype=np.int64).reshape(-1, len(slots))


def _with_job_rows(
    form: StandardForm, problem: Problem, generated: Sequence[int], left_out: Floats
) -> tuple[StandardForm, Integers]:
    """Add (K1) and u for each generated job."""
    n, n_rows = len(generated), form.matrix.shape[0]
    job_row = np.full(len(problem.jobs), ABSENT)
    job_row[np.array(generated, dtype=np.int64)] = n_rows + np.arange(n)
    wider = _with_rows(form, np.ones(n), np.ones(n))
    shares = sp.csc_matrix((np.ones(n), (n_rows + np.arange(n), np.arange(n))), (n_rows + n, n))
    return replace(
        wider,
        cost=np.concatenate([wider.cost, left_out[np.array(generated, dtype=np.int64)]]),
        matrix=sp.hstack([wider.matrix, shares], format="csc"),
        lower=np.concatenate([wider.lower, np.zeros(n)]),
        upper=np.concatenate([wider.upper, np.ones(n)]),
        is_integer=np.concatenate([wider.is_integer, np.ones(n, dtype=bool)]),
    ), job_row


def _with_rows(form: StandardForm, lower: Floats, upper: Floats) -> StandardForm:
    """Add empty rows."""
    empty = sp.csc_matrix((len(lower), form.matrix.shape[1]))
    return replace(
        form,
        matrix=sp.vstack([form.matrix, empty], format="csc"),
        row_lower=np.concatenate([form.row_lower, lower]),
        row_upper=np.concatenate([form.row_upper, upper]),
    )
