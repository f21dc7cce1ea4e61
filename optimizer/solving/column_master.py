r"""The master with generated columns: the compiled energy blocks, and jobs as arrays.

The energy blocks, and the jobs whose placements are not generated, are the Pyomo model of
``optimizer.master``, compiled once. Added to it are G, the GPUs at work at each rate r, and z, what
jobs draw beyond their rates, which carry the generated jobs into (M1) and (M2):

.. math::
    \sum_{jk} g_{jk,rt} x_{jk} - G_{rt} = 0                                    \tag{K1} \\
    \sum_{jk} p'_{jk,st} x_{jk} - z_{st} = 0                                   \tag{K2} \\
    \sum_k x_{jk} + u_j = 1                                                    \tag{K3}

A generated placement is a column of (K1) to (K3) and, if there is one, of the cost ceiling; u is
the share of a job that is left out. For any prices of (K1), (K2) and the ceiling,

.. math::
    L = \min_{\text{blocks}} + \sum_j \min\{\min_k \text{cost}_{jk}, \text{left out}_j\}  \tag{K4}

is a lower bound of every plan. A price of (K1) has all that a GPU at work needs: most fleets have
no z at all, and what energy costs is settled within the blocks, where it has its kinks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from optimizer.jobs import Job
from optimizer.master import Master, build_master
from optimizer.placements.batch import Columns, Prices, Pricing
from optimizer.placements.options import Bools, Floats, Integers, Options
from optimizer.problem import Problem
from optimizer.settlement import left_out_eur
from optimizer.solving.highs import Solution, StandardForm, compile_model, run_highs
from optimizer.solving.integers import columns_by_job

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
        Blocks, G, z, (K1) and (K2).
    power_row
        Rows of (M1) [site, slot].
    gpu_row, gpu_column
        Rows (K1) and columns G [rate, slot].
    rest_row
        Rows (K2) [site, slot]; no site where nothing draws more than its rate.
    ceiling_row
        Row of the cost ceiling, or ``ABSENT``.
    is_generated
        Whether the placements of a job are generated [job of the problem].
    left_out_eur
        What leaving a job out costs [job of the problem].
    """

    master: Master
    form: StandardForm
    pricing: Pricing
    power_row: Integers
    gpu_row: Integers
    gpu_column: Integers
    rest_row: Integers
    ceiling_row: int
    is_generated: Bools
    left_out_eur: Floats

    @property
    def problem(self) -> Problem:
        """The problem it is the master of."""
        return self.master.problem

    @classmethod
    def of(cls, problem: Problem) -> ColumnMaster:
        """Compile the blocks of ``problem`` and add the rows its generated jobs need."""
        awaited = frozenset(name for job in problem.jobs for name in job.after)
        generated = np.array([is_generated(job, awaited) for job in problem.jobs], dtype=bool)
        kept = [job for job, is_one in zip(problem.jobs, generated, strict=True) if not is_one]
        master = build_master(problem, kept)
        options = Options.of(problem, np.flatnonzero(generated).tolist())
        blocks = compile_model(master.model)
        power_row = _power_rows(master, blocks)
        form, gpu_row, gpu_column = _with_gpus(master, blocks, options, power_row)
        form, rest_row = _with_rest(problem, form, options, power_row)
        ceiling = getattr(master.model.ceilings, "cost_ceiling", None)
        ceiling_row = None if ceiling is None else blocks.row(ceiling)
        return cls(
            master=master,
            form=form,
            pricing=Pricing(problem, options),
            power_row=power_row,
            gpu_row=gpu_row,
            gpu_column=gpu_column,
            rest_row=rest_row,
            ceiling_row=ABSENT if ceiling_row is None else ceiling_row,
            is_generated=generated,
            left_out_eur=np.array([left_out_eur(job, problem.weights) for job in problem.jobs]),
        )

    def choice(self, jobs: Integers, columns: Columns, fixed: Columns) -> StandardForm:
        """Return the MILP in which ``jobs`` choose among ``columns`` and ``fixed`` ones stand.

        Jobs in neither are left out. After the columns of ``form`` come u of each of ``jobs``, then
        ``columns``; the rows (K3) are the last.
        """
        o, pricing, n_rows = self.pricing.options, self.pricing, self.form.matrix.shape[0]
        held = np.concatenate([self.use(fixed), np.zeros(len(jobs))])
        if self.ceiling_row != ABSENT:
            held[self.ceiling_row] += pricing.money_eur(fixed).sum()
        is_open = self.is_generated.copy()
        is_open[jobs] = False
        is_open[o.job[fixed.option]] = False
        paid = float(pricing.own_cost_eur(fixed).sum() + self.left_out_eur[is_open].sum())
        row_of_job = np.zeros(len(self.is_generated), dtype=np.int64)
        row_of_job[jobs] = n_rows + np.arange(len(jobs))
        shares = sp.csc_matrix(
            (np.ones(len(jobs)), (row_of_job[jobs], np.arange(len(jobs)))),
            shape=(n_rows + len(jobs), len(jobs)),
        )
        form = _with_rows(self.form, np.ones(len(jobs)), np.ones(len(jobs)))
        cost = np.concatenate([self.left_out_eur[jobs], pricing.own_cost_eur(columns)])
        form = _with_columns(
            form,
            sp.hstack([shares, self._coefficients(columns, row_of_job, n_rows + len(jobs))]),
            cost=cost,
            upper=np.ones(len(cost)),
            is_integer=True,
        )
        return replace(
            form,
            offset=form.offset + paid,
            row_lower=form.row_lower - held,
            row_upper=form.row_upper - held,
        )

    def _coefficients(self, columns: Columns, row_of_job: Integers, n_rows: int) -> Any:
        """Return the coefficients of ``columns`` [row, column] as a SciPy matrix."""
        o, every = self.pricing.options, np.arange(len(columns))
        parts = [*self._linking(columns)]
        parts.append((row_of_job[o.job[columns.option]], every, np.ones(len(columns))))
        if self.ceiling_row != ABSENT:
            row = np.full(len(columns), self.ceiling_row)
            parts.append((row, every, self.pricing.money_eur(columns)))
        rows, number, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        matrix = sp.csc_matrix((values, (rows, number)), shape=(n_rows, len(columns)))
        matrix.eliminate_zeros()
        return matrix

    def battery_kw(self, values: Floats) -> Floats:
        """Read charge less discharge of every site [site, slot] from ``values`` of the columns."""
        number = {id(variable): k for k, variable in enumerate(self.form.variables)}
        load = np.zeros(self.power_row.shape)
        for row, site in enumerate(self.master.sites):
            for (_, t), variable in site.storage.charge_kw.items():
                load[row, t] += values[number[id(variable)]]
            for (_, t), variable in site.storage.discharge_kw.items():
                load[row, t] -= values[number[id(variable)]]
        return load

    def kept_columns(self) -> Integers:
        """Return the integer columns of jobs that are not generated."""
        job_of_column = columns_by_job(self.master, self.form)
        n = len(job_of_column)
        return np.flatnonzero(self.form.is_integer[:n] & (job_of_column >= 0))

    def use(self, columns: Columns) -> Floats:
        """Return what ``columns`` together use of each row of (K1) and (K2) [row]."""
        parts = self._linking(columns)
        rows, values = np.concatenate([p[0] for p in parts]), np.concatenate([p[2] for p in parts])
        return np.bincount(rows, values, self.form.matrix.shape[0]).astype(np.float64)

    def _linking(self, columns: Columns) -> list[tuple[Integers, Integers, Floats]]:
        """Entries of (K1) and (K2): row, column and value."""
        o, k, slots = self.pricing.options, columns.column_of_slot(), columns.slots
        option = columns.option[k]
        parts = [(self.gpu_row[o.rate[option], slots], k, o.gpus[option])]
        if not len(self.rest_row):
            return parts
        parts.append((self.rest_row[o.site[option], slots], k, o.rest_kw[option]))
        restart = np.flatnonzero(self.pricing.is_restart(columns))
        again = option[restart]
        rows = self.rest_row[o.site[again], slots[restart]]
        parts.append((rows, k[restart], o.restart_kw[again]))
        n_slots = o.transfer_slots[columns.option]
        k = np.repeat(np.arange(len(columns)), n_slots)
        before = np.arange(len(k)) - np.repeat(np.cumsum(n_slots) - n_slots, n_slots)
        start, moved = columns.slots[columns.begins[:-1]], columns.option[k]
        rows = self.rest_row[o.site[moved], start[k] - 1 - before]
        parts.append((rows, k, o.transfer_kw[moved]))
        return parts

    def prices_of(self, row_duals: Floats) -> Prices:
        """Read prices from the duals of all rows."""
        ceiling = 0.0 if self.ceiling_row == ABSENT else -row_duals[self.ceiling_row]
        power = -row_duals[self.rest_row] if len(self.rest_row) else row_duals[self.power_row]
        return Prices(power, -row_duals[self.gpu_row], max(0.0, float(ceiling)))

    def blocks_at(self, prices: Prices) -> Solution:
        """Solve the LP of the blocks with the linking rows priced: the first term of (K4).

        Its values are the blocks' answer to the prices; priced rows have no dual.
        """
        duals = np.zeros(self.form.matrix.shape[0])
        duals[self.gpu_row] = -prices.gpu_eur
        priced = [self.gpu_row.ravel(), self.rest_row.ravel()]
        if len(self.rest_row):
            duals[self.rest_row] = -prices.power_eur_per_kw
        if self.ceiling_row != ABSENT:
            duals[self.ceiling_row] = -prices.money_eur_per_eur
            priced.append(np.array([self.ceiling_row]))
        limits = np.where(np.isfinite(self.form.row_upper), self.form.row_upper, 0.0)
        freed = np.concatenate(priced).astype(np.int64)
        row_lower, row_upper = self.form.row_lower.copy(), self.form.row_upper.copy()
        row_lower[freed], row_upper[freed] = -np.inf, np.inf
        return run_highs(
            replace(
                self.form.relaxed(),
                cost=self.form.cost - self.form.matrix.T @ duals,
                offset=self.form.offset + float(duals @ limits),
                row_lower=row_lower,
                row_upper=row_upper,
            ),
            {},
        )


