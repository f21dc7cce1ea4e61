"""The last of the gap, where few placements are left that a better plan could have.

At the prices of the relaxation a placement that costs more than the cheapest of its job by more
than the gap is in no better plan than the best. Where few others are, HiGHS chooses among all of
them at once, flows and jobs that are not generated included: what it proves holds for all plans.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizer.placements.columns import Columns
from optimizer.placements.prices import Prices
from optimizer.progress import SolveLimits, relative_gap
from optimizer.solving.ascent import price_all
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.highs import run_highs
from optimizer.solving.watch import Standing, Watch

MOST_COLUMNS = 5000
"""More placements than these are not tried."""
ROUNDING = 1e-6
LEAST_S = 0.1


def close(core: ColumnMaster, prices: Prices, watch: Watch, limits: SolveLimits) -> None:
    """Lift the bound of ``watch``, and better its plan, if few placements are within the gap."""
    if watch.best is None or watch.is_over():
        return
    bound_eur = price_all(core, prices).bound_eur
    columns = _within(core, prices, watch.best.objective, bound_eur)
    if columns is None or watch.is_over():
        return
    if core.form.is_integer.any():
        best_eur = _with_binaries(core, watch.best.columns, limits, watch)
        columns = _within(core, prices, best_eur, bound_eur)
    else:
        best_eur = watch.best.objective
    gap = relative_gap(best_eur, watch.bound)
    if columns is None or (gap is not None and gap <= limits.mip_gap) or watch.is_over():
        return
    form = core.choice(np.flatnonzero(core.is_generated), columns, Columns.none())
    solution = run_highs(form, _options(limits, watch))
    if solution.bound is not None:
        watch.note_bound(min(solution.bound, best_eur))
    if solution.values is not None and solution.objective < best_eur:
        chosen = np.flatnonzero(solution.values[len(form.cost) - len(columns) :] > 0.5)
        core.form.load(solution.values)
        watch.best = Standing(columns.take(chosen), solution.values, solution.objective)


def _within(
    core: ColumnMaster, prices: Prices, best_eur: float, bound_eur: float
) -> Columns | None:
    """Return the placements that a plan below ``best_eur`` may hold; ``None`` if too many.

    ``bound_eur`` is what ``prices`` prove.
    """
    if not np.isfinite(best_eur):
        return None
    pricing = core.pricing
    slack = best_eur - bound_eur + ROUNDING * max(1.0, abs(best_eur))
    _, least = pricing.best_options(pricing.cost_by_option(prices))
    most_eur = np.full(len(core.is_generated), -np.inf)
    most_eur[pricing.jobs] = np.minimum(least, core.left_out_eur[pricing.jobs]) + slack
    return pricing.within(prices, most_eur, MOST_COLUMNS)


def _with_binaries(
    core: ColumnMaster, columns: Columns, limits: SolveLimits, watch: Watch
) -> float:
    """Return what ``columns`` cost with the binaries of the blocks, jobs not generated at best."""
    form = core.choice(np.zeros(0, np.int64), Columns.none(), columns)
    solution = run_highs(form, _options(limits, watch))
    return np.inf if solution.values is None else solution.objective


def _options(limits: SolveLimits, watch: Watch) -> dict[str, Any]:
    return {
        "time_limit": max(LEAST_S, watch.left_s - watch.flows_s),
        "mip_rel_gap": 0.1 * limits.mip_gap,
        "random_seed": limits.seed,
    }
