"""What breaking a promise adds to jobs that are free to take any slots, or any in a row.

A job keeps its promise if its first slot is the one announced. So its cheapest placement is the
cheapest of all with churn, or the cheapest that begins there without.
"""

from __future__ import annotations

import numpy as np

from optimizer.placements.options import Floats, Integers


def add_churn(by_start: Floats, kept: Integers, churn_eur: Floats) -> None:
    """Add churn to the cost of every start [way, start] but the ``kept`` one [way].

    ``kept`` counts as the starts do; one that is none of them keeps nothing.
    """
    if not churn_eur.any():
        return
    by_start += churn_eur[:, None]
    rows = np.flatnonzero((kept >= 0) & (kept < by_start.shape[1]))
    by_start[rows, kept[rows]] -= churn_eur[rows]


def cheapest_slots(
    run_eur: Floats, n_slots: int, kept: Integers, churn_eur: Floats
) -> tuple[Floats, Floats]:
    """Return the cost of the cheapest ``n_slots`` of each way, and costs whose least they are.

    Parameters
    ----------
    run_eur
        Cost of running [way, slot of its window].
    kept
        The first slot that keeps the promise [way]; one outside of the window keeps nothing.
    churn_eur
        What not keeping it costs [way].
    """
    cost: Floats = np.partition(run_eur, n_slots - 1, axis=1)[:, :n_slots].sum(axis=1)
    if not churn_eur.any():
        return cost, run_eur
    cost += churn_eur
    rows = np.flatnonzero((churn_eur > 0.0) & (kept >= 0) & (kept < run_eur.shape[1]))
    at = kept[rows]
    later = run_eur[rows]
    begun = later[np.arange(len(rows)), at]
    later[np.arange(run_eur.shape[1]) <= at[:, None]] = np.inf
    if n_slots > 1:
        begun = begun + np.partition(later, n_slots - 2, axis=1)[:, : n_slots - 1].sum(axis=1)
    keeps = begun <= cost[rows]
    rows, at, later = rows[keeps], at[keeps], later[keeps]
    cost[rows] = begun[keeps]
    chosen = run_eur.copy()
    later[np.arange(len(rows)), at] = -np.inf  # the announced slot comes first, whatever it costs
    chosen[rows] = later
    return cost, chosen