def _power_rows(master: Master, form: StandardForm) -> Integers:
    problem = master.problem
    slots = range(problem.horizon.n_slots)
    power = master.model.job_power
    rows = [[form.row(power[site.name, t]) for t in slots] for site in problem.sites]
    return np.array(rows, dtype=np.int64)


def _with_gpus(
    master: Master, form: StandardForm, options: Options, power_row: Integers
) -> tuple[StandardForm, Integers, Integers]:
    """Add (K1) and G, which draws power by its rate and holds GPUs of its pool."""
    problem, rates = master.problem, options.rates
    n_slots, n_rates = problem.horizon.n_slots, len(rates.pool)
    gpus = np.array([pool.gpus for site in problem.sites for pool in site.pools])
    most = gpus[rates.pool].reshape(n_rates, n_slots)
    form, pool_row = _with_pool_rows(master, form)
    n_rows, n_columns = form.matrix.shape
    gpu_row = n_rows + np.arange(most.size).reshape(most.shape)
    form = _with_rows(form, np.zeros(most.size), np.zeros(most.size))
    kw = np.broadcast_to(rates.kw_per_gpu[:, None], most.shape)
    number = np.arange(most.size)
    rows = np.concatenate([gpu_row.ravel(), power_row[rates.site].ravel()])
    rows = np.concatenate([rows, pool_row[rates.pool].ravel()])
    values = np.concatenate([-np.ones(most.size), -kw.ravel(), np.ones(most.size)])
    shape = (form.matrix.shape[0], most.size)
    matrix = sp.csc_matrix((values, (rows, np.tile(number, 3))), shape=shape)
    gpu_column = n_columns + number.reshape(most.shape)
    return _with_columns(form, matrix, upper=most.ravel()), gpu_row, gpu_column


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


