"""Two-stage planning written down a second time: one site, one pool, jobs in one piece.

Straight from the textbook, as one matrix for scipy: every scenario has its own starts, imports, PV,
battery and left-out jobs; starts before the first stage ends and the battery's first hours are
equal. Nothing of the optimiser is used but its problems as data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from optimizer.problem import Problem
from optimizer.scenarios.futures import UncertainProblem


@dataclass
class Rows:
    """A linear programme that grows; columns are known by name."""

    number: dict[tuple[object, ...], int] = field(default_factory=dict)
    cost: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def column(
        self, *name: object, least: float = 0.0, most: float = np.inf, whole: int = 0
    ) -> int:
        """Add a column that costs nothing yet."""
        self.number[name] = len(self.cost)
        self.cost.append(0.0)
        self.least.append(least)
        self.most.append(most)
        self.whole.append(whole)
        return self.number[name]

    def row(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        """Add ``low <= sum of terms <= high``."""
        summed: dict[int, float] = {}
        for column, value in terms:
            summed[column] = summed.get(column, 0.0) + value
        self.rows.append((summed, low, high))

    def solve(self) -> float:
        """Return the least cost."""
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for k, (terms, _, _) in enumerate(self.rows):
            for column, value in terms.items():
                matrix[k, column] = value
        limits = LinearConstraint(
            matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows]
        )
        found = milp(
            self.cost,
            integrality=self.whole,
            bounds=Bounds(self.least, self.most),
            constraints=limits,
            options={"mip_rel_gap": 1e-9},
        )
        assert found.success, found.message
        return float(found.fun)


def least_cost_eur(uncertain: UncertainProblem) -> float:
    """Return the least of mean and CVaR, weighted, over all plans with shared first decisions."""
    rows, risk = Rows(), uncertain.risk
    eta = rows.column("value at risk", 0, least=-np.inf)
    rows.cost[eta] = risk.weight
    for s, (scenario, problem) in enumerate(
        zip(uncertain.scenarios, uncertain.problems(), strict=True)
    ):
        cost = _scenario(rows, s, problem)
        for column, eur in cost:
            rows.cost[column] += (1.0 - risk.weight) * scenario.probability * eur
        beyond = rows.column("beyond", s)
        rows.cost[beyond] = risk.weight * scenario.probability / (1.0 - risk.alpha)
        rows.row([(beyond, 1.0), (eta, 1.0), *((c, -eur) for c, eur in cost)], 0.0, np.inf)
    _tie(rows, uncertain)
    return rows.solve()


def _scenario(rows: Rows, s: int, problem: Problem) -> list[tuple[int, float]]:
    """Add one scenario; return what its columns cost."""
    (site,), hours, n_slots = problem.sites, problem.horizon.slot_hours, problem.horizon.n_slots
    cost: list[tuple[int, float]] = []
    load: list[list[tuple[int, float]]] = [[] for _ in range(n_slots)]
    held: list[list[tuple[int, float]]] = [[] for _ in range(n_slots)]
    for job in problem.jobs:
        (point,) = job.points
        n = round(job.work / (point.work_per_hour * hours))
        out = rows.column("out", s, job.name, most=1, whole=1)
        cost.append((out, job.unserved_eur))
        choice = [(out, 1.0)]
        for t in range(job.release_slot, min(job.deadline_slot, n_slots) - n + 1):
            x = rows.column("start", s, job.name, t, most=1, whole=1)
            choice.append((x, 1.0))
            for k in range(t, t + n):
                load[k].append((x, point.power_kw))
                held[k].append((x, float(point.gpus)))
        rows.row(choice, 1.0, 1.0)
    energy: list[tuple[int, float]] = []
    for t in range(n_slots):
        rows.row(held[t], -np.inf, site.pools[0].gpus[t])
        bought = rows.column("import", s, t, most=site.grid.import_limit_kw[t])
        cost.append((bought, hours * _eur_per_kwh(problem, t)))
        used = rows.column("pv", s, t, most=site.renewables[0].available_kw[t])
        balance = [(bought, 1.0), (used, 1.0), *((x, -site.pue[t] * kw) for x, kw in load[t])]
        for unit in site.storage:
            charge = rows.column("charge", s, t, most=unit.charge_max_kw)
            discharge = rows.column("discharge", s, t, most=unit.discharge_max_kw)
            energy += [
                (charge, hours * unit.charge_efficiency),
                (discharge, -hours / unit.discharge_efficiency),
            ]
            rows.row(energy, -unit.soc_initial_kwh, unit.capacity_kwh - unit.soc_initial_kwh)
            balance += [(charge, -1.0), (discharge, 1.0)]
        rows.row(balance, site.base_load_kw[t], site.base_load_kw[t])
    return cost


def _eur_per_kwh(problem: Problem, t: int) -> float:
    grid, weights = problem.sites[0].grid, problem.weights
    carbon = weights.carbon_eur_per_t * grid.carbon_g_per_kwh[t] / 1e6
    return grid.import_price_eur_per_mwh[t] / 1e3 + carbon


def _tie(rows: Rows, uncertain: UncertainProblem) -> None:
    """Make first decisions of every scenario those of the first."""
    for (kind, s, *rest), column in list(rows.number.items()):
        last = {"start": uncertain.first_slots}
        last |= dict.fromkeys(("charge", "discharge"), uncertain.battery_slots)
        if kind in last and s != 0 and rest[-1] < last[kind]:
            rows.row([(column, 1.0), (rows.number[kind, 0, *rest], -1.0)], 0.0, 0.0)
