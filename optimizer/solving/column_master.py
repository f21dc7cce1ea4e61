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
from optimizer.placements.batch import Pricing
from optimizer.placements.columns import Columns
from optimizer.placements.options import Bools, Floats, Integers, Options
from optimizer.placements.prices import Prices
from optimizer.problem import Problem
from optimizer.settlement import left_out_eur
from optimizer.solving.column_rows import (
    power_rows,
    with_columns,
    with_gpus,
    with_rest,
    with_rows,
)
from optimizer.solving.highs import Solution, StandardForm, compile_model, run_highs
from optimizer.solving.integers import columns_by_job

ABSENT = -1
"""Stands for a row that is not there."""


def is_generated(job: Job, awaited: frozenset[str]) -> bool:
    """Whether the placements of ``job`` are generated: it waits for none, and none for it.

    The others get variables of their own in the Pyomo model.
    """
    return not job.after and job.name not in awaited


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
        power_row = power_rows(master, blocks)
        form, gpu_row, gpu_column = with_gpus(master, blocks, options, power_row)
        form, rest_row = with_rest(problem, form, options, power_row)
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
        form = with_rows(self.form, np.ones(len(jobs)), np.ones(len(jobs)))
        cost = np.concatenate([self.left_out_eur[jobs], pricing.own_cost_eur(columns)])
        form = with_columns(
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

    def is_kept_column(self) -> Bools:
        """Return which columns of ``form`` are of jobs that are not generated [column]."""
        job_of_column = columns_by_job(self.master, self.form)
        is_kept = np.zeros(len(self.form.cost), dtype=bool)
        is_kept[: len(job_of_column)] = job_of_column >= 0
        return is_kept

    def kept_values(self) -> tuple[Integers, Floats]:
        """Return the integer columns of jobs that are not generated, and the values they hold."""
        columns = np.flatnonzero(self.form.is_integer & self.is_kept_column())
        return columns, np.array([self.form.variables[k].value for k in columns], dtype=np.float64)

    def slot_of_column(self) -> Integers:
        """Return the slot each column of ``form`` belongs to [column], ``ABSENT`` for none."""
        slots = np.full(len(self.form.cost), ABSENT)
        for k, variable in enumerate(self.form.variables):
            index = variable.index()
            last = index[-1] if isinstance(index, tuple) else index
            slots[k] = last if isinstance(last, int) else ABSENT
        every = np.arange(self.power_row.shape[1])
        slots[self.gpu_column] = every
        n_rest = self.rest_row.size
        slots[len(slots) - n_rest :] = np.tile(every, len(self.rest_row))
        return slots

    def settled(self, columns: Columns) -> Solution:
        """Find the cheapest flows for generated jobs at ``columns``, the other jobs as they stand.

        Binaries of the blocks are relaxed.
        """
        form = self.choice(np.zeros(0, np.int64), Columns.none(), columns).relaxed()
        kept, held = self.kept_values()
        lower, upper = form.lower.copy(), form.upper.copy()
        lower[kept] = upper[kept] = held
        return run_highs(replace(form, lower=lower, upper=upper), {})

    def cost_eur(self, columns: Columns, prices: Prices) -> Floats:
        """Cost of each column at ``prices``, its own cost included [EUR]."""
        price = np.zeros(self.form.matrix.shape[0])
        price[self.gpu_row] = prices.gpu_eur
        if len(self.rest_row):
            price[self.rest_row] = prices.power_eur_per_kw
        cost = self.pricing.own_cost_eur(columns, prices.money_eur_per_eur)
        for rows, number, values in self._linking(columns):
            cost += np.bincount(number, values * price[rows], len(columns))
        return cost

    def use(self, columns: Columns) -> Floats:
        """Return what ``columns`` together use of each row of (K1) and (K2) [row]."""
        parts = self._linking(columns)
        rows, values = np.concatenate([p[0] for p in parts]), np.concatenate([p[2] for p in parts])
        return np.bincount(rows, values, self.form.matrix.shape[0]).astype(np.float64)

    def _linking(self, columns: Columns) -> list[tuple[Integers, Integers, Floats]]:
        """Entries of (K1) and (K2): row, column and value."""
        o, k, slots = self.pricing.options, columns.column_of_slot(), columns.slots
        option = columns.slot_option
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