def _with_rest(
    problem: Problem, form: StandardForm, options: Options, power_row: Integers
) -> tuple[StandardForm, Integers]:
    """Add (K2) and z where a job can draw more or less than its rate, restart or move data."""
    o = options
    if not (o.rest_kw.any() or o.restart_kw.any() or o.transfer_kw.any()):
        return form, np.zeros((0, problem.horizon.n_slots), dtype=np.int64)
    least, most = _bounds_of_rest(problem, o)
    n_rows, size = form.matrix.shape[0], power_row.size
    rest_row = n_rows + np.arange(size).reshape(power_row.shape)
    form = _with_rows(form, np.zeros(size), np.zeros(size))
    rows = np.concatenate([rest_row.ravel(), power_row.ravel()])
    matrix = sp.csc_matrix(
        (-np.ones(2 * size), (rows, np.tile(np.arange(size), 2))), shape=(n_rows + size, size)
    )
    return _with_columns(form, matrix, lower=least.ravel(), upper=most.ravel()), rest_row


def _bounds_of_rest(problem: Problem, o: Options) -> tuple[Floats, Floats]:
    """Bound z [site, slot] by what the GPUs of the pools can draw beyond their rates."""
    least = np.zeros((len(problem.sites), problem.horizon.n_slots))
    most = np.zeros_like(least)
    high = np.maximum(0.0, o.rest_kw + o.restart_kw)
    pools = [(row, pool) for row, site in enumerate(problem.sites) for pool in site.pools]
    for number, (row, pool) in enumerate(pools):
        holds = (o.pool == number) & (o.gpus > 0)
        gpus = np.array(pool.gpus)
        most[row] += gpus * (high[holds] / o.gpus[holds]).max(initial=0.0)
        least[row] += gpus * (o.rest_kw[holds] / o.gpus[holds]).min(initial=0.0)
    without = o.gpus <= 0
    for row in range(len(problem.sites)):
        here = o.site == row
        most[row] += high[here & without].sum() + o.transfer_kw[here].sum()
        least[row] += np.minimum(0.0, o.rest_kw[here & without]).sum()
    return least, most


def _with_rows(form: StandardForm, lower: Floats, upper: Floats) -> StandardForm:
    """Add empty rows."""
    empty = sp.csc_matrix((len(lower), form.matrix.shape[1]))
    return replace(
        form,
        matrix=sp.vstack([form.matrix, empty], format="csc"),
        row_lower=np.concatenate([form.row_lower, lower]),
        row_upper=np.concatenate([form.row_upper, upper]),
    )


def _with_columns(
    form: StandardForm,
    matrix: Any,
    *,
    upper: Floats,
    cost: Floats | None = None,
    lower: Floats | None = None,
    is_integer: bool = False,
) -> StandardForm:
    """Add columns; ``cost`` and ``lower`` are 0 where they are not given."""
    n = matrix.shape[1]
    nothing = np.zeros(n)
    return replace(
        form,
        cost=np.concatenate([form.cost, nothing if cost is None else cost]),
        matrix=sp.hstack([form.matrix, matrix], format="csc"),
        lower=np.concatenate([form.lower, nothing if lower is None else lower]),
        upper=np.concatenate([form.upper, upper]),
        is_integer=np.concatenate([form.is_integer, np.full(n, is_integer)]),
    )
