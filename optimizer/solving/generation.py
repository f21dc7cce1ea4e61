r"""Column generation: a proven bound, and the columns and prices a good plan is made from.

Rounds of pricing at prices that follow scarcity give columns to begin with; then the LP of the
columns known so far gives prices, at which every job is priced again, until what the LP costs and
the bound (K2) meet. Its prices swing while columns are missing, so jobs are also priced between
them and the prices of the best bound so far (Wentges' smoothing). An interior point method without
crossover solves the LP: its prices are central, which takes fewer rounds, and with several columns
per job it is tens of times faster than the simplex method.

P. Wentges, "Weighted Dantzig-Wolfe decomposition for linear mixed-integer programming",
International Transactions in Operational Research 4 (1997) 151-162.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import SolverFailed
from optimizer.placements.batch import Columns, Prices
from optimizer.placements.options import Floats
from optimizer.solving.column_master import ABSENT, ColumnMaster
from optimizer.solving.highs import Solution, run_highs

SMOOTHING = 0.7
"""Weight of the prices of the best bound in those that jobs are priced at."""
FIRST_ROUNDS = 100
KEPT_ROUNDS = 60
"""Rounds before the first LP, and how many of the last of them leave columns."""

GoesOn = Callable[[float | None, float | None], bool]
"""Called with what the LP costs and the bound, each once known; False stops."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What column generation gave.

    Attributes
    ----------
    columns, shares
        Columns of the last LP, and how much of each it takes [column].
    lp_eur
        What that LP costs: the relaxation's optimum, up to what ``bound_eur`` leaves open.
    prices
        Prices of the best bound.
    """

    columns: Columns
    shares: Floats
    lp_eur: float
    bound_eur: float
    prices: Prices
    rounds: int


@dataclass(frozen=True, slots=True)
class _Priced:
    """Every job priced: the bound (K2), and the best column of each job with its cost."""

    prices: Prices
    bound_eur: float
    columns: Columns


def generate(
    core: ColumnMaster,
    first: Columns,
    *,
    gap: float,
    goes_on: GoesOn,
    seed: int = 0,
    most_rounds: int = 60,
) -> Relaxation:
    """Generate columns until the LP is within ``gap`` of its bound, beginning with ``first``.

    Raises
    ------
    SolverFailed
        The LP of the columns could not be solved.
    """
    columns = _distinct(Columns.joined([first, *scarcity_rounds(core, seed)]))
    best: _Priced | None = None
    for number in range(1, most_rounds + 1):
        lp = _solve(core, columns)
        prices = core.prices_of(lp.row_duals)
        tried = [_price(core, prices)]
        if best is not None:
            tried.append(_price(core, _between(best.prices, prices, SMOOTHING)))
        best = max([*tried, *([] if best is None else [best])], key=lambda p: p.bound_eur)
        known = len(columns)
        columns = _distinct(Columns.joined([columns, *(p.columns for p in tried)]))
        is_close = lp.objective - best.bound_eur <= gap * max(1e-9, abs(lp.objective))
        stops = not goes_on(lp.objective, best.bound_eur) or number == most_rounds
        if is_close or stops or len(columns) == known:
            shares = np.asarray(lp.values)[core.form.matrix.shape[1] :]
            known_columns = columns.take(np.arange(known))
            return Relaxation(
                known_columns, shares, lp.objective, best.bound_eur, best.prices, number
            )
    raise AssertionError("the last round returns")


def scarcity_rounds(core: ColumnMaster, seed: int) -> list[Columns]:
    """Price all jobs again and again; what is asked for too much gets dearer each time.

    Energy costs what it costs the blocks at the load of the rounds so far. A little noise on the
    prices makes columns differ from round to round where jobs do not care.
    """
    rng = np.random.default_rng(seed)
    gpus = core.form.row_upper[core.gpu_row]
    load_kw = np.zeros(core.power_row.shape)
    power = _energy_prices(core, load_kw)
    gpu_eur = np.zeros(gpus.shape)
    rounds: list[Columns] = []
    for k in range(FIRST_ROUNDS):
        if k and k % 10 == 0:
            power = _energy_prices(core, load_kw)
        noise = 1.0 + 0.1 * 0.97**k * rng.standard_normal(power.shape)
        prices = Prices(power * noise, gpu_eur)
        found = core.pricing.placements(
            core.pricing.best_options(core.pricing.cost_by_option(prices))[0], prices
        )
        used = np.asarray(core.coefficients(found).sum(axis=1)).ravel()
        step = max(0.05, 1.0 / (k + 1))
        load_kw = load_kw - step * (load_kw + used[core.power_row])
        over = used[core.gpu_row] - gpus
        typical = _typical_gpu_eur(core, power)
        gpu_eur = np.maximum(
            0.0, gpu_eur + 0.1 * typical / (1 + k / 10) * over / np.maximum(1.0, gpus)
        )
        if k >= FIRST_ROUNDS - KEPT_ROUNDS:
            rounds.append(found)
    return rounds


def _energy_prices(core: ColumnMaster, load_kw: Floats) -> Floats:
    """Price of one more kW for a slot [site, slot], with jobs drawing ``load_kw``."""
    blocks = core.blocks_under(load_kw)
    if blocks.values is None:
        raise SolverFailed(f"no flows for the load of the jobs: {blocks.status}")
    prices: Floats = blocks.row_duals[core.power_row]
    return prices


def _typical_gpu_eur(core: ColumnMaster, power_eur_per_kw: Floats) -> float:
    """Return what running one GPU for a slot costs in energy, on average."""
    o = core.pricing.options
    holds = o.gpus > 0
    per_gpu = float((o.net_kw[holds] / o.gpus[holds]).mean()) if holds.any() else 0.0
    return max(1e-6, per_gpu * float(np.abs(power_eur_per_kw).mean()))


def _solve(core: ColumnMaster, columns: Columns) -> Solution:
    form = core.with_columns(columns).relaxed()
    lp = run_highs(form, {"solver": "ipm", "run_crossover": "off"})
    if lp.values is None or not lp.is_proven:
        lp = run_highs(form, {})
    if lp.values is None or not lp.is_proven:
        raise SolverFailed(f"the LP of the columns has no solution: {lp.status}")
    return lp


def _price(core: ColumnMaster, prices: Prices) -> _Priced:
    """Price every job, and the blocks."""
    pricing = core.pricing
    blocks = core.blocks_at(prices)
    if not blocks.is_proven:
        raise SolverFailed(f"the energy blocks have no solution at prices: {blocks.status}")
    winners, least = pricing.best_options(pricing.cost_by_option(prices))
    left_out = core.left_out_eur[core.job_row != ABSENT]
    served = np.minimum(least, core.left_out_eur[pricing.jobs])
    nowhere = left_out.sum() - core.left_out_eur[pricing.jobs].sum()
    bound = blocks.objective + float(served.sum()) + float(nowhere)
    return _Priced(prices, bound, pricing.placements(winners, prices))


def _between(one: Prices, other: Prices, weight: float) -> Prices:
    """Return ``weight`` of one and the rest of the other."""
    rest = 1.0 - weight
    return Prices(
        weight * one.power_eur_per_kw + rest * other.power_eur_per_kw,
        weight * one.gpu_eur + rest * other.gpu_eur,
        weight * one.money_eur_per_eur + rest * other.money_eur_per_eur,
    )


def _distinct(columns: Columns) -> Columns:
    """Leave out columns that were there before."""
    keys = _keys(columns)
    _, first = np.unique(keys, return_index=True)
    return columns.take(np.sort(first))


def _keys(columns: Columns) -> NDArray[np.uint64]:
    """Give equal columns the same number, and others different ones but for one chance in 2**64."""
    rng = np.random.default_rng(0)
    top = int(columns.slots.max(initial=0)) + 1
    of_slot = rng.integers(0, 2**64, top, dtype=np.uint64)
    of_option = rng.integers(0, 2**64, int(columns.option.max(initial=0)) + 1, dtype=np.uint64)
    if not len(columns):
        return np.zeros(0, np.uint64)
    sums: NDArray[np.uint64] = np.add.reduceat(of_slot[columns.slots], columns.begins[:-1])
    return sums ^ of_option[columns.option]
