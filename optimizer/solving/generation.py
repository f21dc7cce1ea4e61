r"""Column generation: the optimum of the relaxation, its bound, and the prices that prove it.

It begins with the prices and columns of ``solving.ascent``. Then the LP of the columns known so far
gives prices, at which every job is priced again, until what the LP costs and the bound (K4) meet.
Its prices swing while columns are missing, so jobs are also priced between them and the prices of
the best bound so far (Wentges' smoothing). An interior point method without crossover solves the
LP: its prices are central, which takes fewer rounds, and with several columns per job it is tens of
times faster than the simplex method.

P. Wentges, "Weighted Dantzig-Wolfe decomposition for linear mixed-integer programming",
International Transactions in Operational Research 4 (1997) 151-162.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from optimizer.errors import SolverFailed
from optimizer.placements.columns import Columns, distinct
from optimizer.placements.prices import Prices, between
from optimizer.solving.ascent import Ascent, price_all
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.highs import Solution, run_highs

MOST_ROUNDS = 60
MOST_IDLE_ROUNDS, LEAST_RISE = 6, 1e-6
"""Rounds after which it ends if the bound has not risen by that share of it: where the work of jobs
that change points is rounded, the bound never meets what the LP costs."""
SMOOTHING = 0.7
"""Weight of the prices of the best bound in those that jobs are priced at."""

GoesOn = Callable[[float, float], bool]
"""Called with what the LP costs and the bound; False stops."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What column generation gave.

    Attributes
    ----------
    lp_eur
        What the last LP costs: the relaxation's optimum, up to what ``bound_eur`` leaves open.
    prices
        Prices of the best bound.
    columns
        Columns of the last LP.
    """

    lp_eur: float
    bound_eur: float
    prices: Prices
    columns: Columns
    rounds: int


def generate(
    core: ColumnMaster,
    begun: Ascent,
    first: Columns,
    *,
    gap: float,
    goes_on: GoesOn,
) -> Relaxation:
    """Generate columns until the LP is within ``gap`` of its bound, beginning with ``first``.

    Raises
    ------
    SolverFailed
        The LP of the columns could not be solved.
    """
    columns = distinct(Columns.joined([first, *begun.columns]))
    best_eur, best = begun.bound_eur, begun.prices
    idle_rounds, risen_eur = 0, best_eur
    for number in range(1, MOST_ROUNDS + 1):
        lp = _solve(core, columns)
        prices = core.prices_of(lp.row_duals)
        tried = [price_all(core, some) for some in (prices, between(best, prices, SMOOTHING))]
        for priced in tried:
            if priced.bound_eur > best_eur:
                best_eur, best = priced.bound_eur, priced.prices
        wider = distinct(Columns.joined([columns, *(priced.columns for priced in tried)]))
        is_close = lp.objective - best_eur <= gap * max(1e-9, abs(lp.objective))
        idle_rounds += 1
        if best_eur > risen_eur + LEAST_RISE * abs(best_eur):
            idle_rounds, risen_eur = 0, best_eur
        stops = not goes_on(lp.objective, best_eur) or number == MOST_ROUNDS
        stops = stops or idle_rounds == MOST_IDLE_ROUNDS
        if is_close or stops or len(wider) == len(columns):
            return Relaxation(lp.objective, best_eur, best, columns, number)
        columns = wider
    raise AssertionError("the last round returns")


def _solve(core: ColumnMaster, columns: Columns) -> Solution:
    jobs = np.flatnonzero(core.is_generated)
    form = core.choice(jobs, columns, Columns.none()).relaxed()
    lp = run_highs(form, {"solver": "ipm", "run_crossover": "off"})
    if lp.values is None or not lp.is_proven:
        lp = run_highs(form, {})
    if lp.values is None or not lp.is_proven:
        raise SolverFailed(f"the LP of the columns has no solution: {lp.status}")
    return lp
