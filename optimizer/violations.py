"""Which obligations given energy flows do not meet, by how much and at what price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.events import DemandEvent
from optimizer.plan import ObjectiveTerms, SiteFlows, Violation
from optimizer.pledges import held_kw, kept_kwh
from optimizer.problem import Problem
from optimizer.reserves import ReserveProduct
from optimizer.sites import Site

VIOLATED_ABOVE = 1e-6
"""Amounts up to this are rounding of a solver, not a violation [unit of the violation]."""


@dataclass(frozen=True, slots=True)
class _Obligation:
    """Something to keep in every slot; ``eur_per_unit`` is the price of missing it in one slot."""

    kind: str
    owner: str
    limit: float
    unit: str
    eur_per_unit: float

    def missed(self, amounts: Sequence[float], first_slot: int = 0) -> list[Violation]:
        """Violations by ``amounts`` [slot], the first of which belongs to ``first_slot``."""
        missed_by = np.asarray(amounts, dtype=np.float64)
        return [
            Violation(
                self.kind,
                self.owner,
                first_slot + int(i),
                float(missed_by[i]),
                self.unit,
                self.limit,
                self.eur_per_unit * float(missed_by[i]),
            )
            for i in np.flatnonzero(missed_by > VIOLATED_ABOVE)
        ]


def flow_violations(problem: Problem, flows: Sequence[SiteFlows]) -> list[Violation]:
    """Shortfalls, backup and final charge, capacity limits and events, slot by slot."""
    found: list[Violation] = []
    for site, flow in zip(problem.sites, flows, strict=True):
        price = problem.penalties.shortfall_eur_per_kwh * problem.horizon.slot_hours
        shortfall = _Obligation("shortfall", f"site {site.name}", 0.0, "kW", price)
        found += shortfall.missed(flow.shortfall_kw)
        found += _storage_violations(problem, site, flow)
    imports = {flow.site: np.asarray(flow.import_kw) for flow in flows}
    for limit in problem.capacity_limits:
        price = limit.breach_eur_per_kwh * problem.horizon.slot_hours
        owner = f"capacity limit {limit.name}"
        obligation = _Obligation("capacity_limit", owner, limit.limit_kw, "kW", price)
        over = imports[limit.site][limit.start_slot : limit.end_slot] - limit.limit_kw
        found += obligation.missed(over.tolist(), limit.start_slot)
    declined = declined_events(flows)
    for event in problem.events:
        if event.name not in declined:
            found += event_violations(problem, event, imports)
    for product in problem.reserves:
        found += _reserve_violations(problem, product, flows)
    return found


def _reserve_violations(
    problem: Problem, product: ReserveProduct, flows: Sequence[SiteFlows]
) -> list[Violation]:
    """Return what is not held of lots that are sold already."""
    price = product.missed_eur_per_kwh * problem.horizon.slot_hours
    found: list[Violation] = []
    for direction in product.directions:
        held = held_kw(product, flows, direction)
        for slot, number in product.slots(problem.horizon.n_slots).items():
            sold_kw = product.lot_kw * product.blocks[number].sold_lots
            obligation = _Obligation(
                f"reserve_{direction}", f"reserve {product.name}", sold_kw, "kW", price
            )
            found += obligation.missed([sold_kw - float(held[slot])], slot)
    return found


def declined_events(flows: Sequence[SiteFlows]) -> frozenset[str]:
    """Names of the events that the sites take no part in."""
    return frozenset(name for flow in flows for name in flow.declined)


def event_violations(
    problem: Problem, event: DemandEvent, import_kw: Mapping[str, NDArray[np.float64]]
) -> list[Violation]:
    """Return what ``import_kw`` [slot], by site, misses the levels of ``event`` by."""
    total_kw = np.sum([import_kw[site] for site in event.sites], axis=0)
    found: list[Violation] = []
    for part in event.parts:
        price = part.eur_per_kwh * problem.horizon.slot_hours
        for slot, limit in part.limits(problem.horizon.n_slots).items():
            obligation = _Obligation(part.kind, f"event {event.name}", limit, "kW", price)
            found += obligation.missed([float(total_kw[slot]) - limit], slot)
    return found


def _storage_violations(problem: Problem, site: Site, flow: SiteFlows) -> list[Violation]:
    price = problem.penalties.soc_short_eur_per_kwh
    found: list[Violation] = []
    for unit, soc in zip(site.storage, flow.soc_kwh, strict=True):
        owner = f"storage {site.name}/{unit.name}"
        floor = _Obligation("soc_floor", owner, unit.soc_floor_kwh, "kWh", price)
        if unit.soc_floor_kwh > 0:  # without a backup, what reserves need is a hard limit
            needed = unit.soc_floor_kwh + kept_kwh(problem, unit, flow)
            found += floor.missed((needed - np.asarray(soc)).tolist())
        final = _Obligation("soc_final", owner, unit.soc_final_min_kwh, "kWh", price)
        found += final.missed([unit.soc_final_min_kwh - soc[-1]], problem.horizon.n_slots - 1)
    return found


def ceiling_violations(problem: Problem, terms: ObjectiveTerms) -> list[Violation]:
    """Carbon budget and cost ceiling of the whole horizon; ``terms`` need no penalties yet."""
    ceilings, prices = problem.ceilings, problem.penalties
    checked = (
        (
            "carbon_budget",
            "kg",
            terms.carbon_kg,
            ceilings.carbon_budget_kg,
            prices.carbon_over_eur_per_kg,
        ),
        (
            "cost_ceiling",
            "EUR",
            terms.money_eur,
            ceilings.cost_ceiling_eur,
            prices.cost_over_eur_per_eur,
        ),
    )
    return [
        Violation(kind, "fleet", None, value - limit, unit, limit, price * (value - limit))
        for kind, unit, value, limit, price in checked
        if limit is not None and value - limit > VIOLATED_ABOVE
    ]
