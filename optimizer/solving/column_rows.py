"""The rows and columns that carry generated jobs into the blocks: G, z, (K1) and (K2).

Their equations are numbered in ``solving.column_master``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from optimizer.master import Master
from optimizer.placements.options import Floats, Integers, Options
from optimizer.problem import Problem
from optimizer.solving.highs import StandardForm


def power_rows(master: Master, form: StandardForm) -> Integers:
    """Return the rows of (M1) [site, slot]."""
    problem = master.problem
    slots = range(problem.horizon.n_slots)
    power = master.model.job_power
    rows = [[form.row(power[site.name, t]) for t in slots] for site in problem.sites]
    return np.array(rows, dtype=np.int64)


def with_gpus(
    master: Master, form: StandardForm, options: Options, power_row: Integers
) -> tuple[StandardForm, Integers, Integers]:
    """Add (K1) and G, which draws power by its rate, holds GPUs of its pool and may be shed."""
    problem, rates = master.problem, options.rates
    n_slots, n_rates = problem.horizon.n_slots, len(rates.pool)
    gpus = np.array([pool.gpus for site in problem.sites for pool in site.pools])
    most = gpus[rates.pool].reshape(n_rates, n_slots)
    form, pool_row = _with_pool_rows(master, form)
    n_rows, n_columns = form.matrix.shape
    gpu_row = n_rows + np.arange(most.size).reshape(most.shape)
    form = with_rows(form, np.zeros(most.size), np.zeros(most.size))
    kw = np.broadcast_to(rates.kw_per_gpu[:, None], most.shape)
    number = np.arange(most.size)
    shed_row, shed_column, shed_kw = _shed_entries(master, form, options)
    rows = [gpu_row.ravel(), power_row[rates.site].ravel(), pool_row[rates.pool].ravel(), shed_row]
    values = [-np.ones(most.size), -kw.ravel(), np.ones(most.size), -shed_kw]
    columns = [*[number] * 3, shed_column]
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    matrix = sp.csc_matrix(entries, shape=(form.matrix.shape[0], most.size))
    gpu_column = n_columns + number.reshape(most.shape)
    return with_columns(form, matrix, upper=most.ravel()), gpu_row, gpu_column


def _shed_entries(
    master: Master, form: StandardForm, options: Options
) -> tuple[Integers, Integers, Floats]:
    """Return rows (V8), columns of G and load shed there, for rates of which some can be [kW]."""
    problem, rates = master.problem, options.rates
    load_rows = master.model.commitments.reserves.reserve_load
    in_time_s = {product.name: product.activation_s for product in problem.reserves}
    row_of = {site.name: row for row, site in enumerate(problem.sites)}
    n_slots = problem.horizon.n_slots
    found: list[tuple[int, int, float]] = []
    for (product, name, t), constraint in load_rows.items():
        row, site = form.row(constraint), row_of[name]
        if row is None:
            raise AssertionError("a row with a variable of its own is never left out")
        is_shed = (rates.site == site) & (rates.shed_kw_per_gpu > 0.0)
        is_shed &= rates.shed_within_s <= in_time_s[product]
        for rate in np.flatnonzero(is_shed).tolist():
            shed = problem.sites[site].pue[t] * float(rates.shed_kw_per_gpu[rate])
            found.append((row, rate * n_slots + t, shed))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


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
    wider = with_rows(form, np.full(len(upper), -np.inf), upper)
    return wider, np.array(rows, dtype=np.int64).reshape(-1, len(slots))


def with_rest(
    problem: Problem, form: StandardForm, options: Options, power_row: Integers
) -> tuple[StandardForm, Integers]:
    """Add (K2) and z where a job can draw more or less than its rate, restart or move data."""
    o = options
    if not (o.rest_kw.any() or o.restart_kw.any() or o.transfer_kw.any()):
        return form, np.zeros((0, problem.horizon.n_slots), dtype=np.int64)
    least, most = _bounds_of_rest(problem, o)
    n_rows, size = form.matrix.shape[0], power_row.size
    rest_row = n_rows + np.arange(size).reshape(power_row.shape)
    form = with_rows(form, np.zeros(size), np.zeros(size))
    rows = np.concatenate([rest_row.ravel(), power_row.ravel()])
    matrix = sp.csc_matrix(
        (-np.ones(2 * size), (rows, np.tile(np.arange(size), 2))), shape=(n_rows + size, size)
    )
    return with_columns(form, matrix, lower=least.ravel(), upper=most.ravel()), rest_row


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


def with_rows(form: StandardForm, lower: Floats, upper: Floats) -> StandardForm:
    """Add empty rows."""
    empty = sp.csc_matrix((len(lower), form.matrix.shape[1]))
    return replace(
        form,
        matrix=sp.vstack([form.matrix, empty], format="csc"),
        row_lower=np.concatenate([form.row_lower, lower]),
        row_upper=np.concatenate([form.row_upper, upper]),
    )


def with_columns(
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
