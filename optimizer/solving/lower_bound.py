"""What no plan of a problem costs less than, in the time it takes to price its jobs a few times.

It is the bound (K4) of ``solving.column_master`` at prices that were good a little while ago: loose
by less than a percent, which is enough to tell whether planning anew could gain anything.
"""

from __future__ import annotations

from pyomo.common.gc_manager import PauseGC

from optimizer.plan import SlotPrices
from optimizer.problem import Problem
from optimizer.solving.ascent import ascend
from optimizer.solving.column_master import ColumnMaster
from optimizer.solving.older import prices_of


def lower_bound_eur(problem: Problem, guide: SlotPrices | None = None) -> float:
    """Return a lower bound of the objective of every plan of ``problem`` [EUR].

    Parameters
    ----------
    guide
        Prices to begin from, of as many slots; the nearer to those of ``problem``, the tighter the
        bound and the sooner it is found.

    Raises
    ------
    SolverFailed
        The energy blocks have no optimum.
    """
    with PauseGC():
        core = ColumnMaster.of(problem)
    start = None if guide is None else prices_of(core.pricing, guide)
    return ascend(core, goes_on=lambda _bound: True, start=start).bound_eur
